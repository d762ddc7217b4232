"""The connection to the Docker engine, and its errors as ours."""

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException, NotFound

from haet_eval.errors import EnvironmentProblem

_DEFAULT_ADDRESS = "unix:///var/run/docker.sock"
_CALL_SECONDS = 60
_REMOVAL_SECONDS = 60
_CONFLICT = 409  # the container's removal is under way


def chosen_runtime() -> str | None:
    """The OCI runtime that HAET_OCI_RUNTIME names (as DOCKER_HOST names the engine); None for the default."""
    return os.environ.get("HAET_OCI_RUNTIME") or None


@contextlib.contextmanager
def engine(doing: str) -> Iterator[None]:
    """Turns the SDK's errors into an EnvironmentProblem that names the action in `doing`."""
    try:
        yield
    # The SDK lets the errors of its HTTP library through, a timeout among them.
    except (DockerException, requests.exceptions.RequestException) as error:
        raise EnvironmentProblem(
            f"the Docker engine failed while haet-eval was {doing}: {error}",
            "See whether `docker info` answers; `sudo systemctl start docker` starts it on most machines. "
            "`haet-eval clean` "
            "removes what an interrupted run left.",
            code="engine-failed",
        ) from error


def engine_seconds(api: docker.APIClient) -> float:
    """Seconds since 1970 by the engine's own clock, which also dates its events and containers."""
    return seconds_of(api.info()["SystemTime"])


def seconds_of(moment: str) -> float:
    """Seconds since 1970, from a moment in the engine's format."""
    return datetime.fromisoformat(moment).timestamp()


def connect() -> docker.DockerClient:
    """A client of this machine's engine.

    Raises:
        EnvironmentProblem: no engine answers, or it runs on another machine, where sockets cannot be shared.
    """
    address = os.environ.get("DOCKER_HOST") or _DEFAULT_ADDRESS
    if not address.startswith("unix://"):
        raise EnvironmentProblem(
            f"DOCKER_HOST is {address}, an engine elsewhere; containers must share sockets with this machine",
            "Unset DOCKER_HOST and use an engine on this machine.",
            code="engine-elsewhere",
        )
    _find_socket(address.removeprefix("unix://"))
    with engine("connecting"):
        # Each call has a limit: an engine that hangs would keep the run and its other containers waiting.
        client = docker.from_env(timeout=_CALL_SECONDS)
        client.ping()
    return client


def _find_socket(path: str) -> None:
    """Raises a short error if there is no engine, or if this user may not use it; the SDK's error is long."""
    with socket.socket(socket.AF_UNIX) as trial:
        trial.settimeout(_CALL_SECONDS)
        try:
            trial.connect(path)
        except PermissionError:
            raise EnvironmentProblem(
                f"this user may not talk to the Docker engine at {path}",
                "Add the user to the group `docker`, then log in again.",
                code="engine-permission",
            ) from None
        except OSError as error:
            raise EnvironmentProblem(
                f"no Docker engine answers at {path} ({error.strerror or error})",
                "Start it, on most machines with `sudo systemctl start docker`, "
                "or do without: --sandbox process.",
                code="engine-absent",
            ) from None


def remove_container(api: Any, container_id: str) -> None:
    """Kills and removes a container and waits until it is gone: with SIGKILL, which no worker can ignore."""
    deadline = time.monotonic() + _REMOVAL_SECONDS
    with engine("removing a worker"):
        while time.monotonic() < deadline:
            try:
                # Again until the engine no longer knows it: the first answer may come while the removal is
                # under way.
                api.remove_container(container_id, force=True, v=True)
            except NotFound:
                return
            except APIError as error:
                if error.status_code != _CONFLICT:
                    raise
            time.sleep(0.02)
    raise EnvironmentProblem(
        f"the container {container_id[:12]} could not be removed within {_REMOVAL_SECONDS} s",
        "Restart the Docker engine, then run `haet-eval clean`.",
        code="container-stuck",
    )
