"""`haet-eval resume`: go on with a run that was interrupted."""

from dataclasses import replace
from pathlib import Path

import click

from haet_eval.cli.boundary import say_line
from haet_eval.cli.examples import CommandWithExamples
from haet_eval.cli.options import data_dir_option, json_option, results_option, run_dir_option
from haet_eval.cli.outcome import evaluate_and_show
from haet_eval.errors import ExitCode


@click.command(
    cls=CommandWithExamples,
    examples=(
        "haet-eval resume",
        "haet-eval resume 20261127T1834",
        "haet-eval resume /shared/runs/20261127T183448Z-entry-zip-1ec44b65",
    ),
)
@click.argument("run", required=False)
@results_option("Folder of the results: runs that can go on are in its folder runs.")
@run_dir_option
@data_dir_option()
@json_option("Print the record as JSON.")
def resume(
    run: str | None, results: Path, run_dir: Path | None, data_dir: Path | None, as_json: bool
) -> ExitCode:
    """Go on with RUN, a counted training that was interrupted, at its last checkpoint.

    RUN is the folder of a run, or the beginning of its name. Without RUN, all runs that can go on are listed.
    The record goes to the results folder of before.

    Exit status: that of the evaluation; without RUN 0.
    """
    from haet_eval.evaluation.resumption import request_of, runs_folder
    from haet_eval.resumable import named_home

    base = runs_folder(results, run_dir)
    if run is None:
        _list(base)
        return ExitCode.QUALIFIED
    request = request_of(named_home(run, base))
    # The run keeps its own settings. Only the data may lie elsewhere on the machine that goes on with it.
    if data_dir is not None:
        request = replace(request, data_dir=data_dir)
    return evaluate_and_show(request, request.results, as_json=as_json)


def _list(base: Path) -> None:
    """A line for each run that can go on."""
    from haet_eval.reports.text import printable
    from haet_eval.resumable import described, homes

    lines = [described(home) for home in homes(base)]
    for line in lines:
        click.echo(printable(line))
    if not lines:
        say_line(f"No run in {base} can go on.")
