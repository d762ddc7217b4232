"""The two workers of an evaluation, started and connected: what a run happens in."""

import math
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

from haet_eval.competition import Budgets
from haet_eval.errors import EnvironmentProblem, SubmissionFailure, Verdict
from haet_eval.interruption import check as check_interruption
from haet_eval.remote import charges
from haet_eval.remote.connection import Connection
from haet_eval.remote.executor_link import ExecutorLink
from haet_eval.remote.meter import Meter
from haet_eval.remote.relay import Relay
from haet_eval.remote.trace import TraceWriter
from haet_eval.runtimes.failures import judge_end
from haet_eval.runtimes.folder import RunFolder
from haet_eval.runtimes.interface import Role, Runtime, Worker, WorkerLimits

PAIR: Final = (Role.EXECUTOR, Role.SUBMISSION)
_START_SECONDS: Final = 120
END_SECONDS: Final = 10.0
GRACE_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 1.0
CLIENT_MEMORY_BYTES: Final = 4 << 30
_SPARE_SECONDS: Final = 300


@dataclass
class Watch:
    """Looks at a running stage a few times a second, and ends it when its time or a worker is over.

    It is also the clock that decides what came in time.
    """

    workers: Mapping[Role, Worker]
    stage: str = "train"
    budget_seconds: float = float(_START_SECONDS)
    started: float = field(default_factory=time.monotonic)
    grace_seconds: float = 0.0
    submission_started: bool = False
    _polled: float = 0.0

    def begin(self, stage: str, budget_seconds: float) -> None:
        """A stage begins now and may take that long."""
        self.stage, self.budget_seconds = stage, budget_seconds
        self.grace_seconds = 0.0
        self.started = time.monotonic()
        self.submission_started = True

    @property
    def elapsed_seconds(self) -> float:
        return time.monotonic() - self.started

    def is_over(self) -> bool:
        """Whether the stage has taken all its time."""
        return self.elapsed_seconds > self.budget_seconds

    def allow_grace(self) -> None:
        """There is a checkpoint: give the submission a moment to hand it in when the time is over."""
        self.grace_seconds = GRACE_SECONDS

    def look(self) -> None:
        """Raises SubmissionFailure, EnvironmentProblem or KeyboardInterrupt when the stage must not go on."""
        check_interruption()
        if self.elapsed_seconds > self.budget_seconds + self.grace_seconds:
            self.overdue()
        if time.monotonic() - self._polled > _POLL_SECONDS:
            self._polled = time.monotonic()
            self.check_workers()

    def overdue(self) -> NoReturn:
        """The time of the stage is over."""
        if not self.submission_started:
            raise EnvironmentProblem(
                f"the workers did not start within {_START_SECONDS} s",
                "the machine may be overloaded; try again",
                code="start-too-slow",
            )
        what = "training" if self.stage == "train" else "prediction"
        raise SubmissionFailure(
            Verdict.LIMIT_TIME,
            f"The {what} took longer than its budget of {self.budget_seconds:,.0f} s.",
            code="limit-time",
        )

    def check_workers(self) -> None:
        """Raises when a worker has ended; the executor is judged first, as the other ends with it."""
        for role in PAIR:
            end = self.workers[role].poll() if role in self.workers else None
            if end is not None:
                raise judge_end(role, end, submission_started=self.submission_started)

    def explained(self, failure: SubmissionFailure) -> SubmissionFailure:
        """The failure itself, or the limit behind it: code that was refused a process often just raises."""
        if failure.verdict is Verdict.FAILED and self.workers[Role.SUBMISSION].processes_exhausted():
            return SubmissionFailure(
                Verdict.LIMIT_PROCESSES,
                f"The submission started more processes and threads than it may. It said: {failure.reason}",
                code="limit-processes",
            )
        return failure

    def wait_for_end(self, lost: Role = Role.EXECUTOR) -> NoReturn:
        """The connection of this worker is lost: find out which worker ended, and how."""
        deadline = time.monotonic() + END_SECONDS
        while time.monotonic() < deadline:
            self.check_workers()
            time.sleep(0.05)
        if lost is Role.SUBMISSION:
            raise SubmissionFailure(
                Verdict.FAILED,
                "The submission's process closed its connection to the evaluator and went on running.",
                code="connection-closed",
            )
        raise EnvironmentProblem(
            "a worker closed its connection and went on running",
            "run it again; `haet-eval doctor` may know more",
            code="connection-lost",
        )


@dataclass(frozen=True, slots=True)
class Run:
    """Two connected workers, with the meter between them. `trace_path` is complete once `trace` is closed."""

    relay: Relay
    meter: Meter
    watch: Watch
    trace: TraceWriter
    trace_path: Path


def executor_threads(budgets: Budgets) -> int:
    """Threads that kernels run on: what the budget allows and the machine has."""
    return max(1, min(budgets.cpus, os.cpu_count() or 1))


@contextmanager
def open_run(runtime: Runtime, budgets: Budgets, header: Mapping[str, object]) -> Iterator[Run]:
    """Start both workers and connect them; on leaving, nothing of them is left.

    Args:
        runtime: how the workers are run.
        budgets: what they may use.
        header: facts that the trace begins with.

    Raises:
        EnvironmentProblem: the workers cannot be started.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(RunFolder())
        listeners = {role: stack.enter_context(folder.listen(role)) for role in PAIR}
        stack.enter_context(runtime)
        threads = executor_threads(budgets)
        workers = {
            Role.EXECUTOR: _start_executor(runtime, folder, budgets, threads),
            Role.SUBMISSION: runtime.start(
                Role.SUBMISSION,
                folder.socket_path(Role.SUBMISSION),
                limits_of(budgets, min(CLIENT_MEMORY_BYTES, budgets.memory_bytes), 1),
                {"OMP_NUM_THREADS": "1", "TORCH_COMPILE_DISABLE": "1"},
            ),
        }
        watch = Watch(workers)
        connections = {role: Connection(accept(listeners[role], watch)) for role in PAIR}
        for connection in connections.values():
            stack.callback(connection.close)
        trace_path = folder.path / "trace"
        trace = TraceWriter(trace_path, dict(header))
        stack.callback(trace.close)
        meter = Meter(_meter_budgets(budgets), trace)
        relay = Relay(
            submission=connections[Role.SUBMISSION],
            executor=connections[Role.EXECUTOR],
            meter=meter,
            watch=watch.look,
            report=lambda _: None,
            output_bytes=budgets.output_bytes,
        )
        yield Run(relay, meter, watch, trace, trace_path)


@contextmanager
def open_executor(runtime: Runtime, budgets: Budgets, threads: int) -> Iterator[ExecutorLink]:
    """Start an executor alone, as a replay needs it; on leaving, nothing of it is left.

    Raises:
        EnvironmentProblem: it cannot be started.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(RunFolder())
        listener = stack.enter_context(folder.listen(Role.EXECUTOR))
        stack.enter_context(runtime)
        watch = Watch({Role.EXECUTOR: _start_executor(runtime, folder, budgets, threads)})
        connection = Connection(accept(listener, watch), watch.look)
        stack.callback(connection.close)
        watch.begin("train", math.inf)
        yield ExecutorLink(connection)


def _start_executor(runtime: Runtime, folder: RunFolder, budgets: Budgets, threads: int) -> Worker:
    return runtime.start(
        Role.EXECUTOR,
        folder.socket_path(Role.EXECUTOR),
        limits_of(budgets, budgets.memory_bytes, min(threads, os.cpu_count() or 1)),
        {"OMP_NUM_THREADS": str(threads)},
    )


def limits_of(budgets: Budgets, memory_bytes: int, cpus: int) -> WorkerLimits:
    """The limits of a worker: what the budgets say, and a deadline that no run in order reaches."""
    deadline = _START_SECONDS + budgets.wall_seconds + budgets.prediction_seconds + _SPARE_SECONDS
    return WorkerLimits(
        memory_bytes=memory_bytes,
        processes=budgets.processes,
        deadline_seconds=deadline,
        cpus=float(cpus),
    )


def _meter_budgets(budgets: Budgets) -> charges.Budgets:
    return charges.Budgets(
        readback_bytes=budgets.readback_bytes,
        upload_bytes=budgets.upload_bytes,
        messages=budgets.messages,
        operations=budgets.operations,
        prediction_operations_per_image=budgets.prediction_operations_per_image,
    )


def accept(listener: socket.socket, watch: Watch) -> socket.socket:
    """The connection of the worker that the socket is for; the watch raises where none comes."""
    listener.settimeout(0.1)
    while True:
        try:
            return listener.accept()[0]
        except TimeoutError:
            watch.look()
