"""How many runs fit on this machine at once, by the limits of one run in the rules."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Final

import psutil

from haet_eval.batch.job import BatchJob
from haet_eval.competition import Budgets, Competition
from haet_eval.errors import UsageProblem
from haet_eval.evaluation.frame import CLIENT_MEMORY_BYTES, usable_cpus
from haet_eval.record import PHASE_OF_RANKING
from haet_eval.runtimes.environment import gpus_left

_MEASURED: Final = {*PHASE_OF_RANKING, "training_time"}
# The driver lists the GPUs here. PyTorch could count them too, but may not be installed where a batch is
# planned.
_NVIDIA_DEVICES: Final = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True, slots=True)
class Capacity:
    """The resources of this process. `gpus` are names for CUDA_VISIBLE_DEVICES."""

    cores: int
    memory_bytes: int
    gpus: tuple[str, ...]


def this_machine() -> Capacity:
    """The resources of this process. Cores and GPUs are those that a scheduler such as Slurm left to it."""
    return Capacity(usable_cpus(), psutil.virtual_memory().total, _gpus())


def exclusive(competition: Competition) -> bool:
    """Whether time or energy is ranked, so that two runs at once on a machine would disturb each other."""
    return competition.ranking in _MEASURED


def fitting(jobs: Iterable[BatchJob], machine: Capacity) -> int:
    """How many of these runs may be made at once; at least one, as for a single evaluation."""
    # The most demanding run decides: any of the runs may be under way beside any other.
    return max(1, min((_fitting(job, machine) for job in jobs), default=1))


def places(jobs: Sequence[BatchJob], asked: int | None, machine: Capacity) -> int:
    """How many of these runs to make at once: the number that the user asked for, or as many as fit.

    Raises:
        UsageProblem: time or energy is ranked, and the user asked for more than one.
    """
    measured = next((job for job in jobs if job.exclusive), None)
    # An error and not a smaller number: the user should know that the batch takes longer than planned.
    if measured and asked is not None and asked > 1:
        raise UsageProblem(
            f"{measured.competition} ranks time or energy: two runs at once would disturb each other",
            "Leave out --jobs; several machines work in parallel with --scheduler.",
            code="batch-exclusive",
        )
    return asked or fitting(jobs, machine)


def needed_device(jobs: Iterable[BatchJob]) -> str:
    """The device that each place must have: a GPU if any of the runs needs one."""
    return "cuda" if any(job.identity.device == "cuda" for job in jobs) else "cpu"


def _fitting(job: BatchJob, machine: Capacity) -> int:
    if job.exclusive:
        return 1
    # A run that asks for more cores than the machine has may still be made: it gets all of them, and is
    # alone.
    cores = machine.cores // min(job.budgets.cpus, machine.cores)
    memory = machine.memory_bytes // memory_of_a_run(job.budgets)
    return min(cores, memory, len(machine.gpus)) if job.identity.device == "cuda" else min(cores, memory)


def memory_of_a_run(budgets: Budgets) -> int:
    """Bytes that both workers of a run may use together."""
    return budgets.memory_bytes + min(CLIENT_MEMORY_BYTES, budgets.memory_bytes)


def _gpus() -> tuple[str, ...]:
    left = gpus_left()
    if left is not None:
        names = (name.strip() for name in left)
        # CUDA sees none from the first negative one on; -1 is the usual way to hide all.
        seen = takewhile(lambda name: not name.startswith("-"), names)
        return tuple(name for name in seen if name)
    found = len(list(_NVIDIA_DEVICES.iterdir())) if _NVIDIA_DEVICES.is_dir() else 0
    return tuple(map(str, range(found)))
