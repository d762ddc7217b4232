"""The common part of both runners: their work, the job of the submission, the limits of the workers."""

import os
import socket
import sys
from dataclasses import dataclass
from typing import Final

from haet_eval.competition import Budgets
from haet_eval.evaluation.course import CheckpointPlan
from haet_eval.evaluation.heard import Heard
from haet_eval.evaluation.request import Assignment
from haet_eval.evaluation.watch import START_SECONDS, Watch
from haet_eval.remote.messages import Job
from haet_eval.runtimes.interface import WorkerLimits
from haet_eval.store import Store

CLIENT_MEMORY_BYTES: Final = 4 << 30
_SPARE_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One run to make: the assignment, its seed, the device of the kernels, the store, and the observer.

    Without a `plan` there are no checkpoints.
    """

    assignment: Assignment
    seed: int
    device: str
    store: Store
    heard: Heard
    plan: CheckpointPlan | None = None

    @property
    def threads(self) -> int:
        return executor_threads(self.assignment.budgets)


def usable_cpus() -> int:
    """The number of processors for this process: a job of a cluster often has fewer than the machine."""
    # More threads than processors would only take turns.
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def executor_threads(budgets: Budgets) -> int:
    """The number of threads for kernels: the budget's, but no more than this process may use."""
    return max(1, min(budgets.cpus, usable_cpus()))


def job(assignment: Assignment, seed: int, device: str = "cpu") -> Job:
    """The job of the submission's process. `device` is the device of the tensors of a native run."""
    submission, dataset = assignment.submission, assignment.dataset
    return Job(
        # The check of the archive has made sure that all files are UTF-8.
        files={path: content.decode() for path, content in submission.files.items()},
        module=submission.module,
        function=submission.function,
        images=dataset.train_images.shape,
        num_classes=dataset.num_classes,
        seed=seed,
        device=device,
        time_budget_seconds=float(assignment.budgets.wall_seconds),
    )


def limits_of(budgets: Budgets, memory_bytes: int, cpus: int) -> WorkerLimits:
    """The limits of a worker: those of the budgets, and a deadline that a normal run does not reach."""
    deadline = START_SECONDS + budgets.wall_seconds + budgets.prediction_seconds + _SPARE_SECONDS
    return WorkerLimits(
        memory_bytes=memory_bytes,
        processes=budgets.processes,
        deadline_seconds=deadline,
        cpus=float(cpus),
    )


def accept(listener: socket.socket, watch: Watch) -> socket.socket:
    """The connection of the socket's worker; the watch raises an error if the worker does not connect."""
    # Short, so that the watch sees a worker that dies at its start.
    listener.settimeout(0.1)
    while True:
        try:
            return listener.accept()[0]
        except TimeoutError:
            watch.look()
