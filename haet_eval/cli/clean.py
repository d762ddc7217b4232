"""`haet-eval clean`: remove what interrupted runs left."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from haet_eval.cli.examples import CommandWithExamples
from haet_eval.cli.options import results_option, run_dir_option

if TYPE_CHECKING:
    from haet_eval.runtimes.leftovers import Removed


@click.command(
    cls=CommandWithExamples,
    examples=(
        "haet-eval clean --dry-run",
        "haet-eval clean --results results/",
    ),
)
@results_option("Folder of records, whose artefacts are looked through.")
@run_dir_option
@click.option("--dry-run", is_flag=True, help="Remove nothing; show what would be removed.")
def clean(results: Path, run_dir: Path | None, dry_run: bool) -> None:
    """Remove containers and folders of interrupted runs; live runs are left alone.

    Also removes artefacts in the results folder that are older than a day and that no record or interrupted
    run in that folder refers to. Runs that can go on are kept for 30 days after their last checkpoint.
    """
    from haet_eval.reports.text import printable
    from haet_eval.runtimes.leftovers import remove_leftovers

    removed = remove_leftovers(dry_run=dry_run)
    # Each line is printed as soon as the thing is gone: an error further below must not hide what was
    # removed.
    lines = [*_leftovers(removed)]
    for line in lines:
        click.echo(line)
    for run in _removed_runs(results, run_dir, dry_run):
        lines.append(f"run {run}")
        click.echo(printable(lines[-1]))
    for artifact in _removed_artifacts(results, dry_run):
        lines.append(f"artefact {artifact}")
        click.echo(printable(lines[-1]))
    # Without the engine the folders can still be removed, so this is a note and no failure.
    if removed.engine_problem:
        click.echo(f"containers may be left: {removed.engine_problem}", err=True)
    elif not lines:
        click.echo("nothing was left behind", err=True)
    if dry_run and lines:
        click.echo("dry run: nothing was removed", err=True)


def _leftovers(removed: "Removed") -> Iterator[str]:
    yield from (f"container {container}" for container in removed.containers)
    yield from (f"folder {folder}" for folder in removed.folders)


def _removed_runs(results: Path, run_dir: Path | None, dry_run: bool) -> Iterator[Path]:
    """Interrupted runs that nobody went on with."""
    from haet_eval.evaluation.resumption import runs_folder
    from haet_eval.resumable import cleaned_homes

    for home in cleaned_homes(runs_folder(results, run_dir)):
        if not dry_run:
            home.remove()
        yield home.path


def _removed_artifacts(results: Path, dry_run: bool) -> Iterator[Path]:
    from haet_eval.errors import EnvironmentProblem
    from haet_eval.orphans import day_ago, find_orphans, remove_orphan
    from haet_eval.store import Store

    store = Store(results)
    # `results` is a default: whoever never evaluated here has no such folder, and nothing to clean.
    if not store.artifacts.is_dir():
        return
    try:
        # An evaluation writes artefacts before the record that names them. A day leaves it time to end.
        deadline = day_ago(store, dry_run=dry_run)
        for path in find_orphans(store, deadline):
            if dry_run or remove_orphan(path, deadline):
                yield path
    except OSError as error:
        raise EnvironmentProblem(
            f"the artefacts in {store.artifacts} cannot be looked through or removed: {error.strerror}",
            "Check the owner of that folder, or name another one with --results.",
            code="results-not-writable",
        ) from error
