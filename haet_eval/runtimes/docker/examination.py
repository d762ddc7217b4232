"""Facts about the engine, for `haet-eval doctor`."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from haet_eval.runtimes.docker.engine import chosen_runtime, connect, engine
from haet_eval.runtimes.docker.image import check_image, image_digest
from haet_eval.runtimes.docker.runtime import check_engine
from haet_eval.runtimes.image_files import IMAGE, build_context


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """A reachable engine.

    Attributes:
        root_folder: the folder with its images and containers.
        swap_limited: whether the memory limit holds for swap, too.
    """

    version: str
    cgroup_version: str
    oci_runtime: str
    root_folder: Path
    swap_limited: bool


def examine_engine() -> EngineFacts:
    """Ask the engine for its facts.

    Raises:
        EnvironmentProblem: the engine does not answer.
    """
    facts = _info()
    return EngineFacts(
        version=str(facts["ServerVersion"]),
        cgroup_version=str(facts.get("CgroupVersion", "1")),
        oci_runtime=chosen_runtime() or f"{facts['DefaultRuntime']}, the engine's default",
        root_folder=Path(str(facts["DockerRootDir"])),
        swap_limited=bool(facts.get("SwapLimit")),
    )


def examine_limits() -> None:
    """Raises EnvironmentProblem if the engine cannot limit a container's resources or system calls."""
    check_engine(_info(), chosen_runtime())


def examine_image() -> str:
    """The name and the digest of the sandbox image.

    Raises:
        EnvironmentProblem: there is no image, or it was built from other sources than these.
    """
    with contextlib.closing(connect()) as client:
        check_image(client, build_context().digest)
        return f"{IMAGE}, {image_digest(client)[:19]}…"


def _info() -> dict[str, object]:
    with contextlib.closing(connect()) as client, engine("asking what it can do"):
        return dict(client.info())
