"""`haet-eval rerun`: evaluate the submission of a record again, and compare."""

import json
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from click.core import ParameterSource

from haet_eval.cli.checks_table import print_checks
from haet_eval.cli.examples import CommandWithExamples
from haet_eval.cli.oci_runtime import oci_runtime_option
from haet_eval.cli.options import data_dir_option, record_rules_option, secret_test_option
from haet_eval.cli.paths import ExistingPath
from haet_eval.cli.suggestions import suggest_records, suggest_submissions
from haet_eval.errors import ExitCode, Verdict
from haet_eval.store import Store, find_record, read_record
from haet_eval.verification.check import believable


@click.command(
    cls=CommandWithExamples,
    examples=(
        "haet-eval rerun 3f2a91c0 --submission entry.zip",
        "haet-eval rerun results/RECORD.json --submission entry/ --keep again/",
    ),
)
@click.argument("record", metavar="RECORD", shell_complete=suggest_records)
@click.option(
    "--submission",
    required=True,
    type=ExistingPath(),
    shell_complete=suggest_submissions,
    help="The folder or zip that was evaluated.",
)
@record_rules_option
@data_dir_option()
@secret_test_option()
@click.option(
    "--keep",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that the new record goes to.  [default: it is not kept]",
)
@click.option("--results", hidden=True, type=click.Path(file_okay=False, path_type=Path))
@oci_runtime_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def rerun(
    record: str,
    submission: Path,
    competition: str | None,
    data_dir: Path | None,
    test_data: Path | None,
    keep: Path | None,
    results: Path | None,
    as_json: bool,
) -> ExitCode:
    """Evaluate the submission of RECORD again, under its rules, seed, sandbox and device, and compare.

    RECORD is a record's file, or the beginning of the id of one in ./results.

    Exit status: 0 nothing differs, 1 something does, 2 usage, 4 the environment failed.
    """
    from haet_eval.cli.screen import open_screen
    from haet_eval.dataset import default_data_dir
    from haet_eval.verification.rerunning import Again, compare
    from haet_eval.verification.rerunning import rerun as run

    keep = keep or _formerly(results)
    path = find_record(record, keep or Path("results"))
    stated = read_record(path)
    with TemporaryDirectory(prefix="haet-eval-rerun-") as folder:
        target = keep or Path(folder)
        again = Again(submission, data_dir or default_data_dir(), target, competition, test_data)
        with open_screen() as observer:
            found = run(stated, again, observer).record
        if found.status.verdict is Verdict.INTERRUPTED:
            raise KeyboardInterrupt
        checks = tuple(compare(stated, Store(path.parent), found, Store(target)))
    if as_json:
        facts = {"record_id": stated.record_id, "again": found.record_id, "same": believable(checks)}
        click.echo(json.dumps(facts | {"checks": [asdict(check) for check in checks]}, indent=2))
    else:
        print_checks(path, checks)
    return ExitCode.QUALIFIED if believable(checks) else ExitCode.NOT_QUALIFIED


def _formerly(results: Path | None) -> Path | None:
    """The folder by --results, the name of --keep in version 0.1.0. HAET_RESULTS is about other commands."""
    source = click.get_current_context().get_parameter_source("results")
    return results if source is ParameterSource.COMMANDLINE else None
