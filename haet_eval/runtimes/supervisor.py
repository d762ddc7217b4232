"""Runs one worker of the process runtime and watches it; a program of its own, started by its path.

Usage: python -I supervisor.py LIMITS-AS-JSON COMMAND…

It ends the worker and all of its descendants when its standard input ends (haet-eval closed it, or died),
when they exceed the limits, or when the worker itself exits. On its standard output it writes lines of JSON:
the fields of a report, the last one complete.
"""

import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from typing import IO

import psutil

_LOOK_SECONDS = 0.2
_TOLD_SECONDS = 0.1
_TAIL_BYTES = 4096
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(slots=True)
class WorkerReport:
    """Facts about the worker: how it ended, if it has, and the resources that it took.

    `stopped` says that its own process stands still now (SIGSTOP), whoever stopped it.
    """

    code: int | None = None
    signal: int | None = None
    out_of_memory: bool = False
    processes_exhausted: bool = False
    stopped: bool = False
    peak_memory_bytes: int = 0
    cpu_seconds: float = 0.0
    detail: str = ""


def main() -> None:
    limits = json.loads(sys.argv[1])
    report = WorkerReport()
    _raise_soft_limits()
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)  # daemonised descendants come to us instead of to process 1
    # A file and not a pipe: nobody reads it while the worker runs, and a full pipe would stop the worker. The
    # limit on the size of files bounds it.
    with tempfile.TemporaryFile() as errors:
        worker = subprocess.Popen(  # noqa: S603 the command comes from haet-eval
            sys.argv[2:],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            # The worker leads a process group of its own, which `_end_all` kills at once.
            start_new_session=True,
            preexec_fn=lambda: _confine(limits),
        )
        _watch(worker, limits, report)
        _end_all(worker)
        report.cpu_seconds = max(report.cpu_seconds, _reaped_seconds())
        if (
            worker.returncode != -signal.SIGKILL
        ):  # who is killed says nothing about it, whatever was said before
            report.detail = report.detail or _tail(errors)
    report.code, report.signal = _status(worker.returncode)
    # The last report has to arrive, so this write may wait.
    os.set_blocking(sys.stdout.fileno(), True)
    _write(report)


def _watch(worker: subprocess.Popen[bytes], limits: dict[str, int], report: WorkerReport) -> None:
    """Returns when the worker has ended or must end."""
    # A host that does not read must not keep the limits from being watched.
    os.set_blocking(sys.stdout.fileno(), False)
    deadline = time.monotonic() + limits["deadline_seconds"]
    clock = ProcessorClock()
    while worker.poll() is None:
        if select.select([sys.stdin], [], [], _LOOK_SECONDS)[0]:
            return
        memory_bytes, threads = _usage(clock)
        worked = clock.seconds - report.cpu_seconds
        stopped, before = _is_stopped(worker), report.stopped
        # Only news: a report at each look would fill the pipe of a host that is busy.
        if memory_bytes > report.peak_memory_bytes or worked >= _TOLD_SECONDS or stopped != before:
            report.stopped = stopped
            report.peak_memory_bytes = max(report.peak_memory_bytes, memory_bytes)
            report.cpu_seconds = max(report.cpu_seconds, clock.seconds)
            _write(report)
        report.out_of_memory = memory_bytes > limits["memory_bytes"]
        report.processes_exhausted = threads > limits["processes"]
        if report.out_of_memory or report.processes_exhausted:
            return
        if time.monotonic() > deadline:
            report.detail = "ended at its own deadline"
            return


@dataclass(slots=True)
class ProcessorClock:
    """Processor time of all of our descendants.

    There are two sums. One counts an ended process as it was seen last; the other as its parent counted it
    when it waited for it. The clock takes the greater one. So it does not lose a process for which nobody
    waits, because its parent ignores SIGCHLD, nor a process that starts and ends between two looks.
    """

    seconds: float = 0.0
    _living: dict[tuple[int, float], float] = field(default_factory=dict)
    _gone: float = 0.0

    def look(self, processes: list[psutil.Process]) -> None:
        """Add the time that the processes have used since the last look."""
        found: dict[tuple[int, float], float] = {}
        waited_for = _reaped_seconds()
        for process in processes:
            try:
                times = process.cpu_times()
                # With its start, because the kernel uses numbers of processes again.
                found[process.pid, process.create_time()] = times.user + times.system
            except psutil.Error:
                continue
            waited_for += times.user + times.system + times.children_user + times.children_system
        self._gone += sum(used for which, used in self._living.items() if which not in found)
        self._living = found
        self.seconds = max(self.seconds, self._gone + sum(found.values()), waited_for)


def _reaped_seconds() -> float:
    """Processor time of our children that have ended, and of theirs that they had waited for."""
    times = os.times()
    return times.children_user + times.children_system


def _usage(clock: ProcessorClock) -> tuple[int, int]:
    """Resident bytes and threads of all of our descendants; the clock looks at them as well."""
    memory_bytes = threads = 0
    processes = psutil.Process().children(recursive=True)
    clock.look(processes)
    for process in processes:
        try:
            with process.oneshot():
                memory_bytes += process.memory_info().rss
                threads += process.num_threads()
        except psutil.Error:
            continue
    return memory_bytes, threads


def _is_stopped(worker: subprocess.Popen[bytes]) -> bool:
    """Whether the worker's own process is stopped. One that a debugger holds has another status.

    What the worker does with processes that it has started itself is its own business.
    """
    try:
        return psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return False


def _end_all(worker: subprocess.Popen[bytes]) -> None:
    """SIGKILL to the worker's process group at once, which a fork bomb cannot outrun, then to the others."""
    if worker.poll() is None:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
    # A descendant may have left the process group, and may start another before it dies: look again until
    # none is left.
    while others := psutil.Process().children(recursive=True):
        for process in others:
            try:
                process.kill()
                # Descendants without a parent are ours now, and would stay as zombies. A process that hangs
                # in the kernel is met again at the next look.
                process.wait(timeout=1)
            except (psutil.Error, ChildProcessError):
                continue


def _raise_soft_limits() -> None:
    """haet-eval has checked the hard limits only: a soft one of the shell would hold for the worker too."""
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_CPU):
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (hard, hard))


def _confine(limits: dict[str, int]) -> None:
    """Runs in the worker before its program starts."""
    # If the supervisor is killed, nothing else would end its worker.
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # A dump of a worker's memory could fill the disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits["tmp_bytes"], limits["tmp_bytes"]))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits["open_files"], limits["open_files"]))


def _prctl(option: int, value: int) -> None:
    """Works on Linux only; on other systems a daemonised descendant may outlive the worker."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _status(returncode: int) -> tuple[int | None, int | None]:
    return (None, -returncode) if returncode < 0 else (returncode, None)


def _tail(errors: IO[bytes]) -> str:
    """The end of the worker's standard error."""
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - _TAIL_BYTES))
    return errors.read(_TAIL_BYTES).decode("utf-8", "replace").strip()


def _write(report: WorkerReport) -> None:
    """A line on standard output; dropped if the pipe is full, or if haet-eval has died."""
    try:
        os.write(sys.stdout.fileno(), (json.dumps(asdict(report)) + "\n").encode())
    except (BlockingIOError, BrokenPipeError):
        return


if __name__ == "__main__":
    main()
