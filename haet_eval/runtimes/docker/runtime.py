"""Starts workers in containers of the sandbox image."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from haet_eval.errors import EnvironmentProblem
from haet_eval.runtimes.compiled_client import switched_off
from haet_eval.runtimes.docker import container
from haet_eval.runtimes.docker.engine import chosen_runtime, connect, engine, remove_container
from haet_eval.runtimes.docker.image import check_image, image_digest
from haet_eval.runtimes.docker.worker import DockerWorker
from haet_eval.runtimes.environment import PYTHON_OPTIONS, worker_environment
from haet_eval.runtimes.image_files import IMAGE, build_context
from haet_eval.runtimes.interface import MeetingPoint, Network, Role, WorkerLimits
from haet_eval.spelling import quoted

PYTHON = "/opt/venv/bin/python"
MEETING_PORT = 29500
MAINS = {role: (PYTHON, *PYTHON_OPTIONS, f"/opt/sandbox/{role}.py") for role in Role}


class DockerRuntime:
    """Starts workers in containers of the sandbox image.

    Args:
        oci_runtime: another OCI runtime that the engine knows, such as `runsc`; None for the one that
            HAET_OCI_RUNTIME names, or the engine's default.
        cuda: give the machine's GPUs to the executor, or to the nodes.
        mains: the command of each role; the socket's path becomes its last argument.
    """

    def __init__(
        self,
        *,
        oci_runtime: str | None = None,
        cuda: bool = False,
        mains: Mapping[Role, Sequence[str]] = MAINS,
    ) -> None:
        self._client = connect()
        self._oci_runtime = oci_runtime or chosen_runtime()
        self._cuda = cuda
        self._mains = mains
        self._workers: list[DockerWorker] = []

    def check(self) -> None:
        with engine("asking what it can do"):
            facts = self._client.info()
        check_engine(facts, self._oci_runtime)
        check_image(self._client, build_context().digest)

    def describe(self) -> Mapping[str, str]:
        with engine("asking for its version"):
            facts = self._client.info()
        return {
            "image": IMAGE,
            "image_digest": image_digest(self._client),
            "engine_version": facts["ServerVersion"],
            "oci_runtime": self._oci_runtime or facts["DefaultRuntime"],
            "cgroup_version": facts.get("CgroupVersion", "1"),
        }

    def start(
        self,
        role: Role,
        socket_path: Path,
        limits: WorkerLimits,
        environment: Mapping[str, str],
        network: Network = None,
    ) -> DockerWorker:
        command = [*self._mains[role], f"{container.SOCKET_FOLDER}/{socket_path.name}"]
        options = container.confinement(role, limits, oci_runtime=self._oci_runtime, cuda=self._cuda)
        options |= container.loopback(network)
        with engine(f"starting the {role} worker"):
            created = self._client.containers.create(
                # By digest: another image could get the name between the check and the start.
                image_digest(self._client),
                container.deadline_command(limits, command),
                environment=worker_environment(
                    role, {"HOME": container.HOME, **environment} | switched_off(role)
                ),
                volumes=container.socket_mount(socket_path),
                labels=dict(container.labels(socket_path.parent.parent, limits)),
                **options,
            )
            try:
                created.start()
                # Only a started container has the number of its process 1, whose control group is read.
                created.reload()
                worker = DockerWorker(
                    self._client, created.id, created.attrs["State"], limits.deadline_seconds, role
                )
            # No worker knows this container yet, so nobody else would remove it.
            except BaseException:
                remove_container(self._client.api, created.id)
                raise
        self._workers.append(worker)
        return worker

    def running_containers(self) -> int | None:
        with engine("listing containers"):
            return len(self._client.api.containers())

    def meeting_point(self) -> MeetingPoint:
        """Any port: nothing else is on a loopback device that was made for this run."""
        return MeetingPoint("127.0.0.1", MEETING_PORT, one_machine=True)

    def close(self) -> None:
        with ExitStack() as stack:  # one that cannot be removed does not keep the others alive
            # First in, last out: the kills need the client.
            stack.callback(self._client.close)
            for worker in self._workers:
                stack.callback(worker.kill)
            self._workers = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check_engine(facts: Mapping[str, Any], oci_runtime: str | None) -> None:
    """Check that the engine has the features without which limits and confinement do not hold.

    Args:
        facts: the engine's description of itself.
        oci_runtime: a runtime that it must know; None for its default.

    Raises:
        EnvironmentProblem: names the missing feature.
    """
    # An engine without these features starts containers all the same, and only warns.
    missing = [
        what
        for key, what in (
            ("MemoryLimit", "limit memory"),
            ("PidsLimit", "limit processes"),
            ("CpuCfsQuota", "limit processor time"),
        )
        if not facts.get(key)
    ]
    if not any("seccomp" in option for option in facts.get("SecurityOptions") or ()):
        missing.append("filter system calls (seccomp)")
    if facts.get("OSType") != "linux":
        missing.append("run Linux containers")
    if missing:
        raise EnvironmentProblem(
            f"the Docker engine cannot {', '.join(missing)}",
            "Use Docker on a Linux machine whose kernel has control groups and seccomp.",
            code="engine-limits",
        )
    if oci_runtime is not None and oci_runtime not in facts.get("Runtimes", {}):
        raise EnvironmentProblem(
            f"the Docker engine has no runtime {quoted(oci_runtime)}, "
            f"only {', '.join(facts.get('Runtimes', {}))}",
            "Name one of these with --oci-runtime or HAET_OCI_RUNTIME, or install it and name it in the"
            " engine's daemon.json.",
            code="engine-runtime",
        )
