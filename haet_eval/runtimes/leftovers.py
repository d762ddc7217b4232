"""Removes the remains of dead runs on this machine, and nothing of live runs."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from haet_eval.errors import EnvironmentProblem
from haet_eval.runtimes.folder import abandoned_folders


@dataclass(frozen=True, slots=True)
class Removed:
    """The removed things. `engine_problem` says why containers may be left; empty if all were removed."""

    containers: tuple[str, ...]
    folders: tuple[Path, ...]
    engine_problem: str = ""


def remove_leftovers(*, dry_run: bool = False) -> Removed:
    """Removes containers and folders of runs that are over. Works without a Docker engine, too.

    With `dry_run` it removes nothing and returns what it would remove.

    Local worker processes need no cleaning: they end with the haet-eval that started them.
    """
    from haet_eval.runtimes.docker.leftovers import remove_abandoned_containers  # it imports the Docker SDK

    containers: list[str] = []
    problem = ""
    try:
        # One by one: if a container cannot be removed, the others are gone all the same.
        for name in remove_abandoned_containers(dry_run=dry_run):
            containers.append(name)  # noqa: PERF402 `extend` promises nothing of what came before an error
    except EnvironmentProblem as error:
        problem = error.message
    folders = tuple(abandoned_folders())
    for folder in () if dry_run else folders:
        shutil.rmtree(folder, ignore_errors=True)
    return Removed(tuple(containers), folders, problem)
