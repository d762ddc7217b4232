"""The contract of each runtime: how to start, watch and end the worker processes of an evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, NamedTuple, Protocol, Self, TypeAlias

SIGKILL: Final = 9
"""A number, because Windows does not know the signal."""


class Role(StrEnum):
    """The role of a worker: one of the pair that counts, or a node that trains on plain tensors."""

    SUBMISSION = "submission"
    EXECUTOR = "executor"
    NATIVE = "native"


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """The limits of one worker. The runtime ends a worker that exceeds them.

    Attributes:
        memory_bytes: resident memory of all its processes, files in its /tmp and /dev/shm included.
        processes: processes and threads alive at once.
        cpus: processors' worth of time; None means all of the machine.
        tmp_bytes: size of its /tmp, and of the largest file that it may write.
        tmp_inodes: files and folders in its /tmp.
        shm_bytes: size of its /dev/shm.
        open_files: file descriptors of one process.
        deadline_seconds: the worker ends after this time even if haet-eval has died. It is longer than any
            budget that haet-eval itself watches.
    """

    memory_bytes: int
    processes: int
    deadline_seconds: int
    cpus: float | None = None
    tmp_bytes: int = 64 * 2**20
    tmp_inodes: int = 4096
    shm_bytes: int = 16 * 2**20
    open_files: int = 1024


@dataclass(frozen=True, slots=True)
class Exit:
    """How a worker ended.

    Attributes:
        code: its exit status; None if a signal ended it.
        signal: the signal that ended it; None if it exited.
        out_of_memory: it was killed because it exceeded `memory_bytes`.
        processes_exhausted: it was refused a process, or killed because it had too many.
        from_outside: neither haet-eval nor the worker ended it, but `docker kill`, or a machine out of
        memory. sender_unknown: a signal ended it, and this runtime cannot know whether the worker sent it
        itself. detail: more facts for the reader of a record or an error. Untrusted text.
    """

    code: int | None
    signal: int | None
    out_of_memory: bool = False
    processes_exhausted: bool = False
    from_outside: bool = False
    sender_unknown: bool = False
    detail: str = ""


class Worker(Protocol):
    """One running worker. Every method raises EnvironmentProblem if the engine no longer answers."""

    def poll(self) -> Exit | None:
        """The end of the worker, or None while it runs. After `kill` of a running worker: signal 9."""

    def kill(self) -> None:
        """Ends every process of the worker with SIGKILL, waits until it is gone and leaves nothing behind."""

    def peak_memory_bytes(self) -> int | None:
        """The peak memory of the worker so far; None if it is not known."""

    def cpu_seconds(self) -> float | None:
        """Processor time of all its processes so far, those that have ended included; None if not known."""

    def processes_exhausted(self) -> bool:
        """Whether the worker has been refused a process so far. Often it lives on in spite of that."""


Network: TypeAlias = Worker | Literal["own"] | None
"""The network of a worker. None: only its unix socket. "own": also a loopback device of its own, through
sockets of the internet's families. A worker: the loopback device of that worker. No worker reaches any other
network."""


class MeetingPoint(NamedTuple):
    """An address and a port, for the first of several workers to listen on.

    `one_machine`: they are on one machine, meet on its loopback device and share its GPUs.
    """

    address: str
    port: int
    one_machine: bool


class Runtime(Protocol):
    """Starts workers of one kind. A context manager: its exit kills the workers that still run."""

    def check(self) -> None:
        """Checks that workers can be started.

        Raises:
            EnvironmentProblem: workers cannot be started; the hint says what to do.
        """

    def describe(self) -> Mapping[str, str]:
        """Facts for the record, such as `image_digest` and `engine_version`. Call `check` first."""

    def start(
        self,
        role: Role,
        socket_path: Path,
        limits: WorkerLimits,
        environment: Mapping[str, str],
        network: Network = None,
    ) -> Worker:
        """Starts a worker that connects to the unix socket at `socket_path`.

        Args:
            role: which of the mains to run.
            socket_path: a socket that listens already, from `RunFolder.listen`.
            limits: what the worker may use.
            environment: variables in addition to the few that every worker gets (see `environment.py`). No
                variable of haet-eval's own environment is passed on.
            network: see `Network`; a worker is one that this runtime has started.
        """

    def running_containers(self) -> int | None:
        """How many containers run on this machine; None if this runtime has no engine to ask."""

    def meeting_point(self) -> MeetingPoint:
        """An address at which workers that train together can meet."""

    def close(self) -> None:
        """Kills the workers that still run."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
