"""Workers as two processes of this machine, for machines without Docker.

This does not confine untrusted code: a worker runs as the user of haet-eval and may read that user's files.
Use it for your own code: the self-check, tests, a first try on a laptop. The count is the same, because the
code path is the same. A supervisor checks the limits on memory and processes a few times a second.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from haet_eval.errors import EnvironmentProblem
from haet_eval.remote.charges import MAX_TRACE_BYTES
from haet_eval.runtimes import compiled_client
from haet_eval.runtimes.environment import PYTHON_OPTIONS, VISIBLE_GPUS, gpus_left, worker_environment
from haet_eval.runtimes.failures import worker_stopped
from haet_eval.runtimes.image_files import sandbox_folder
from haet_eval.runtimes.interface import SIGKILL, Exit, MeetingPoint, Network, Role, WorkerLimits
from haet_eval.runtimes.processes_left import naming_refused_processes, processes_left

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_END_SECONDS = 60
_CODE_BYTES = 8 << 30
"""Address space that torch takes for code, threads and arenas, most of it without memory."""
_MIB = 1 << 20


class ProcessWorker:
    """One supervisor with its worker. When the supervisor's standard input closes, it ends all processes."""

    def __init__(self, supervisor: subprocess.Popen[bytes]) -> None:
        self._supervisor = supervisor
        self._unread = b""
        self._report: dict[str, Any] = {}
        self._killed = False
        self._exit: Exit | None = None
        assert supervisor.stdout is not None
        # The host polls between frames, and must not wait there for a line of the supervisor.
        os.set_blocking(supervisor.stdout.fileno(), False)

    def poll(self) -> Exit | None:
        end = self._poll()
        if end is None and self._report.get("stopped"):
            raise worker_stopped()
        if end is None and self._is_stopped():
            raise EnvironmentProblem(
                "the supervisor of a worker was stopped from outside, so nothing watches the worker's limits",
                "Run it again, and stop none of its processes.",
                code="paused",
            )
        return end

    def _poll(self) -> Exit | None:
        # In this order: a supervisor that has ended has written its last report before.
        ended = self._supervisor.poll() is not None
        self._read()
        if self._exit is None and ended:
            self._close()
            self._exit = self._ended()
        return self._exit

    def _is_stopped(self) -> bool:
        try:
            return psutil.Process(self._supervisor.pid).status() == psutil.STATUS_STOPPED
        except psutil.Error:
            return False

    def kill(self) -> None:
        if self._poll() is not None:
            return
        self._killed = True
        assert self._supervisor.stdin is not None
        # The supervisor ends everything below it when its input ends; killed itself, it could not.
        self._supervisor.stdin.close()
        self._supervisor.send_signal(signal.SIGCONT)  # one that is stopped would not notice
        try:
            self._supervisor.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            raise EnvironmentProblem(
                f"a worker process did not end within {_END_SECONDS} s of SIGKILL",
                f"Look at the processes below {self._supervisor.pid}; the machine may hang on its disk.",
                code="worker-stuck",
            ) from None
        self._poll()

    def peak_memory_bytes(self) -> int | None:
        self._read()
        return self._report.get("peak_memory_bytes") or None

    def cpu_seconds(self) -> float | None:
        self._read()
        return self._report.get("cpu_seconds")

    def processes_exhausted(self) -> bool:
        self._read()
        return bool(self._report.get("processes_exhausted"))

    def _read(self) -> None:
        """Reads the lines that the supervisor has written so far."""
        assert self._supervisor.stdout is not None
        if self._supervisor.stdout.closed:
            return
        while chunk := self._supervisor.stdout.read(65536):
            self._unread += chunk
        *lines, self._unread = self._unread.split(b"\n")
        # Each report replaces the one before it.
        if lines:
            self._report = json.loads(lines[-1])

    def _close(self) -> None:
        for stream in (self._supervisor.stdin, self._supervisor.stdout):
            assert stream is not None
            stream.close()

    def _ended(self) -> Exit:
        of_its_life = ("peak_memory_bytes", "cpu_seconds", "stopped")
        report = {key: value for key, value in self._report.items() if key not in of_its_life}
        if self._killed and report.get("signal") == SIGKILL and not report["out_of_memory"]:
            return Exit(**report | {"detail": "stopped by haet-eval"})
        # The last report of a supervisor says how its worker ended. Without it, someone has killed the
        # supervisor.
        if report.get("code") is None and report.get("signal") is None:
            return Exit(None, SIGKILL, from_outside=True, detail="its supervisor was killed")
        return Exit(**report, sender_unknown=report.get("signal") is not None)


class ProcessRuntime:
    """Starts workers as local processes.

    Args:
        mains: the command of each role, to which the socket's path is added; None for the sandbox's own.
    """

    def __init__(self, *, mains: Mapping[Role, Sequence[str]] | None = None) -> None:
        self._mains = mains if mains is not None else sandbox_mains()
        self._workers: list[ProcessWorker] = []

    def check(self) -> None:
        """Local workers train with the PyTorch of this environment.

        Raises:
            EnvironmentProblem: it has none.
        """
        if find_spec("torch") is None:
            raise EnvironmentProblem(
                "PyTorch is not installed here, and local processes train with it",
                "pip install 'haet-eval[local]', or use --sandbox docker: its image has PyTorch",
                code="torch-missing",
            )

    def describe(self) -> Mapping[str, str]:
        return {}

    def start(
        self,
        role: Role,
        socket_path: Path,
        limits: WorkerLimits,
        environment: Mapping[str, str],
        network: Network = None,  # noqa: ARG002 a local process reaches what its user does
    ) -> ProcessWorker:
        _check_own_limits(limits)
        home = socket_path.parent.with_name(f"{socket_path.parent.name}-home")
        home.mkdir(exist_ok=True)
        folders = {"HOME": str(home), "TMPDIR": str(home)}
        folders |= compiled_client.environment(role)
        variables = worker_environment(role, folders | _with_gpus(role, environment))
        return self._launch(supervised(limits, [*self._mains[role], str(socket_path)]), variables, home)

    def _launch(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path | None = None
    ) -> ProcessWorker:
        """A worker whose supervisor this command starts."""
        with naming_refused_processes():
            supervisor = subprocess.Popen(  # noqa: S603 our own program or the user's ssh, our own command
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=folder,
                env=environment,
                # Ctrl-C reaches the whole session of a terminal: haet-eval alone gets it, and ends its
                # workers.
                start_new_session=True,
            )
        worker = ProcessWorker(supervisor)
        self._workers.append(worker)
        return worker

    def running_containers(self) -> int | None:
        return None

    def meeting_point(self) -> MeetingPoint:
        """A port that no process uses at this moment: local processes share the machine's loopback device."""
        with socket.socket() as trial:
            trial.bind(("127.0.0.1", 0))
            return MeetingPoint("127.0.0.1", int(trial.getsockname()[1]), one_machine=True)

    def close(self) -> None:
        with ExitStack() as stack:  # one that cannot be ended does not keep the others alive
            for worker in self._workers:
                stack.callback(worker.kill)
            self._workers = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _check_own_limits(limits: WorkerLimits) -> None:
    """Check the limits of haet-eval's own process: workers inherit them, and would be judged for them.

    Processor time is that of the worker's processors up to its deadline. The largest file is the trace.

    Raises:
        EnvironmentProblem: a limit of the shell is lower than what a worker may use.
    """
    import resource  # Windows does not have it, but haet-eval runs no submission there

    memory = limits.memory_bytes + _CODE_BYTES
    cpu_seconds = ceil(limits.deadline_seconds * (limits.cpus or os.cpu_count() or 1))
    file_bytes = max(limits.tmp_bytes, MAX_TRACE_BYTES)
    needs = (
        (resource.RLIMIT_NOFILE, "n", limits.open_files, "files at once", 1),
        (resource.RLIMIT_AS, "v", memory, "MiB of addresses", _MIB),
        (resource.RLIMIT_DATA, "d", memory, "MiB of data", _MIB),
        (resource.RLIMIT_CPU, "t", cpu_seconds, "s of processor time", 1),
        (resource.RLIMIT_FSIZE, "f", file_bytes, "MiB in a file", _MIB),
    )
    # Hard limits only: the supervisor raises the soft ones.
    for kind, option, needed, unit, size in needs:
        allowed = resource.getrlimit(kind)[1]
        if allowed != resource.RLIM_INFINITY and allowed < needed:
            raise EnvironmentProblem(
                f"a process may have {allowed // size:,} {unit} here, and an evaluation needs"
                f" {needed // size:,}",
                f"Run it where `ulimit -H{option}` says unlimited, or enough.",
                code="own-limit",
            )
    _check_processes(limits.processes)


def _check_processes(needed: int) -> None:
    """Check the limits on processes; PyTorch ends with status 1 if it is refused a thread.

    Raises:
        EnvironmentProblem: fewer are left than a worker may start.
    """
    left = processes_left()
    if left is not None and left.number < needed:
        raise EnvironmentProblem(
            f"{left.number:,} more processes and threads may be started here, and an evaluation needs"
            f" {needed:,}",
            f"Allow more: {left.limit}.",
            code="own-limit",
        )


def supervised(limits: WorkerLimits, command: Sequence[str]) -> list[str]:
    """The command that runs a worker's command under a supervisor."""
    return [sys.executable, "-I", "-B", str(_SUPERVISOR), json.dumps(asdict(limits)), *command]


def _with_gpus(role: Role, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment, with a GPU that is one of those that a batch or a scheduler left to this process.

    If `environment` names no GPU, the worker sees all that were left to this process, or all of the machine.
    """
    left, asked = gpus_left(), environment.get(VISIBLE_GPUS)
    # The submission's process holds handles, and needs no GPU.
    if left is None or role is Role.SUBMISSION:
        return dict(environment)
    # A node for which no GPU is left sees none, and reports that before the training.
    seen = left if asked is None else left[int(asked) :][:1]
    return {**environment, VISIBLE_GPUS: ",".join(seen)}


def sandbox_mains() -> dict[Role, Sequence[str]]:
    """The command of each role; the socket's path becomes its last argument."""
    folder = sandbox_folder()
    return {role: (sys.executable, *PYTHON_OPTIONS, str(folder / f"{role}.py")) for role in Role}
