"""One run of a submission for its contestant: computed for some seconds, counted to its end."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from haet_eval.check.rehearsal import MadeUp, Rehearsal, RehearsedSoFar, Sizes
from haet_eval.competition import Budgets
from haet_eval.counting.bill import bill
from haet_eval.counting.memory import in_record
from haet_eval.counting.operations import bytes_moved, priced
from haet_eval.errors import SubmissionFailure, Verdict
from haet_eval.evaluation.frame import executor_threads, job
from haet_eval.evaluation.pair import Pair, open_pair
from haet_eval.evaluation.request import Assignment
from haet_eval.evaluation.watch import ending
from haet_eval.progress import Observer, ReportValue, Tick, not_finite
from haet_eval.record import BytesMoved, Operations, TensorMemory
from haet_eval.remote.messages import Start
from haet_eval.runtimes.interface import Runtime
from haet_eval.scoring import Score, score, without_price

_MOST_PLACES: Final = 20
_COUNTED_BATCHES: Final = 2
"""Batches of prediction if nothing is computed. The second one shows state that the first has left."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How to run.

    Attributes:
        computed_seconds: how long everything is computed.
        all_seconds: after so long counting ends as well.
        computed_messages: computing ends when the submission has sent so many records, if that comes first.
        sizes: which sizes stand in for those that depend on data.
    """

    device: str
    seed: int
    computed_seconds: float
    all_seconds: float
    computed_messages: float = math.inf
    sizes: Sizes = Sizes.IN_TURN


@dataclass(frozen=True, slots=True)
class Milestone:
    """The submission called `task.report` when it had used so many operations."""

    operations: int
    values: Mapping[str, str]


@dataclass(slots=True)
class Sample:
    """What the run has shown.

    Attributes:
        verdict, reason, code, log: what stands in the way, with the end of the submission's output; or None.
        failure: how it ended, if it did and may have for no reason but a value that was made up.
        doubt: why it may have failed for no reason but a value that was made up; then there is no verdict.
        decides: lines where the code decides by a value that was made up.
        range: operations with the smallest and with the largest sizes that were made up, if both were tried.
        moments: how far the executor was at which time.
        computed: nothing was left to be counted alone.
        computed_operations: operations of the computed part.
        finished: `train` has returned.
        stopped: why it was not waited for.
        wall_seconds: of the training as it ran here, computed or not.
        living_bytes: greatest sum of tensors that lived at once, while computing and while counting.
        tensor_memory, bytes_moved: of the training, as far as it was counted.
        prediction_operations_per_image: None where prediction was not reached.
        score: where training and prediction were computed, on the real data. It is no verdict: whether
            there was time to compute them says nothing about the submission.
    """

    verdict: Verdict | None = None
    reason: str = ""
    code: str | None = None
    failure: SubmissionFailure | None = None
    doubt: str = ""
    log: str = ""
    decides: list[str] = field(default_factory=list)
    range: tuple[int, int] | None = None
    moments: list[RehearsedSoFar] = field(default_factory=list)
    milestones: list[Milestone] = field(default_factory=list)
    made_up: MadeUp = field(default_factory=MadeUp)
    computed: bool = True
    computed_operations: int = 0
    finished: bool = False
    stopped: str = ""
    wall_seconds: float = 0.0
    operations: Operations | None = None
    messages: int = 0
    readback_bytes: int = 0
    upload_bytes: int = 0
    parameters: int | None = None
    peak_memory_bytes: int | None = None
    living_bytes: tuple[int, int] = (0, 0)
    tensor_memory: TensorMemory | None = None
    bytes_moved: BytesMoved | None = None
    prediction_operations_per_image: float | None = None
    score: Score | None = None

    def charged_operations(self, budgets: Budgets, images: int) -> int:
        """Operations of predicting so many images that count as complexity; 0 if none was predicted."""
        each = self.prediction_operations_per_image or 0.0
        return budgets.charged_operations(round(each * images), images)

    def conclude_from(self, failure: SubmissionFailure) -> None:
        """The evaluation would end with this failure: no made-up value has a say in it."""
        self.verdict, self.reason, self.code = failure.verdict, failure.reason, failure.code
        self.doubt = ""

    @property
    def is_open(self) -> bool:
        """Whether the evaluation may take another course: something that was made up has a say in it."""
        return bool(self.doubt or self.decides or self.made_up.shapes)

    @property
    def computed_seconds(self) -> float:
        """How long the executor worked on the training."""
        return self.moments[-1].seconds if self.moments else 0.0


_SHARE_OF_DOUBTFUL: Final = 0.3
"""Of the time: a run that decides by made-up values may never end, and leaves some to compute it instead."""


class _OutOfTime(Exception):
    """It has taken as long as it may."""


def take_sample(
    assignment: Assignment, runtime: Runtime, terms: Terms, observer: Observer, *, real_data: bool = True
) -> Sample:
    """Run a submission on handles to all of its training data.

    Raises:
        EnvironmentProblem: it cannot be run here.
    """
    # Nobody keeps the trace of a sample, so its header needs no facts.
    with open_pair(runtime, assignment.budgets, {"version": 0}) as run:
        sampling = _RunningSample(assignment, run, terms, observer, real_data)
        try:
            sampling.run_all()
        except _OutOfTime:
            sampling.sample.stopped = f"after {terms.all_seconds:,.0f} s"
        sampling.conclude()
    return sampling.sample


class _RunningSample:
    """One sample while it is taken."""

    def __init__(
        self, assignment: Assignment, run: Pair, terms: Terms, observer: Observer, real_data: bool
    ) -> None:
        self.rehearsal = Rehearsal(
            run.relay.link, run.meter, terms.computed_seconds, terms.computed_messages, terms.sizes
        )
        self._told_not_finite = False
        self.sample = Sample(moments=self.rehearsal.moments, made_up=self.rehearsal.made_up)
        self._assignment = assignment
        self._run = run
        self._terms = terms
        self._observer = observer
        self._real_data = real_data
        self._began = time.monotonic()
        self._stage = "train"
        # The rehearsal stands between the relay and the executor: all else is as in an evaluation.
        run.relay.link = self.rehearsal
        self._look = run.watch.look
        run.relay.use(self._watch, self._report)
        run.relay.decided = self._decided

    def run_all(self) -> None:
        """Train and predict, as far as the submission comes.

        Raises:
            _OutOfTime: it has taken as long as it may.
        """
        # Without `heard`: an interrupted check has no record to keep and leaves by KeyboardInterrupt.
        with ending(self._run.watch) as end:
            self._train()
            self._predict()
        if end.failure:
            self._take_failure(end.failure)

    def _train(self) -> None:
        dataset, budgets, relay = self._assignment.dataset, self._assignment.budgets, self._run.relay
        self._enter("train", self._assignment.submission.name)
        start = Start(device=self._terms.device, threads=executor_threads(budgets))
        relay.start(start, [dataset.train_images, dataset.train_labels])
        self._run.watch.begin("train", budgets.wall_seconds)
        try:
            tensors = relay.train(job(self._assignment, self._terms.seed))
            # Before `catch_up`: a model that is refused is known without waiting for the executor.
            self.sample.parameters = self._run.meter.seal(tensors).total
            relay.catch_up()
        # Whatever ends the training: what it has cost so far is shown with the failure.
        finally:
            self.sample.wall_seconds = self._run.watch.elapsed_seconds
            self._take_counts()
        self.sample.finished = True
        self._run.watch.begin("predict", budgets.prediction_seconds)
        # On the clock of the prediction, as in an evaluation.
        relay.seal(tensors)

    def _predict(self) -> None:
        dataset, size = self._assignment.dataset, self._assignment.budgets.prediction_batch_size
        # Accuracy on random images would only mislead.
        scored = self.rehearsal.computing and self._real_data
        images = dataset.test_images if scored else dataset.test_images[: _COUNTED_BATCHES * size]
        self._enter("predict", f"{len(images):,} images")
        predictions = self._run.relay.predict(images, dataset.num_classes, size)
        self.sample.prediction_operations_per_image = self._run.meter.prediction_operations / len(images)
        if scored:
            self.sample.score = score(predictions, dataset.test_labels, self._assignment.competition.metric)

    def _take_failure(self, failure: SubmissionFailure) -> None:
        """It failed; if values had been made up, perhaps because of them."""
        log, sample = self._run.relay.log, self.sample
        sample.log = log.tail or log.head
        # A limit does not depend on a value that was read, unless the code decided by it or a shape was made
        # up.
        by_values = sample.made_up and failure.verdict in (Verdict.FAILED, Verdict.UNCOUNTABLE)
        if by_values or sample.decides or sample.made_up.shapes:
            sample.failure, sample.doubt = failure, failure.reason
        else:
            sample.conclude_from(failure)

    def _take_counts(self) -> None:
        meter, sample = self._run.meter, self.sample
        histogram = meter.histogram()
        sample.operations = priced(bill(histogram))
        sample.bytes_moved = bytes_moved(histogram)
        sample.tensor_memory = in_record(meter.tensor_memory, self._run.relay.labels)
        sample.messages = meter.charges.messages
        sample.readback_bytes = meter.charges.readback_bytes
        sample.upload_bytes = meter.charges.upload_bytes

    def conclude(self) -> None:
        """What is known only when all is over."""
        sample = self.sample
        sample.computed = self.rehearsal.computing
        sample.made_up.finite = self.rehearsal.assumes_finite
        sample.computed_operations = self.rehearsal.computed_operations
        sample.peak_memory_bytes = self.rehearsal.peak_memory_bytes
        sample.living_bytes = self.rehearsal.living_bytes
        uncounted = sample.operations.uncounted if sample.operations else ()
        # The judge would find this after the training, whatever the accuracy.
        if uncounted and sample.verdict is None:
            sample.verdict, sample.reason = Verdict.UNCOUNTABLE, without_price(uncounted)
            sample.code = "operator-unpriced"

    # What is called while it runs.

    def _enter(self, stage: str, detail: str) -> None:
        self._stage = stage
        self._observer.stage(stage, detail)

    def _watch(self) -> None:
        self._look()
        self._run.meter.check_operations()
        seconds = time.monotonic() - self._began
        # A loop such as `while loss > 0.1` never ends on answers that come again in turn.
        left = self._terms.all_seconds * (_SHARE_OF_DOUBTFUL if self.sample.decides else 1)
        if seconds > left:
            raise _OutOfTime
        if self._stage == "train" and not self.rehearsal.computing:
            self._enter("count", f"after {self.sample.computed_seconds:.0f} s nothing is computed any more")
        operations = self._run.meter.operations
        self._observer.tick(Tick(self._stage, seconds, self._terms.all_seconds, operations))

    def _decided(self, place: str) -> None:
        # The submission's process names the places, so their number is bounded here.
        if place not in self.sample.decides and len(self.sample.decides) < _MOST_PLACES:
            self.sample.decides.append(place)

    def _report(self, values: Mapping[str, ReportValue]) -> None:
        texts = {name: str(value) for name, value in values.items()}
        self.sample.milestones.append(Milestone(self._run.meter.operations, texts))
        # Said once, and only of values that were computed: a made-up one says nothing of the training.
        if not self._told_not_finite and self.rehearsal.computing and (found := not_finite(values)):
            self._told_not_finite = True
            self._observer.note(f"Report {len(self.sample.milestones)}: {found[0]} is {found[1]}.")
        made_up = self._run.relay.made_up
        self._observer.report(
            {name: _made_up(value) if name in made_up else value for name, value in values.items()}
        )


def _made_up(value: ReportValue) -> str:
    return f"{value:.6g} (made up)" if isinstance(value, float) else f"{value} (made up)"
