"""An executor of processes, each of which may die without harm to the others.

`concurrent.futures.ProcessPoolExecutor` gives up all its work when one process is killed. Here only the call
in the dead process fails, with `ProcessDied`, and the next call gets a new process.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from copy import copy
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from types import FrameType
from typing import Any, Final, ParamSpec, TypeVar

from haet_eval.errors import EnvironmentProblem
from haet_eval.runtimes.processes_left import naming_refused_processes

_P = ParamSpec("_P")
_T = TypeVar("_T")
# A process that was asked to end removes its containers and files first. After this time it is killed.
_END_SECONDS: Final = 90.0
# Not fork: the owner has threads, and a forked process could inherit a lock that one of them holds.
_CONTEXT: Final = multiprocessing.get_context("spawn")

_to_owner: Connection | None = None


class ProcessDied(EnvironmentProblem):
    """The process that made a run was killed."""


def send(message: object) -> None:
    """Send a message to the owner of the pool, from within a call."""
    assert _to_owner is not None
    _to_owner.send(("message", message))


class ProcessPool(Executor):
    """Calls run in processes that are started when needed and used again.

    Args:
        processes: the largest number of processes.
        receive: is called with each message of a call, from a thread of that call's own.
        environments: variables for each process; as many as processes, or none.
    """

    def __init__(
        self,
        processes: int,
        receive: Callable[[Any], None],
        environments: list[dict[str, str]] | None = None,
    ) -> None:
        self._receive = receive
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="pool")
        # Each call takes a slot from here, so no two threads use one connection at the same time.
        self._idle: SimpleQueue[_Slot] = SimpleQueue()
        self._slots = [_Slot(variables) for variables in environments or [{}] * processes]
        for slot in self._slots:
            self._idle.put(slot)

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Call the function in one of the processes; function, arguments and result are pickled."""
        return self._threads.submit(self._call, fn, args, kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes. With `cancel_futures`, running calls are ended too, by SIGTERM."""
        # With `cancel_futures` the threads cannot be waited for yet: they wait for calls that are only ended
        # below.
        self._threads.shutdown(wait=wait and not cancel_futures, cancel_futures=cancel_futures)
        # All get the signal before any is waited for, so that they unwind at the same time.
        for slot in self._slots:
            slot.ask_to_end()
        # One time for all: hung processes one after the other would take as many times as long.
        deadline = time.monotonic() + _END_SECONDS
        for slot in self._slots:
            slot.end(deadline)
        self._threads.shutdown(wait=wait)

    def _call(self, fn: Callable[..., _T], args: Any, kwargs: Any) -> _T:
        slot = self._idle.get()
        try:
            result: _T = slot.call(fn, args, kwargs, self._receive)
            return result
        finally:
            self._idle.put(slot)


class _Slot:
    """A place for a process, and its process, if any."""

    def __init__(self, variables: dict[str, str]) -> None:
        self._variables = variables
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._ending = False
        # Guards `_ending` and `_process`: no process may be started after the pool was asked to end.
        self._lock = threading.Lock()

    def call(self, fn: Callable[..., Any], args: Any, kwargs: Any, receive: Callable[[Any], None]) -> Any:
        process, connection = self._started()
        try:
            kind, value = self._talk(process, connection, (fn, args, kwargs), receive)
        except BaseException:
            # The process may be at work still, and the next call would take this one's result for its own.
            process.terminate()
            self.end(time.monotonic() + _END_SECONDS)
            raise
        if kind == "error":
            raise value
        return value

    def _talk(
        self, process: BaseProcess, connection: Connection, call: Any, receive: Callable[[Any], None]
    ) -> tuple[str, Any]:
        """Send the call, pass on its messages, and return its end."""
        with self._alive(process):
            connection.send(call)
        while True:
            with self._alive(process):
                kind, value = connection.recv()
            if kind != "message":
                return kind, value
            receive(value)

    @contextmanager
    def _alive(self, process: BaseProcess) -> Iterator[None]:
        """The pipe in this block belongs to this process alone, so its end means that the process is gone."""
        try:
            yield
        except (EOFError, ConnectionError):
            raise self._died(process) from None

    def ask_to_end(self) -> None:
        """Send SIGTERM: the process then removes the files of its call and ends."""
        with self._lock:
            self._ending = True
            if self._process is not None and self._process.is_alive():
                self._process.terminate()

    def end(self, deadline: float) -> None:
        """Wait until the process is gone, which is killed at this time of the monotonic clock."""
        if self._process is not None:
            self._process.join(max(0.0, deadline - time.monotonic()))
            if self._process.is_alive():
                self._process.kill()
                self._process.join()

    def _started(self) -> tuple[BaseProcess, Connection]:
        with self._lock:
            if self._ending:
                raise ProcessDied("the batch is being stopped", code="interrupted")
            if self._process is None or not self._process.is_alive() or self._connection is None:
                self._connection, theirs = _CONTEXT.Pipe()
                process = _CONTEXT.Process(target=_serve, args=(theirs, self._variables))
                with naming_refused_processes():
                    process.start()
                # Only now: `end` cannot wait for one that was never started.
                self._process = process
                # While this end is open here, the death of the process would not end `recv` above.
                theirs.close()
            return self._process, self._connection

    def _died(self, process: BaseProcess) -> ProcessDied:
        # The pipe closes a moment before the process has an exit status.
        process.join(_END_SECONDS)
        status = process.exitcode
        how = signal.Signals(-status).name if status is not None and status < 0 else f"status {status}"
        return ProcessDied(
            f"the process of the run died ({how})",
            "someone killed it, or the machine ran out of memory: see its kernel log",
            code="run-died",
        )


def _serve(connection: Connection, variables: dict[str, str]) -> None:
    """Serve one call after the other in the process, until the owner closes the connection or dies."""
    global _to_owner
    _to_owner = connection
    # Before the first call, because CUDA reads its variables only once in a process.
    os.environ.update(variables)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the owner decides
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_follow_owner, daemon=True).start()
    while True:
        try:
            fn, args, kwargs = connection.recv()
        except EOFError:
            return
        try:
            connection.send(("result", fn(*args, **kwargs)))
        # SystemExit passes, because `_leave` raises it to end this process.
        except Exception as error:
            _send_error(connection, error)


def _send_error(connection: Connection, error: Exception) -> None:
    """Send the error, or its text if it would not arrive: this process must not die of it."""
    try:
        copy(error)  # made again as at the other end, which fails for some classes
        connection.send(("error", error))
    except Exception:  # whatever the error's own class raises
        connection.send(("error", RuntimeError(f"{type(error).__name__}: {error}")))


def _leave(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second SIGTERM must not stop the clean-up
    # An exception, so that the `with` blocks of the call remove its containers and files.
    sys.exit(128 + signal.SIGTERM)


def _follow_owner() -> None:
    """Let this process stop cleanly when its owner dies: the owner may be killed by SIGKILL."""
    owner = multiprocessing.parent_process()
    assert owner is not None
    owner.join()
    # A signal reaches the main thread, which makes the run; this thread could not stop it.
    os.kill(os.getpid(), signal.SIGTERM)
