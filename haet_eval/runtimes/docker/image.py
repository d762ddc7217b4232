"""The sandbox image: how to build it, to find it, and to recognize a stale one."""

import contextlib
import io
from collections.abc import Callable
from typing import Any

import docker
from docker.errors import APIError, ImageNotFound

from haet_eval.errors import EnvironmentProblem
from haet_eval.runtimes import image_files
from haet_eval.runtimes.docker.engine import connect, engine
from haet_eval.runtimes.image_files import IMAGE

SOURCE_LABEL = "haet-eval.source"

_BUILD_SECONDS = 1800


def image_digest(client: docker.DockerClient) -> str:
    """The digest of the sandbox image.

    Raises:
        EnvironmentProblem: there is no image.
    """
    return str(_find(client).id)


def check_image(client: docker.DockerClient, source_digest: str) -> None:
    """Raises EnvironmentProblem if the sandbox image is missing or was built from other sources."""
    if _find(client).labels.get(SOURCE_LABEL) != source_digest:
        raise EnvironmentProblem(
            f"the sandbox image {IMAGE} was built from other sources than this haet-eval",
            "Run `haet-eval image` to build it again.",
            code="image-stale",
        )


def build_image(report: Callable[[str], None]) -> str:
    """Builds the sandbox image and returns its digest. The image that it replaces is removed, unless in use.

    Args:
        report: receives the builder's lines as they come.

    Raises:
        EnvironmentProblem: the engine does not answer or the build failed.
    """
    client = connect()
    context = image_files.build_context()
    with contextlib.closing(client), engine("building the sandbox image"):
        # The build moves the tag. The image that had it would stay without a name, with its gigabytes.
        before = {one.id for one in client.images.list(IMAGE)}
        lines = client.api.build(
            fileobj=io.BytesIO(context.tar),
            custom_context=True,
            tag=IMAGE,
            labels={SOURCE_LABEL: context.digest},
            network_mode="host",
            rm=True,
            forcerm=True,
            decode=True,
            timeout=_BUILD_SECONDS,
        )
        for line in lines:
            # The engine reports a failed build within the stream, after it has answered with success.
            if "error" in line:
                raise EnvironmentProblem(
                    f"the sandbox image could not be built: {line['error']}",
                    "The lines above show why; scripts/base-image.sh of the source repository makes"
                    " the base image without a registry.",
                    code="image-not-built",
                )
            if text := (line.get("stream") or line.get("status") or "").strip():
                report(text)
        digest = image_digest(client)
        for stale in before - {digest}:
            with contextlib.suppress(APIError):  # it is in use, or gone
                client.images.remove(stale)
        return digest


def _find(client: docker.DockerClient) -> Any:
    with engine("looking for the sandbox image"):
        try:
            return client.images.get(IMAGE)
        except ImageNotFound:
            raise EnvironmentProblem(
                f"the sandbox image {IMAGE} is missing",
                "Run `haet-eval image` to build it.",
                code="image-missing",
            ) from None
