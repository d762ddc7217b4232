"""`haet-eval data`: list, fetch and verify the data sets."""

import json
import sys
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

import click

from haet_eval.cli.examples import CommandWithExamples, GroupWithExamples
from haet_eval.cli.options import data_dir_option, json_option
from haet_eval.cli.suggestions import suggest_datasets
from haet_eval.errors import EnvironmentProblem, ExitCode
from haet_eval.progress import Silent

DataFacts: TypeAlias = dict[str, str | int | bool]


@click.group(
    cls=GroupWithExamples,
    examples=(
        "haet-eval data list",
        "haet-eval data fetch cifar10",
        "haet-eval data verify cifar10",
    ),
)
def data() -> None:
    """List, fetch and verify the data sets."""


@data.command("list", cls=CommandWithExamples, examples=("haet-eval data list",))
@data_dir_option()
@json_option()
def list_datasets(data_dir: Path | None, as_json: bool) -> None:
    """Show every data set and whether it is there."""
    from haet_eval.dataset import dataset_names

    rows = [_state(name, _folder(data_dir)) for name in dataset_names()]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    from rich.text import Text

    from haet_eval.cli.text import print_row, result_console, safe

    for row in rows:
        print_row(result_console(), Text(f"{row['name']:10} "), safe(str(row["state"])))


@data.command(
    cls=CommandWithExamples,
    examples=(
        "haet-eval data fetch cifar10",
        "haet-eval data fetch cifar10 --mirror https://example.org/cifar",
    ),
)
@click.argument("name", shell_complete=suggest_datasets)
@data_dir_option()
@click.option(
    "--mirror",
    "mirrors",
    multiple=True,
    envvar=["HAET_MIRROR", "HAET_DATA_MIRRORS"],  # the second was its name in version 0.1.0
    show_envvar=True,
    help="Address of a folder that has the archive, instead of the authors' host; may be repeated.",
)
def fetch(name: str, data_dir: Path | None, mirrors: tuple[str, ...]) -> None:
    """Download a data set and verify it.

    A download that stopped goes on from its last byte.
    """
    from haet_eval.dataset import fetch_dataset

    with _TransferBar() as observer:
        path = fetch_dataset(name, _folder(data_dir), observer, mirrors)
    click.echo(path)


@data.command(cls=CommandWithExamples, examples=("haet-eval data verify cifar10",))
@click.argument("name", metavar="NAME", shell_complete=suggest_datasets)
@data_dir_option()
@json_option()
def verify(name: str, data_dir: Path | None, as_json: bool) -> None:
    """Check a data set against the published checksums.

    Exit status 1: it loads, but is not the official one.
    """
    from haet_eval.dataset import load_dataset

    dataset = load_dataset(name, _folder(data_dir))
    facts: DataFacts = {
        "name": name,
        "official": dataset.official,
        "digest": dataset.digest,
        "train_images": len(dataset.train_images),
        "test_images": len(dataset.test_images),
    }
    click.echo(json.dumps(facts, indent=2) if as_json else "\n".join(f"{k:13} {v}" for k, v in facts.items()))
    sys.exit(ExitCode.QUALIFIED if dataset.official else ExitCode.NOT_QUALIFIED)


def _folder(data_dir: Path | None) -> Path:
    from haet_eval.dataset import default_data_dir

    return data_dir or default_data_dir()


def _state(name: str, data_dir: Path) -> DataFacts:
    from haet_eval.dataset import load_dataset

    try:
        official = load_dataset(name, data_dir).official
    except EnvironmentProblem as problem:
        return {"name": name, "ready": False, "state": problem.with_hint}
    return {"name": name, "ready": True, "state": "ready" if official else "ready, but not the official one"}


class _TransferBar(Silent):
    """Shows a download on stderr where that is a terminal, and notes everywhere."""

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        # stdout carries the path of the fetched file alone, for scripts.
        console = Console(stderr=True, force_interactive=sys.stderr.isatty())
        self._progress = Progress(*columns, console=console, disable=not sys.stderr.isatty())
        self._progress.start()
        # Hidden until there is a transfer: data that are here already show no empty bar.
        self._bar = self._progress.add_task("", total=None, visible=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def transfer(self, what: str, done_bytes: int, total_bytes: int | None) -> None:
        self._progress.update(
            self._bar, description=what, completed=done_bytes, total=total_bytes, visible=True
        )

    def note(self, text: str) -> None:
        # Through the console of the bar: a direct print would break its line.
        self._progress.console.print(text, markup=False, highlight=False)
