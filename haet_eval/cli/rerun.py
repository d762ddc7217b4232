"""Evaluating the submission of a record again: `haet-eval verify --rerun`, and its former name `rerun`."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from haet_eval.cli.checks_table import print_checks
from haet_eval.cli.oci_runtime import oci_runtime_option
from haet_eval.cli.options import data_dir_option, json_option, record_rules_option, secret_test_option
from haet_eval.cli.paths import ExistingPath
from haet_eval.errors import ExitCode, Verdict
from haet_eval.record import Record
from haet_eval.store import Store, find_record, read_record
from haet_eval.verification.check import Check, believable

if TYPE_CHECKING:
    from haet_eval.verification.rerunning import Again  # it is slow to import


def evaluate_again(path: Path, again: "Again") -> tuple[Record, tuple[Check, ...]]:
    """Evaluate the submission of a record as the record was, and compare the two.

    Args:
        path: the record.
        again: what the record does not hold. If it says so, the new record goes to its results folder;
            otherwise the record is not kept.
    """
    from haet_eval.cli.screen import open_screen
    from haet_eval.runtimes.folder import RunFolder
    from haet_eval.verification.rerunning import compare, rerun

    stated = read_record(path)
    # A folder of a run: if this process is killed, `haet-eval clean` or the next run removes it.
    with RunFolder() as folder:
        target = again.results if again.kept else folder.path
        with open_screen() as observer:
            found = rerun(stated, replace(again, results=target), observer).record
        # Comparing with an interrupted run would say that the record differs.
        if found.status.verdict is Verdict.INTERRUPTED:
            raise KeyboardInterrupt
        # Compared inside of the block: what `compare` reads may lie in the temporary folder.
        return found, tuple(compare(stated, Store(path.parent), found, Store(target)))


@click.command(hidden=True)
@click.argument("record", metavar="RECORD")
@click.option("--submission", required=True, type=ExistingPath())
@record_rules_option
@data_dir_option()
@secret_test_option()
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path))
@click.option("--results", hidden=True, type=click.Path(file_okay=False, path_type=Path))
@oci_runtime_option
@json_option()
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
    """The former name of `verify --rerun`."""
    from haet_eval.dataset import default_data_dir
    from haet_eval.verification.rerunning import Again

    click.echo("Note: rerun is now `haet-eval verify RECORD --rerun --submission SUBMISSION`.", err=True)
    # In version 0.1.0 --results was where the new record went.
    keep = keep or _formerly(results)
    path = find_record(record, keep or Path("results"))
    again = Again(
        submission,
        data_dir or default_data_dir(),
        keep or Path(),
        competition,
        test_data,
        kept=keep is not None,
    )
    found, checks = evaluate_again(path, again)
    if as_json:
        stated = read_record(path).record_id
        facts = {"record_id": stated, "again": found.record_id, "same": believable(checks)}
        click.echo(json.dumps(facts | {"checks": [asdict(check) for check in checks]}, indent=2))
    else:
        print_checks(path, checks)
    return ExitCode.QUALIFIED if believable(checks) else ExitCode.NOT_QUALIFIED


def _formerly(results: Path | None) -> Path | None:
    """The folder by --results, the name of --keep in version 0.1.0. HAET_RESULTS is about other commands."""
    source = click.get_current_context().get_parameter_source("results")
    return results if source is ParameterSource.COMMANDLINE else None
