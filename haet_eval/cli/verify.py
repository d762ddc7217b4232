"""`haet-eval verify`: the findings about a record, line by line and in one word."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from textwrap import indent

import click

from haet_eval.cli.checks_table import print_checks
from haet_eval.cli.examples import CommandWithExamples
from haet_eval.cli.oci_runtime import oci_runtime_option
from haet_eval.cli.options import (
    DEVICES,
    data_dir_option,
    json_option,
    record_rules_option,
    sandbox_option,
    secret_test_option,
)
from haet_eval.cli.paths import ExistingPath
from haet_eval.cli.records import find_records
from haet_eval.cli.suggestions import suggest_records, suggest_submissions
from haet_eval.errors import ExitCode
from haet_eval.record import Sandbox
from haet_eval.reports.text import printable
from haet_eval.signing import check_key
from haet_eval.store import Store
from haet_eval.verification.check import Check
from haet_eval.verification.evidence import Sources
from haet_eval.verification.signature import check_signed
from haet_eval.verification.verify import Verification, verify, while_files_stay


@click.command(
    "verify",
    cls=CommandWithExamples,
    examples=(
        "haet-eval verify results/",
        "haet-eval verify 3f2a91c0 --replay --sandbox process",
        "haet-eval verify results/RECORD.json --key judge.key.pub --strict",
        "haet-eval verify 3f2a91c0 --rerun --submission entry.zip",
    ),
)
@click.argument("records", metavar="RECORD…", nargs=-1, required=True, shell_complete=suggest_records)
@click.option(
    "--results",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder in which ids and artefacts are looked up.  [default: results for ids, the record's own"
    " folder for artefacts]",
)
@data_dir_option()
@secret_test_option()
@record_rules_option
@click.option("--replay", is_flag=True, help="Run the trace on the data, without the submission's code.")
@click.option(
    "--perturbed",
    is_flag=True,
    help="Run it under noise too: it shows numbers that were packed into floats.",
)
@click.option(
    "--rerun",
    is_flag=True,
    help="Evaluate the submission again, under the record's rules, seed, sandbox and device, and compare.",
)
@click.option(
    "--submission",
    type=ExistingPath(),
    shell_complete=suggest_submissions,
    help="For --rerun: the folder or zip that was evaluated.",
)
@click.option(
    "--keep",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="For --rerun: the folder for the new record.  [default: it is not kept]",
)
@sandbox_option("Where a replay runs.")
@oci_runtime_option
@click.option(
    "--device",
    type=DEVICES,
    help="Where its kernels run.  [default: as the record says]",
)
@click.option("--key", type=click.Path(path_type=Path), help="Public key that must have signed the records.")
@click.option("--strict", is_flag=True, help="Fail also if anything that could be checked was not.")
@json_option()
def verify_records(
    records: tuple[str, ...],
    results: Path | None,
    data_dir: Path | None,
    test_data: Path | None,
    competition: str | None,
    replay: bool,
    perturbed: bool,
    rerun: bool,
    submission: Path | None,
    keep: Path | None,
    sandbox: Sandbox,
    device: str | None,
    key: Path | None,
    strict: bool,
    as_json: bool,
) -> ExitCode:
    """Check records: digests, the count from the trace, prices, score and verdict.

    Each line says what holds, what differs or what could not be checked; the last one begins with what that
    comes to: confirmed, consistent or contradicted. No code of a submission is run, except by --rerun. RECORD
    is a record's file, the beginning of its id, or a folder of records. Signatures among the files are
    skipped.

    Exit status: 0 confirmed or consistent, 1 contradicted, 2 usage. With --strict, 1 also if anything was not
    checked but the statements of whoever ran it, which the documentation lists.
    """
    from haet_eval.dataset import default_data_dir

    if key is not None:
        # Before the records: a wrong key must not cost a replay first.
        check_key(key)
    sources = Sources(Store(Path("results")), data_dir or default_data_dir(), competition, test_data)
    sound, show = True, _JsonList() if as_json else _Lines(strict)
    # All names are looked up before the first check, so a misspelt one is reported at once.
    paths = find_records(records, results or Path("results"))
    _check_rerun(paths, rerun, submission, keep)
    for path in paths:
        here = replace(sources, store=Store(results or path.parent))
        found = _verified(path, here, (sandbox, device), replay, perturbed)
        if rerun and submission:
            found = found.and_also(_rerun(path, submission, keep, here))
        # The signature comes last: it says who stands for all lines above it.
        found = found.and_also([check_signed(path, key)])
        conclusion = found.conclusion
        # One record that does not hold decides the status of all.
        sound = sound and found.believable and not (strict and conclusion.lacking)
        show.add(found)
    show.end()
    return ExitCode.QUALIFIED if sound else ExitCode.NOT_QUALIFIED


def _verified(
    path: Path, sources: Sources, place: tuple[Sandbox, str | None], replay: bool, perturbed: bool
) -> Verification:
    """With the replays that were asked for. What runs them is slow to import."""
    verification, parts = verify(path, sources, replaying=replay)
    if not (replay or perturbed):
        return verification
    from haet_eval.verification.perturbing import check_perturbed
    from haet_eval.verification.replaying import ReplayPlace, check_replay

    # The exact replay comes first: a trace that does not hold without noise says nothing under noise.
    wanted = [check_replay] * replay + [check_perturbed] * perturbed
    with while_files_stay():
        for part in parts:
            for check in wanted:
                verification = verification.and_also(
                    part.named(check(part.record, part.evidence, ReplayPlace(*place)))
                )
    return verification


def _check_rerun(paths: Sequence[Path], rerun: bool, submission: Path | None, keep: Path | None) -> None:
    """Raises UsageError unless the options of a rerun go together."""
    if not rerun and (submission or keep):
        raise click.UsageError("--submission and --keep are for --rerun.")
    if rerun and submission is None:
        raise click.UsageError("--rerun needs the submission: name its folder or zip with --submission.")
    # A folder may hold several records, which is known only after it was read.
    if rerun and len(paths) != 1:
        raise click.UsageError("--rerun evaluates one submission: name one record.")


def _rerun(path: Path, submission: Path, keep: Path | None, here: Sources) -> Iterator[Check]:
    """Evaluate the submission again. What does it is slow to import."""
    from haet_eval.cli.rerun import evaluate_again
    from haet_eval.verification.rerunning import Again

    again = Again(
        submission, here.data_dir, keep or Path(), here.competition, here.test_data, kept=keep is not None
    )
    _, checks = evaluate_again(path, again)
    for check in checks:
        yield replace(check, subject=f"rerun: {check.subject}")


class _Lines:
    """Each record's checks, for people."""

    def __init__(self, strict: bool) -> None:
        self._strict = strict

    def add(self, found: Verification) -> None:
        print_checks(found.path, found.checks)
        conclusion = found.conclusion
        click.echo(f"  {printable(conclusion.sentence)}")
        if self._strict and conclusion.lacking and found.believable:
            click.echo(f"  --strict: not checked: {printable(', '.join(conclusion.lacking))}")

    def end(self) -> None:
        """Nothing is left to print."""


class _JsonList:
    """One JSON document, written record by record: of many, only one is in memory."""

    def __init__(self) -> None:
        self._begun = False

    def add(self, found: Verification) -> None:
        click.echo(",\n" if self._begun else "[\n", nl=False)
        click.echo(indent(json.dumps(_document(found), indent=2), "  "), nl=False)
        self._begun = True

    def end(self) -> None:
        click.echo("\n]" if self._begun else "[]")


def _document(found: Verification) -> dict[str, object]:
    """`believable` is what there was before the three words: nothing differs."""
    conclusion = found.conclusion
    return {
        "file": str(found.path),
        "record_id": found.record.record_id if found.record else None,
        "result": conclusion.word,
        "believable": found.believable,
        "conclusion": conclusion.sentence,
        "not_checked": conclusion.lacking,
        "checks": [asdict(check) for check in found.checks],
    }
