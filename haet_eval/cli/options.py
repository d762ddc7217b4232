"""The options that several commands share: one name, one type and one default wherever they stand."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import click
from click.core import ParameterSource

from haet_eval.cli.numbers import Number, WholeNumber
from haet_eval.cli.oci_runtime import refuse_runtime_without_engine
from haet_eval.cli.suggestions import suggest_competitions, suggest_tasks
from haet_eval.seeds import MAX_SEED
from haet_eval.spelling import quoted

_Option: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]


class MomentOfReceipt(click.ParamType[datetime]):
    """A date and time of RFC 3339, with its time zone."""

    # click shows it as the metavar and in its messages.
    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        from haet_eval.batch.sources import A_MOMENT, moment

        if isinstance(value, datetime):
            return value
        try:
            return moment(value)
        except ValueError:
            self.fail(f"{quoted(str(value))} is not {A_MOMENT}", param, ctx)


_MAX_RUNS: Final = 100
_SANDBOXES: Final = click.Choice(["docker", "process"])
DEVICES: Final = click.Choice(["cpu", "cuda"])
FOLDER: Final = click.Path(file_okay=False, path_type=Path)

seed_option: Final[_Option] = click.option(
    "--seed",
    default=0,
    show_default=True,
    type=WholeNumber(0, MAX_SEED),
    help="Seed of every random number generator.",
)
device_option: Final[_Option] = click.option(
    "--device", default="cpu", show_default=True, type=DEVICES, help="Where the kernels run."
)


received_option: Final[_Option] = click.option(
    "--received",
    metavar="TIME",
    type=MomentOfReceipt(),
    help="When the submission was received, as in 2026-05-01T12:00:00Z: ties go by it.  [default: not said]",
)


def json_option(description: str = "Print JSON.") -> _Option:
    """Data for a program, and no text for people."""
    return click.option("--json", "as_json", is_flag=True, help=description)


receipts_option: Final[_Option] = click.option(
    "--receipts",
    metavar="LIST",
    type=click.Path(dir_okay=False, path_type=Path),
    help="CSV with the columns path (or sha256) and received: when each entry came, with a time zone.",
)


def competition_option(description: str) -> _Option:
    """Rules by name or by file."""
    return click.option(
        "--competition", metavar="NAME|FILE", shell_complete=suggest_competitions, help=description
    )


record_rules_option: Final[_Option] = competition_option(
    "Rules of the records.  [default: built-in ones of the name in each record]"
)


def task_option(description: str) -> _Option:
    """A task by name."""
    return click.option("--task", metavar="NAME", shell_complete=suggest_tasks, help=description)


def data_dir_option(where: str = "") -> _Option:
    """The option that names the folder of the data sets."""
    text = f"Folder of the data sets{where}.  [default: the user's data folder]"
    return click.option("--data-dir", type=FOLDER, help=text)


def secret_test_option(
    description: str = "The secret test set, if the competition has one.",
) -> _Option:
    """A secret test set."""
    return click.option("--test-data", type=click.Path(path_type=Path), help=description)


def results_option(description: str) -> _Option:
    """The folder of records, `results` unless given."""
    return click.option("--results", default="results", show_default=True, type=FOLDER, help=description)


def records_folder(directory: Path | None, results: Path) -> Path:
    """The folder that a command is about: its argument, before a --results of environment or file.

    Raises:
        UsageError: both are on the command line.
    """
    source = click.get_current_context().get_parameter_source("results")
    if directory is not None and source is ParameterSource.COMMANDLINE:
        # An argument next to HAET_RESULTS is fine: the variable is a default.
        raise click.UsageError("DIRECTORY and --results name the same thing: give one of them.")
    return directory or results


run_dir_option: Final[_Option] = click.option(
    "--run-dir",
    metavar="DIR",
    type=FOLDER,
    help="Folder for the checkpoints of runs.  [default: runs in the results folder]",
)


def checkpoint_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """How often a training takes a checkpoint, and where these go."""
    every = click.option(
        "--checkpoint-every",
        metavar="SECONDS",
        default=600.0,
        show_default="600",
        type=Number(min=0),
        help="Time between two checkpoints of a counted training; 0 for none.",
    )
    return every(run_dir_option(command))


def sandbox_option(description: str, default: Literal["docker", "process"] = "docker") -> _Option:
    """Where the submission's code runs."""
    return click.option(
        "--sandbox",
        default=default,
        show_default=True,
        type=_SANDBOXES,
        callback=_check_sandbox,
        help=description,
    )


def _check_sandbox(ctx: click.Context, _: click.Parameter, sandbox: str) -> str:
    refuse_runtime_without_engine(ctx, sandbox)
    return sandbox


def runs_option(description: str) -> _Option:
    """How many runs, with different seeds."""
    runs = WholeNumber(1, _MAX_RUNS)
    return click.option("--runs", default=1, show_default=True, type=runs, help=description)


def site_options(runs: str, *, retried: str, made: str) -> _Option:
    """How many runs at a time, how often again, and on which cluster; help pages call them by these words."""
    jobs = click.option(
        "--jobs",
        metavar="N",
        type=WholeNumber(1, 1024),
        help=f"{runs} at a time.  [default: what fits, by what the rules let each use]",
    )
    retries = click.option(
        "--retries",
        metavar="N",
        default=2,
        show_default=True,
        type=WholeNumber(0, 20),
        help=f"How often {retried} is tried again when our side failed.",
    )
    scheduler = click.option(
        "--scheduler",
        metavar="ADDRESS",
        help=f"{made} on the dask cluster of this scheduler, as in tcp://node1:8786.",
    )
    return lambda command: jobs(retries(scheduler(command)))
