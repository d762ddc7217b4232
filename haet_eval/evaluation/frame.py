"""What both runners have in common: the work they get, their job, the limits of their workers."""

import os
import socket
import sys
from dataclasses import dataclass
from typing import Final

from haet_eval.competition import Budgets
from haet_eval.evaluation.heard import Heard
from haet_eval.evaluation.request import Assignment
from haet_eval.evaluation.watch import START_SECONDS, Watch
from haet_eval.remote.messages import Job
from haet_eval.runtimes.interface import WorkerLimits
from haet_eval.store import Store

CLIENT_MEMORY_BYTES: Final = 4 << 30
_SPARE_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class Work:
    """A run to be made: of what, with which seed, where the kernels run, who keeps and who hears of it."""

    assignment: Assignment
    seed: int
    device: str
    store: Store
    heard: Heard

    @property
    def threads(self) -> int:
        return executor_threads(self.assignment.budgets)


def usable_cpus() -> int:
    """The processors that this process may run on: a job of a cluster is often given fewer than there are."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def executor_threads(budgets: Budgets) -> int:
    """Threads that kernels run on: what the budget allows and this process may use."""
    return max(1, min(budgets.cpus, usable_cpus()))


def job(assignment: Assignment, seed: int, device: str = "cpu") -> Job:
    """What the submission's process is to do. `device` is where the tensors of a native run live."""
    submission, dataset = assignment.submission, assignment.dataset
    return Job(
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
    """The limits of a worker: what the budgets say, and a deadline that no run in order reaches."""
    deadline = START_SECONDS + budgets.wall_seconds + budgets.prediction_seconds + _SPARE_SECONDS
    return WorkerLimits(
        memory_bytes=memory_bytes,
        processes=budgets.processes,
        deadline_seconds=deadline,
        cpus=float(cpus),
    )


def accept(listener: socket.socket, watch: Watch) -> socket.socket:
    """The connection of the worker that the socket is for; the watch raises where none comes."""
    listener.settimeout(0.1)
    while True:
        try:
            return listener.accept()[0]
        except TimeoutError:
            watch.look()
