"""Replays a record, training and prediction: its trace, on the data, in an executor alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from haet_eval.competition import Budgets
from haet_eval.data.arrays import Labels
from haet_eval.dataset import Dataset
from haet_eval.errors import EnvironmentProblem
from haet_eval.evaluation.compose import cpu_name
from haet_eval.evaluation.pair import open_executor
from haet_eval.record import Environment, Record, Resumed, Sandbox
from haet_eval.remote.messages import Noise, Start
from haet_eval.remote.replay import Departure, Replay, replay
from haet_eval.remote.trace import BrokenTrace, trace_version
from haet_eval.runtimes.choice import choose_runtime
from haet_eval.verification.check import Check, differs, holds, stated, unchecked
from haet_eval.verification.conclusion import REPLAY
from haet_eval.verification.evidence import Evidence
from haet_eval.verification.machine import Machine, compare_labels, compare_weights, note

# The replay may run on a slower machine than the training. The limit only ends a replay that hangs.
_PATIENCE: Final = 10
"""A replay may take that many times the time budget of the training."""


@dataclass(frozen=True, slots=True)
class ReplayPlace:
    """Where a replay runs. If `device` is None, it is the record's."""

    sandbox: Sandbox
    device: str | None = None


def check_replay(record: Record, evidence: Evidence, place: ReplayPlace) -> Iterator[Check]:
    """Whether the executor's answers agree with the trace, and weights and predictions with the record."""
    if record.trace is None:
        yield stated(REPLAY, "nothing was trained on handles: there is no trace")
        return
    trace, data = evidence.files.get("trace"), evidence.dataset
    if trace is None or data is None:
        yield unchecked(REPLAY, "needs the trace and the data set")
        return
    task = evidence.task(record)
    try:
        # The sandbox is the caller's and not the record's: a record must not choose how carefully it is
        # handled.
        found, other = perform(
            record.environment,
            place,
            task.budgets if task else Budgets(),
            trace,
            data,
            nan_is_greatest=record.schema_version == 1,
            resumed=record.training.resumed if record.training else None,
        )
    # A machine that cannot replay says nothing about the record.
    except EnvironmentProblem as problem:
        yield unchecked(REPLAY, problem.with_hint)
    except BrokenTrace as fault:
        yield differs(REPLAY, str(fault))
    else:
        yield from _compare(record, found, data.test_labels, other, evidence.files)


def perform(
    environment: Environment,
    place: ReplayPlace,
    budgets: Budgets,
    trace: Path,
    data: Dataset,
    noise: Noise | None = None,
    *,
    nan_is_greatest: bool = False,
    resumed: Resumed | None = None,
) -> tuple[Replay | Departure, list[str]]:
    """Replay a trace in an executor of its own; also return the differences from the record's machine.

    `nan_is_greatest`: an image with a logit that is NaN has the class of the first NaN, as in version 1.
    `resumed`: the parts of the record's training, if it went on after an interruption.

    Raises:
        BrokenTrace: the file is not a trace of a run.
        EnvironmentProblem: the replay cannot be made here.
    """
    # More threads or another device change the order of sums, so both default to the record's.
    device = place.device or environment.device
    threads = environment.threads or 1
    patient = budgets.model_copy(update={"wall_seconds": _PATIENCE * budgets.wall_seconds})
    runtime = choose_runtime(place.sandbox, device)
    image = runtime.describe().get("image_digest")
    # There is no process of the submission: nothing of the contestant can influence the answers.
    with open_executor(runtime, patient, threads) as link:
        start = Start(
            device=device,
            threads=threads,
            trace_version=trace_version(trace),
            noise=noise,
            nan_is_greatest=nan_is_greatest,
        )
        # The executor reports its own torch and accelerator, which in a container are not those of this
        # process.
        facts = link.start(start)
        other = _here(device, threads, facts, image).unlike(machine_of(environment, resumed))
        try:
            return replay(
                trace,
                link,
                # The test labels stay here. The executor runs untrusted calls and never needs them.
                [data.train_images, data.train_labels],
                data.test_images,
                noisy=noise is not None,
            ), other
        # Returned and not raised: the caller needs the list of differences to decide what it means.
        except Departure as departure:
            return departure, other


def _compare(
    record: Record,
    found: Replay | Departure,
    truth: Labels,
    other: list[str],
    files: Mapping[str, Path],
) -> Iterator[Check]:
    if isinstance(found, Departure):
        # On another machine rounding can change a number that decides a shape, and so an answer.
        report = unchecked if other else differs
        yield report(REPLAY, f"{found}{note(other)}")
        return
    yield holds(REPLAY, f"{found.answers:,} answers are those of the trace{note(other)}")
    claimed, stored = record.training.model if record.training else None, files.get("weights")
    if claimed is None or found.sealed is None:
        yield stated("weights again", "the training gave no model that was kept")
    else:
        yield compare_weights(claimed, stored.read_bytes() if stored else None, found.sealed.weights, other)
    if record.evaluation is None:
        yield stated("predictions again", "the record has none")
    elif "predictions" not in files:
        yield unchecked("predictions again", "the stored ones are not here")
    else:
        yield compare_labels(files["predictions"].read_bytes(), found.labels, truth, other)


def _here(device: str, threads: int, facts: Mapping[str, Any], image: str | None) -> Machine:
    return Machine(
        device=device,
        accelerator=facts["accelerator"],
        torch=facts["torch"],
        processor=cpu_name(),
        threads=threads,
        image=image,
    )


def machine_of(environment: Environment, resumed: Resumed | None = None) -> Machine:
    """The machine of a record; of a training in parts on several machines, all of them."""
    parts = resumed.parts if resumed else ()
    # The parts in their order, each name once: any other machine then counts as unlike.
    accelerators = dict.fromkeys(part.accelerator for part in parts if part.accelerator)
    return Machine(
        device=environment.device,
        accelerator=", then ".join(accelerators) or environment.accelerator,
        torch=environment.torch,
        processor=", then ".join(dict.fromkeys(part.cpu for part in parts)) or environment.cpu,
        threads=environment.threads,
        image=environment.image_digest,
    )
