"""`haet-eval verify`: whether to believe a record, line by line."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from haet_eval.cli.checks_table import print_checks
from haet_eval.cli.oci_runtime import oci_runtime_option
from haet_eval.cli.options import competition_file_option, data_dir_option, secret_test_option
from haet_eval.cli.suggestions import suggest_records
from haet_eval.errors import ExitCode
from haet_eval.record import Sandbox
from haet_eval.reports.text import printable
from haet_eval.signing import without_signatures
from haet_eval.store import Store, find_record
from haet_eval.verification.conclusion import conclude
from haet_eval.verification.evidence import Sources
from haet_eval.verification.signature import check_signed
from haet_eval.verification.verify import Verification, verify


@click.command("verify")
@click.argument("records", metavar="RECORD…", nargs=-1, required=True, shell_complete=suggest_records)
@click.option(
    "--results",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder with the records and their artefacts.  [default: the one that a record lies in]",
)
@data_dir_option()
@secret_test_option()
@competition_file_option
@click.option("--replay", is_flag=True, help="Run the trace on the data, without the submission's code.")
@click.option(
    "--sandbox",
    default="docker",
    show_default=True,
    type=click.Choice(["docker", "process"]),
    help="Where a replay runs.",
)
@oci_runtime_option
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    help="Where its kernels run.  [default: as the record says]",
)
@click.option("--key", type=click.Path(path_type=Path), help="Public key that must have signed the records.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify_records(
    records: tuple[str, ...],
    results: Path | None,
    data_dir: Path | None,
    test_data: Path | None,
    competition: str | None,
    replay: bool,
    sandbox: Sandbox,
    device: str | None,
    key: Path | None,
    as_json: bool,
) -> ExitCode:
    """Check records: digests, the count from the trace, prices, score and verdict.

    Each line says what holds, what differs or what could not be checked. No code of a submission is run.
    RECORD is a record's file, or the beginning of its id. Signatures among the files are passed over.

    Exit status: 0 nothing differs, 1 something does, 2 usage.
    """
    from haet_eval.dataset import default_data_dir

    found = []
    for name in without_signatures(records):
        path = find_record(name, results or Path("results"))
        store = Store(results or path.parent)
        sources = Sources(store, data_dir or default_data_dir(), competition, test_data)
        verification, parts = verify(path, sources, replaying=replay)
        verification = verification.and_also([check_signed(path, key)])
        if replay:
            from haet_eval.verification.replaying import Place, check_replay

            for part in parts:
                more = check_replay(part.record, part.evidence, Place(sandbox, device))
                verification = verification.and_also(part.named(more))
        found.append(verification)
        if not as_json:
            print_checks(verification.path, verification.checks)
            click.echo(f"  {printable(conclude(verification.checks))}")
    if as_json:
        click.echo(json.dumps([_document(verification) for verification in found], indent=2))
    sound = all(verification.believable for verification in found)
    return ExitCode.QUALIFIED if sound else ExitCode.NOT_QUALIFIED


def _document(verification: Verification) -> dict[str, object]:
    return {
        "file": str(verification.path),
        "record_id": verification.record.record_id if verification.record else None,
        "believable": verification.believable,
        "conclusion": conclude(verification.checks),
        "checks": [asdict(check) for check in verification.checks],
    }
