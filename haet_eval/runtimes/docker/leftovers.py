"""Containers that dead runs left behind."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from haet_eval.errors import EnvironmentProblem
from haet_eval.runtimes.docker import container
from haet_eval.runtimes.docker.engine import connect, engine, engine_seconds, remove_container
from haet_eval.runtimes.folder import is_abandoned, is_run_folder, place_of

_SPARE_SECONDS: Final = 60
_ENDED: Final = {"created", "exited", "dead", "removing"}
"""States in which nothing runs. Any other word counts as running: engines differ in their words."""


def remove_abandoned_containers(*, dry_run: bool = False) -> Iterator[str]:
    """Removes the containers of dead runs of this machine, unless `dry_run`; gives the name of each.

    Raises:
        EnvironmentProblem: the engine does not answer, or a container cannot be removed; the others are gone.
    """
    client = connect()
    with contextlib.closing(client):
        with engine("listing containers"):
            found = client.api.containers(all=True, filters={"label": container.LABEL_FOLDER})
            now_seconds = engine_seconds(client.api)
        problem: EnvironmentProblem | None = None
        for one in (one for one in found if is_left_over(one, now_seconds)):
            try:
                if not dry_run:
                    remove_container(client.api, one["Id"])
                yield name_of(one)
            except EnvironmentProblem as error:
                # One that is stuck must not keep the memory of the others.
                problem = problem or error
    if problem:
        raise problem


def name_of(one: Mapping[str, Any]) -> str:
    """The name of a listed container; the beginning of its id if the engine lists no name."""
    names = one.get("Names") or [one["Id"][:12]]
    return str(names[0]).lstrip("/")


def is_left_over(one: Mapping[str, Any], now_seconds: float) -> bool:
    """Whether the run of a listed container is over. An entry that cannot be understood is left alone."""
    try:
        return is_over(one["Labels"], now_seconds - one["Created"], runs=one["State"] not in _ENDED)
    except (KeyError, TypeError, ValueError):
        return False


def is_over(labels: Mapping[str, str], age_seconds: float, *, runs: bool) -> bool:
    """Whether the run of a container is over. If that is not certain, its end and a past deadline say so.

    A container that runs is left alone then. It ends itself at its deadline, so if it seems to be older,
    someone has set the engine's clock forward, or has paused the container.

    Args:
        labels: the labels of the container.
        age_seconds: the age of the container, by the engine's own clock.
        runs: whether the container runs, by the engine's own state.

    Raises:
        KeyError: there is no label with the folder.
        ValueError: haet-eval does not write such labels.
    """
    folder, place = Path(labels[container.LABEL_FOLDER]), labels.get(container.LABEL_PLACE)
    if not is_run_folder(folder):
        return False
    # A missing folder proves nothing to a process with another /tmp.
    if place and place == place_of(folder):
        return is_abandoned(folder)
    # Without this label nothing is known of its end, so it stays.
    deadline_seconds = int(labels.get(container.LABEL_DEADLINE, "0"))
    return not runs and 0 < deadline_seconds < age_seconds - _SPARE_SECONDS
