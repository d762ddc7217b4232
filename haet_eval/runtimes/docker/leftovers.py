"""Containers that dead runs left behind."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from haet_eval.runtimes.docker import container
from haet_eval.runtimes.docker.engine import connect, engine, engine_seconds, remove_container
from haet_eval.runtimes.folder import is_abandoned, place_of

_SPARE_SECONDS: Final = 60
_ALIVE: Final = {"running", "paused", "restarting"}


def remove_abandoned_containers(*, dry_run: bool = False) -> list[str]:
    """Removes the containers of dead runs of this machine, unless `dry_run`; returns their names."""
    client = connect()
    removed = []
    with contextlib.closing(client):
        with engine("listing containers"):
            found = client.api.containers(all=True, filters={"label": container.LABEL_FOLDER})
            now_seconds = engine_seconds(client.api)
        for one in found:
            if is_over(one["Labels"], now_seconds - one["Created"], runs=one["State"] in _ALIVE):
                if not dry_run:
                    remove_container(client.api, one["Id"])
                removed.append(one["Names"][0].lstrip("/"))
    return removed


def is_over(labels: Mapping[str, str], age_seconds: float, *, runs: bool) -> bool:
    """Whether the run of a container is over. If that is not certain, its end and a past deadline say so.

    A container that runs is left alone then. It ends itself at its deadline, so if it seems to be older,
    someone has set the engine's clock forward, or has paused the container.

    Args:
        labels: the labels of the container.
        age_seconds: the age of the container, by the engine's own clock.
        runs: whether the container runs, by the engine's own state.
    """
    folder, place = Path(labels[container.LABEL_FOLDER]), labels.get(container.LABEL_PLACE)
    if place and place == place_of(folder):
        return is_abandoned(folder)
    return not runs and age_seconds > float(labels.get(container.LABEL_DEADLINE, "inf")) + _SPARE_SECONDS
