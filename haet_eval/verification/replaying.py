"""Replays the training of a record: its trace, on the data, in an executor alone."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from haet_eval.competition import Budgets
from haet_eval.dataset import Dataset
from haet_eval.errors import EnvironmentProblem
from haet_eval.evaluation import choose_runtime
from haet_eval.findings import cpu_name
from haet_eval.record import Environment, Record, Sandbox
from haet_eval.remote.messages import Start
from haet_eval.remote.replay import Departure, Replay, replay
from haet_eval.remote.trace import BrokenTrace
from haet_eval.runtimes.interface import Runtime
from haet_eval.verification.check import Check, differs, holds, unchecked
from haet_eval.verification.evidence import Evidence
from haet_eval.verification.weights import relative_distance
from haet_eval.workers import open_executor

TOLERANCE: Final = 1e-3
"""Relative distance of weights put down to another machine; on the same one they are bit-identical."""

_PATIENCE: Final = 10
"""A replay may take that many times as long as the training might have."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a replay runs. `device` None: the one of the record."""

    sandbox: Sandbox
    device: str | None = None
    tolerance: float = TOLERANCE


def check_replay(record: Record, evidence: Evidence, stage: Stage) -> Iterator[Check]:
    """Whether the executor answers as the trace says, and whether the weights come out again."""
    trace, data = evidence.files.get("trace"), evidence.dataset
    if trace is None or data is None:
        yield unchecked("replay", "needs the trace and the data set")
        return
    task = evidence.task(record)
    budgets = task.budgets if task else Budgets()
    device = stage.device or record.environment.device
    try:
        runtime = choose_runtime(stage.sandbox, device)
        yield from _replayed(
            record, trace, data, _Machine(runtime, device, budgets), evidence, stage.tolerance
        )
    except EnvironmentProblem as problem:
        yield unchecked("replay", f"{problem.message}; {problem.hint}".rstrip("; "))


@dataclass(frozen=True, slots=True)
class _Machine:
    runtime: Runtime
    device: str
    budgets: Budgets


def _replayed(
    record: Record, trace: Path, data: Dataset, machine: _Machine, evidence: Evidence, tolerance: float
) -> Iterator[Check]:
    threads = record.environment.threads or 1
    budgets = machine.budgets.model_copy(update={"wall_seconds": _PATIENCE * machine.budgets.wall_seconds})
    image = machine.runtime.describe().get("image_digest")
    with open_executor(machine.runtime, budgets, threads) as link:
        facts = link.start(Start(device=machine.device, threads=threads))
        other = _differences(record.environment, machine, facts, image)
        try:
            found = replay(trace, link, [data.train_images, data.train_labels])
        except BrokenTrace as fault:
            yield differs("replay", str(fault))
            return
        except Departure as departure:
            yield _departed(departure, other)
            return
    yield holds("replay", f"{found.answers:,} answers are those of the trace{_on(other)}")
    yield _check_weights(record, found, evidence.files.get("weights"), other, tolerance)


def _departed(departure: Departure, other: list[str]) -> Check:
    if other:
        return unchecked("replay", f"{departure}; this may be the machine's doing: {', '.join(other)}")
    return differs("replay", str(departure))


def _differences(
    stated: Environment, machine: _Machine, facts: Mapping[str, Any], image: str | None
) -> list[str]:
    """What of this machine may change the last bits of a result."""
    here = {
        "device": (stated.device, machine.device),
        "accelerator": (stated.accelerator, facts["accelerator"]),
        "torch": (stated.torch, facts["torch"]),
        "processor": (stated.cpu, cpu_name()),
        "image": (stated.image_digest, image if stated.image_digest else None),
    }
    return [f"{name} {found} instead of {then}" for name, (then, found) in here.items() if then != found]


def _check_weights(
    record: Record, found: Replay, stored: Path | None, other: list[str], tolerance: float
) -> Check:
    stated = record.training.model if record.training else None
    if stated is None or found.sealed is None:
        return unchecked("weights again", "the training gave no model that was kept")
    weights = found.sealed.weights
    if hashlib.sha256(weights).hexdigest() == stated.sha256:
        return holds("weights again", f"the replay gives them bit for bit{_on(other)}")
    try:
        distance = relative_distance(stored.read_bytes(), weights) if stored else None
    except ValueError as error:
        return differs("weights again", f"the stored weights are {error}")
    apart = "differ" if distance is None else f"are {distance:.1e} apart, of their norm"
    if not other:
        return differs("weights again", f"those of the replay {apart}, on an equal machine")
    if distance is not None and distance <= tolerance:
        return holds("weights again", f"they {apart}, within {tolerance:.0e}{_on(other)}")
    return unchecked(
        "weights again", f"those of the replay {apart}; this may be the machine's doing{_on(other)}"
    )


def _on(other: list[str]) -> str:
    return f" (here: {', '.join(other)})" if other else ""
