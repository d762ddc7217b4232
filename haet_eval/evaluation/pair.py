"""The two workers of a counted evaluation, started and connected, with the meter between them."""

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from haet_eval.competition import Budgets
from haet_eval.evaluation.course import Attempt, Course
from haet_eval.evaluation.frame import (
    CLIENT_MEMORY_BYTES,
    accept,
    executor_threads,
    limits_of,
    usable_cpus,
)
from haet_eval.evaluation.watch import EXECUTOR, Watch
from haet_eval.remote import charges
from haet_eval.remote.connection import Connection
from haet_eval.remote.executor_link import ExecutorLink
from haet_eval.remote.log import OutputLog
from haet_eval.remote.meter import Meter
from haet_eval.remote.relay import Relay
from haet_eval.remote.trace import TraceWriter
from haet_eval.runtimes.folder import RunFolder
from haet_eval.runtimes.interface import Role, Runtime, Worker, WorkerLimits

_AHEAD_BYTES: Final = 8 << 20
"""Bytes of records that the submission may be ahead of the executor. If it waits for room, the time of the
wait depends on the executor's work, and so on data. Room for many records makes such waits rare, so that each
can be charged."""

_ROLES: Final = {EXECUTOR: Role.EXECUTOR, 0: Role.SUBMISSION}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two connected workers, with the meter between them. `trace_path` is complete once `trace` is closed.

    `attempt` is the part of a course that this is, if there is a course.
    """

    relay: Relay
    meter: Meter
    watch: Watch
    trace: TraceWriter
    trace_path: Path
    attempt: Attempt | None = None


@contextmanager
def open_pair(
    runtime: Runtime,
    budgets: Budgets,
    header: Mapping[str, object],
    log: OutputLog | None = None,
    course: Course | None = None,
) -> Iterator[Pair]:
    """Start both workers and connect them; the exit of the block ends and removes them.

    Args:
        runtime: starts the workers.
        budgets: the limits of the workers.
        header: the facts at the beginning of the trace.
        log: takes the submission's output.
        course: takes checkpoints, and may go on at one.

    Raises:
        EnvironmentProblem: the workers cannot be started.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(RunFolder())
        attempt = course.attempt(folder.path, header) if course else None
        # The sockets listen before the workers start, because a worker connects once, at its start.
        listeners = {number: stack.enter_context(folder.listen(role)) for number, role in _ROLES.items()}
        stack.enter_context(runtime)
        executor = _start_executor(runtime, folder, budgets, executor_threads(budgets))
        # One processor and little memory: this process holds no data, and nobody counts its own computation.
        own_limits = limits_of(budgets, min(CLIENT_MEMORY_BYTES, budgets.memory_bytes), 1)
        submission = runtime.start(
            Role.SUBMISSION,
            folder.socket_path(Role.SUBMISSION),
            own_limits,
            # The sandbox has no compiler, so code that asks for one runs eagerly.
            {"OMP_NUM_THREADS": "1", "TORCH_COMPILE_DISABLE": "1"},
        )
        # The executor comes first: if both have ended, its end explains that of the other.
        watch = Watch({EXECUTOR: (Role.EXECUTOR, executor), 0: (Role.SUBMISSION, submission)})
        watch.check_folder = folder.check
        watch.limits = {EXECUTOR: _executor_limits(budgets, executor_threads(budgets)), 0: own_limits}
        connections = {
            EXECUTOR: Connection(accept(listeners[EXECUTOR], watch), ahead_bytes=_AHEAD_BYTES),
            0: Connection(accept(listeners[0], watch)),
        }
        # While the host waits for the submission it goes on sending records that the executor has not taken
        # yet.
        connections[0].other = connections[EXECUTOR]
        for connection in connections.values():
            stack.callback(connection.close)
        trace_path = folder.path / "trace"
        trace = attempt.trace if attempt else TraceWriter(trace_path, dict(header))
        stack.callback(trace.close)
        meter = Meter(_meter_budgets(budgets), trace)
        watch.cpu_allowance = lambda: _cpu_allowance(budgets, meter)
        relay = Relay(
            submission=connections[0],
            executor=connections[EXECUTOR],
            meter=meter,
            watch=watch.look,
            report=lambda _: None,
            output_bytes=budgets.output_bytes,
            log=log or OutputLog(),
        )
        if attempt:
            stack.callback(attempt.close)
            # In place of the plain link of the relay: this one keeps answers, and may begin at a checkpoint.
            relay.link = attempt.connect(connections[EXECUTOR], meter, watch)
        yield Pair(relay, meter, watch, trace, trace_path, attempt)


@contextmanager
def open_executor(runtime: Runtime, budgets: Budgets, threads: int) -> Iterator[ExecutorLink]:
    """Start an executor alone, as a replay needs it; the exit of the block ends and removes it.

    Raises:
        EnvironmentProblem: the executor cannot be started.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(RunFolder())
        listener = stack.enter_context(folder.listen(Role.EXECUTOR))
        stack.enter_context(runtime)
        watch = Watch({EXECUTOR: (Role.EXECUTOR, _start_executor(runtime, folder, budgets, threads))})
        watch.check_folder = folder.check
        connection = Connection(accept(listener, watch), watch.look)
        stack.callback(connection.close)
        # A replay may take any time. From here on a crash is that of an operator in the trace, not of the
        # start.
        watch.begin("train", math.inf)
        yield ExecutorLink(connection)


def _start_executor(runtime: Runtime, folder: RunFolder, budgets: Budgets, threads: int) -> Worker:
    return runtime.start(
        Role.EXECUTOR,
        folder.socket_path(Role.EXECUTOR),
        _executor_limits(budgets, threads),
        {"OMP_NUM_THREADS": str(threads)},
    )


def _executor_limits(budgets: Budgets, threads: int) -> WorkerLimits:
    # A replay has as many threads as the run that it repeats, and this machine may have fewer processors.
    return limits_of(budgets, budgets.memory_bytes, min(threads, usable_cpus()))


def _cpu_allowance(budgets: Budgets, meter: Meter) -> float:
    operations = meter.operations + meter.prediction_operations
    return budgets.cpu_allowance_seconds(meter.charges.messages, operations)


def _meter_budgets(budgets: Budgets) -> charges.MeterLimits:
    return charges.MeterLimits(
        readback_bytes=budgets.readback_bytes,
        upload_bytes=budgets.upload_bytes,
        messages=budgets.messages,
        operations=budgets.operations,
        prediction_operations_per_image=budgets.prediction_operations_per_image,
        prediction_readback_bytes=budgets.prediction_readback_bytes,
        timed_answers=budgets.timed_answers,
        peak_tensor_bytes=budgets.peak_tensor_bytes,
    )
