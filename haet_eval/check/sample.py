"""One run of a submission for its contestant: computed for some seconds, counted to its end."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from haet_eval.assignment import Assignment
from haet_eval.check.rehearsal import CannotCount, MadeUp, Moment, Rehearsal
from haet_eval.counting.bill import bill
from haet_eval.counting.operations import priced
from haet_eval.errors import SubmissionFailure, Verdict
from haet_eval.evaluation import job, without_price
from haet_eval.progress import Observer, Tick
from haet_eval.record import Operations
from haet_eval.remote.executor_link import ExecutorLost
from haet_eval.remote.messages import Start
from haet_eval.remote.relay import SubmissionLost
from haet_eval.runtimes.interface import Role, Runtime
from haet_eval.scoring import Score, judge, score
from haet_eval.workers import Run, executor_threads, open_run

_COUNTED_BATCHES: Final = 2
"""Batches of prediction where nothing is computed: a second one shows what was left from the first."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How to run. `computed_seconds` are computed, counting goes on; all ends after `all_seconds`."""

    device: str
    seed: int
    computed_seconds: float
    all_seconds: float


@dataclass(frozen=True, slots=True)
class Milestone:
    """The submission called `task.report` when it had used so many operations."""

    operations: int
    values: Mapping[str, str]


@dataclass(slots=True)
class Sample:
    """What the run has shown.

    Attributes:
        verdict, reason, log: what stands in the way, with the end of the submission's output; or None.
        moments: how far the executor was at which time.
        computed: nothing was left to be counted alone.
        finished: `train` has returned.
        stopped: why it was not waited for.
        wall_seconds: of the training as it ran here, computed or not.
        living_bytes: greatest sum of tensors that lived at once, while computing and while counting.
        prediction_operations_per_image: None where prediction was not reached.
        score: where training and prediction were computed, on the real data.
    """

    verdict: Verdict | None = None
    reason: str = ""
    log: str = ""
    moments: list[Moment] = field(default_factory=list)
    milestones: list[Milestone] = field(default_factory=list)
    made_up: MadeUp = field(default_factory=MadeUp)
    computed: bool = True
    finished: bool = False
    stopped: str = ""
    wall_seconds: float = 0.0
    operations: Operations | None = None
    messages: int = 0
    readback_bytes: int = 0
    upload_bytes: int = 0
    parameters: int | None = None
    peak_memory_bytes: int | None = None
    living_bytes: tuple[int, ...] = (0, 0)
    prediction_operations_per_image: float | None = None
    score: Score | None = None

    @property
    def computed_seconds(self) -> float:
        """How long the executor worked on the training."""
        return self.moments[-1].seconds if self.moments else 0.0


class _OutOfTime(Exception):
    """It has taken as long as it may."""


def take_sample(
    assignment: Assignment, runtime: Runtime, terms: Terms, observer: Observer, *, real_data: bool = True
) -> Sample:
    """Run a submission on handles to all of its training data.

    Raises:
        EnvironmentProblem: it cannot be run here.
    """
    sample = Sample()
    with open_run(runtime, assignment.budgets, {"version": 0}) as run:
        rehearsal = Rehearsal(run.relay.link, run.meter, terms.computed_seconds)
        run.relay.link = rehearsal
        sample.moments, sample.made_up = rehearsal.moments, rehearsal.made_up
        _observe(run, sample, terms, observer)
        try:
            _train_and_predict(assignment, run, rehearsal, sample, terms, observer, real_data)
        except _OutOfTime:
            sample.stopped = f"after {terms.all_seconds:,.0f} s"
        except CannotCount as problem:
            sample.stopped = f"as it cannot be said what a call returns without computing it ({problem})"
        except SubmissionFailure as failure:
            sample.verdict, sample.reason = failure.verdict, failure.reason
            sample.log = run.relay.log.tail or run.relay.log.head
        _take_counts(run, rehearsal, sample)
    return sample


def _train_and_predict(
    assignment: Assignment,
    run: Run,
    rehearsal: Rehearsal,
    sample: Sample,
    terms: Terms,
    observer: Observer,
    real_data: bool,
) -> None:
    try:
        _train(assignment, run, sample, terms, observer)
        _predict(assignment, run, rehearsal, sample, observer, real_data)
    except ExecutorLost:
        run.watch.wait_for_end(Role.EXECUTOR)
    except SubmissionLost:
        run.watch.wait_for_end(Role.SUBMISSION)
    except SubmissionFailure as failure:
        raise run.watch.explained(failure) from None


def _train(assignment: Assignment, run: Run, sample: Sample, terms: Terms, observer: Observer) -> None:
    dataset, budgets = assignment.dataset, assignment.budgets
    observer.stage("train", assignment.submission.name)
    start = Start(device=terms.device, threads=executor_threads(budgets))
    run.relay.start(start, [dataset.train_images, dataset.train_labels])
    run.watch.begin("train", budgets.wall_seconds)
    try:
        tensors = run.relay.train(job(assignment, terms.seed))
        sample.parameters = run.meter.seal(tensors).total
    finally:
        sample.wall_seconds = run.watch.elapsed_seconds
    sample.finished = True
    run.watch.begin("predict", budgets.prediction_seconds)
    run.relay.seal(tensors)


def _predict(
    assignment: Assignment,
    run: Run,
    rehearsal: Rehearsal,
    sample: Sample,
    observer: Observer,
    real_data: bool,
) -> None:
    dataset, size = assignment.dataset, assignment.budgets.prediction_batch_size
    computed = rehearsal.computing and real_data
    images = dataset.test_images if computed else dataset.test_images[: _COUNTED_BATCHES * size]
    observer.stage("predict", f"{len(images):,} images")
    predictions = run.relay.predict(images, dataset.num_classes, size)
    sample.prediction_operations_per_image = run.meter.prediction_operations / len(images)
    if not computed:
        return
    sample.score = score(predictions, dataset.test_labels)
    verdict = judge(sample.score, assignment.task.threshold, uncounted=False)
    if verdict is not Verdict.QUALIFIED:
        sample.verdict = verdict
        sample.reason = (
            f"Accuracy {sample.score.accuracy:.2%} is below the {assignment.task.threshold:.2%} asked for."
        )


def _take_counts(run: Run, rehearsal: Rehearsal, sample: Sample) -> None:
    meter = run.meter
    sample.computed = rehearsal.computing
    sample.living_bytes = tuple(rehearsal.living_bytes)
    sample.operations = priced(bill(meter.histogram()))
    sample.messages = meter.charges.messages
    sample.readback_bytes, sample.upload_bytes = meter.charges.readback_bytes, meter.charges.upload_bytes
    sample.peak_memory_bytes = rehearsal.peak_memory_bytes
    if sample.operations.uncounted and sample.verdict in (None, Verdict.BELOW_THRESHOLD):
        sample.verdict, sample.reason = Verdict.UNCOUNTABLE, without_price(sample.operations.uncounted)


def _observe(run: Run, sample: Sample, terms: Terms, observer: Observer) -> None:
    began = time.monotonic()
    watched, meter, look = run.watch, run.meter, run.watch.look

    def watch() -> None:
        look()
        meter.check_operations()
        if time.monotonic() - began > terms.all_seconds:
            raise _OutOfTime
        observer.tick(Tick(watched.stage, watched.elapsed_seconds, terms.all_seconds, meter.operations))

    def report(values: Mapping[str, str]) -> None:
        sample.milestones.append(Milestone(meter.operations, dict(values)))
        observer.report(values)

    run.relay.use(watch, report)
