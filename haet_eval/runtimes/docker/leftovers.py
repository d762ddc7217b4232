"""Containers that dead runs left behind."""

import contextlib
import socket
from pathlib import Path

from haet_eval.runtimes.docker import container
from haet_eval.runtimes.docker.engine import connect, engine, remove_container
from haet_eval.runtimes.folder import is_abandoned


def remove_abandoned_containers() -> list[str]:
    """Removes the containers of dead runs of this machine; gives their names."""
    client = connect()
    removed = []
    with contextlib.closing(client):
        with engine("listing containers"):
            found = client.api.containers(all=True, filters={"label": container.LABEL_FOLDER})
        for one in found:
            labels = one["Labels"]
            ours = labels.get(container.LABEL_HOST) == socket.gethostname()
            if ours and is_abandoned(Path(labels[container.LABEL_FOLDER])):
                remove_container(client.api, one["Id"])
                removed.append(one["Names"][0].lstrip("/"))
    return removed
