"""The end of an evaluation on the terminal: its record, and the exit status that goes with its verdict."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from haet_eval.errors import ExitCode

if TYPE_CHECKING:
    from haet_eval.evaluation.request import Request, WrittenRecord


def evaluate_and_show(request: "Request", results: Path, *, as_json: bool) -> ExitCode:
    """Make an evaluation, print its record, and return the exit status of its verdict."""
    from haet_eval.cli.screen import open_screen
    from haet_eval.evaluation.evaluate import evaluate

    with open_screen() as observer:
        outcome = evaluate(request, observer)
    # For a person the verdict decides, printed or not: it is in the record. A program needs the JSON itself.
    if not show_outcome(outcome, results, as_json=as_json) and as_json:
        return ExitCode.ENVIRONMENT
    return outcome.record.status.verdict.exit_code


def show_outcome(outcome: "WrittenRecord", results: Path, *, as_json: bool) -> bool:
    """Print the record of an evaluation, or name its file on stderr. Returns whether stdout took it."""
    from haet_eval.cli.summary import print_summary
    from haet_eval.record import to_json
    from haet_eval.store import Store

    # The rank is computed here and not in the evaluation: the record is safe by now, whatever the folder
    # holds.
    def show() -> None:
        record = Store(results).ranked(outcome.record)
        if as_json:
            click.echo(to_json(record), nl=False)
        else:
            print_summary(record, outcome.path)

    return delivered(show, outcome.path)


def delivered(show: Callable[[], object], record: Path) -> bool:
    """Print a result, or name the file of its record on stderr. Returns whether stdout took it."""
    from haet_eval.cli.boundary import say
    from haet_eval.cli.streams import deliver

    if problem := deliver(show):
        say(f"The result could not be printed: {problem}. Its record is {record}")
    return not problem
