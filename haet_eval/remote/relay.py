"""Between the two workers: every frame of the submission goes through the meter, and only then on."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, TypeVar

import numpy as np
import numpy.typing as npt

from haet_eval.errors import EnvironmentProblem, SubmissionFailure, Verdict
from haet_eval.progress import ReportValue
from haet_eval.remote.advice import (
    COMPUTES_IN,
    MADE_IN,
    MOST_READ,
    MOST_WAITED,
    OBSERVERS,
    STATISTICS,
    USED_IN,
    advice_on,
)
from haet_eval.remote.connection import Connection, Disconnected
from haet_eval.remote.executor_link import (
    REASON_BYTES,
    ExecutorLink,
    Sealed,
    failed,
)
from haet_eval.remote.labels import Label, TemplateLabels
from haet_eval.remote.log import OutputLog
from haet_eval.remote.messages import (
    BatchPredicted,
    Decided,
    Failed,
    ImageBatch,
    Job,
    Labelled,
    ModelTensor,
    Ready,
    Report,
    Returned,
    Start,
    from_submission,
)
from haet_eval.remote.meter import Meter, Question, broken_protocol
from haet_eval.remote.weights import check_model_size
from haet_eval.remote.wire import AnswerStatus, Channel, WireError

_WATCH_SECONDS: Final = 0.2
# The verdict is known already, so a submission that does not answer gains nothing but these seconds.
_GRACE_SECONDS: Final = 3.0
_PLACE: Final = r"[\w./ -]{1,200}, line \d{1,9}"
_LINE: Final = rf"{_PLACE} \(`[^\n`]{{0,61}}`\): [\d,]{{1,26}} (bytes, [\d,]{{1,26}} )?times?"
_USED, _MADE, _COMPUTES = (
    re.escape(words).replace(re.escape("{place}"), _PLACE) for words in (USED_IN, MADE_IN, COMPUTES_IN)
)
_SEALED: Final = f"{_USED}( {_MADE})?|{_MADE}|{_COMPUTES}|{re.escape(OBSERVERS)}|{re.escape(STATISTICS)}"
_PLACES: Final = re.compile(
    rf"( ({_SEALED}))?( ({MOST_READ}|{MOST_WAITED}) {_LINE}(; {_LINE}){{0,2}}\.)?( \({_PLACE}\))?"
)
"""What the client adds to a reason: what broke the sealed model, the lines that have read most, and the line
that was running."""
_RECORDS_TO_A_MARK: Final = 128
"""A mark costs about as much as a call of an operator, and a look at each template."""

_Expected = TypeVar("_Expected", Ready, Returned, BatchPredicted)


class SubmissionLost(Exception):
    """A process of the submission has closed its connection: that of the node with this number."""

    def __init__(self, node: int = 0) -> None:
        super().__init__(node)
        self.node = node


@dataclass
class Relay:
    """Runs one evaluation over two connections.

    `watch` is called a few times a second; it raises to end the run. `report` receives what the submission
    told through `task.report`, `decided` the lines where its code decides by values that the check made up.
    What goes to the executor goes through `link`. `made_up` names the values of the last report that were.
    `labels` are what the submission's process says of its calls, and `python` is its version of Python.
    """

    submission: Connection
    executor: Connection
    meter: Meter
    watch: Callable[[], None]
    report: Callable[[Mapping[str, ReportValue]], None]
    output_bytes: int
    decided: Callable[[str], None] = lambda _: None
    made_up: tuple[str, ...] = ()
    labels: TemplateLabels = field(default_factory=TemplateLabels)
    log: OutputLog = field(default_factory=OutputLog)
    link: ExecutorLink = field(init=False)
    python: str | None = None
    _watched: float = 0.0
    _stalls: int = 0
    _marked_messages: int = 0

    def __post_init__(self) -> None:
        self.link = ExecutorLink(self.executor)
        self.use(self.watch, self.report)

    def use(self, watch: Callable[[], None], report: Callable[[Mapping[str, ReportValue]], None]) -> None:
        """Call these from now on."""
        self.watch, self.report = watch, report
        # A wait for either worker watches both.
        self.submission.idle = self.executor.idle = self._look_now

    # The stages.

    def start(self, start: Start, arrays: Sequence[npt.NDArray[Any]]) -> dict[str, Any]:
        """Put the training data into the executor; returns facts about it (`torch`, `accelerator`)."""
        facts = self.link.start(start)
        for array in arrays:
            self.link.load(array)
            self.meter.load(array.shape, str(array.dtype))
        # These waits were for the data of the host. The submission is charged for its own only.
        self._stalls = self.executor.stalls
        return facts

    def train(self, job: Job) -> tuple[ModelTensor, ...]:
        """Let the submission do its job until `train` has returned; returns the tensors of its module.

        Raises:
            SubmissionFailure: it failed, or used up a budget.
            ExecutorLost, SubmissionLost: a worker is gone.
        """
        self.python = self._expect(Ready).python
        self._reply(AnswerStatus.OK, job.encode())
        # The seal rests on this inventory, so it is taken whether one is due or not. `recount` requires it.
        tensors = self._expect(Returned).tensors
        self.link.compare_inventory(self.meter.inventory())
        return tensors

    def catch_up(self) -> None:
        """Wait until the executor has done all of the training: what is left of it takes time too."""
        self.link.mark(self.meter.point)
        self.link.catch_up()

    def seal(self, tensors: tuple[ModelTensor, ...]) -> Sealed:
        """Close the training in the executor and fetch the weights; the meter must be sealed as well.

        Raises:
            SubmissionFailure: the model is too large to be kept.
        """
        weights = self.meter.weights(tensors)
        # An expanded tensor is small in memory and large in the file. A view far behind the start of its
        # storage is the opposite.
        model_bytes = max(sum(weight.size_bytes for weight in weights), self.meter.held_bytes(tensors))
        # Before the executor is asked: it would copy the model, and the host would receive and keep the file.
        check_model_size(model_bytes)
        sealed = self.link.seal(tensors, weights)
        # Once more after the seal, when the executor holds the copies that it made of the model.
        self.link.compare_inventory(self.meter.inventory())
        self._reply(AnswerStatus.OK, b"")
        return sealed

    def predict(
        self, images: npt.NDArray[np.uint8], num_classes: int, batch_size: int
    ) -> npt.NDArray[np.int64]:
        """One label for each image. Between batches nothing lives on but the model."""
        labels: list[npt.NDArray[np.int64]] = []
        self._expect(BatchPredicted)
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            self.link.load(batch)
            # The images are the host's as well.
            self._stalls = self.executor.stalls
            handle = self.meter.begin_batch(batch.shape)
            self._reply(AnswerStatus.OK, ImageBatch(handle=handle, shape=batch.shape).encode())
            logits = self._expect(BatchPredicted).logits
            # No tensor has the number 0, so a missing answer fails like the number of a tensor that does not
            # exist.
            self.meter.take_logits(logits or 0, len(batch), num_classes)
            labels.append(self.link.argmax(logits or 0, len(batch), num_classes))
            self.link.drop(self.meter.end_batch())
        self._reply(AnswerStatus.OK, ImageBatch(handle=None).encode())
        return np.concatenate(labels)

    # Talking to the submission.

    def _reply(self, status: AnswerStatus, body: bytes) -> None:
        try:
            self.submission.send(Channel.STREAM, bytes([status]) + body)
        except Disconnected:
            raise SubmissionLost from None

    def _expect(self, kind: type[_Expected]) -> _Expected:
        """Serve the submission until it sends a message, which must be of this kind."""
        try:
            message = self._serve()
            if not isinstance(message, kind):
                raise WireError(f"{message.kind!r} at the wrong time")
            return message
        except WireError as error:
            raise broken_protocol(error) from None
        except Disconnected:
            raise SubmissionLost from None

    def _serve(self) -> Ready | Returned | BatchPredicted:
        while True:
            self._look()
            channel, payload = self.submission.receive()
            if channel is Channel.STREAM:
                self._stream(payload)
            elif channel is Channel.OUTPUT:
                self.log.add_printed(payload, self.output_bytes)
            elif channel is Channel.CONTROL:
                message = from_submission(payload)
                if isinstance(message, Report):
                    self.made_up = message.made_up
                    self.report(message.values)
                elif isinstance(message, Decided):
                    self.decided(message.place)
                elif isinstance(message, Labelled):
                    self.labels.add(message.template, Label(message.line, message.module))
                elif isinstance(message, Failed):
                    self._take_failure(message)
                else:
                    return message
            else:
                raise WireError(f"a frame of channel {channel.name}")

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._watched > _WATCH_SECONDS:
            self._watched = now
            self._look_now()

    def _look_now(self) -> None:
        # The watch may end the run. It is then cut at the last mark, so the marks that have arrived count
        # first.
        self.link.take_answers()
        self.watch()

    def _stream(self, payload: bytes) -> None:
        position = 0
        while position < len(payload):
            position = self._pass_part(payload, position)
            self._look()

    def _pass_part(self, payload: bytes, start: int) -> int:
        """Meter a part of a frame that takes a moment, and pass it on. Returns the place of the next part."""
        try:
            accepted = self.meter.accept(payload, start)
        except SubmissionFailure as failure:
            # The records before the bad one are in the trace, but the executor does not get them (decision
            # 0050). Nothing that it would compute is used after this.
            self._end(failure)
        if accepted.question is not None:
            self._ask(accepted.forward, accepted.question)
        elif accepted.forward:
            self.link.pass_on(accepted.forward)
        if accepted.refused is not None:
            self._reply(AnswerStatus.REFUSED, accepted.refused.encode())
        # After the question of this frame, never before it: `recount` expects inventories at exactly these
        # places.
        if self.meter.inventory_is_due:
            self.link.compare_inventory(self.meter.inventory())
        self._charge_stalls()
        self._mark()
        return accepted.end

    def _mark(self) -> None:
        """Mark this place of the stream if the last mark is far enough back that the cost is small."""
        messages = self.meter.charges.messages
        if messages - self._marked_messages >= max(_RECORDS_TO_A_MARK, len(self.meter.templates)):
            self._marked_messages = messages
            self.link.mark(self.meter.point)

    def _charge_stalls(self) -> None:
        """When the submission is kept waiting depends on what data make of the executor's time."""
        stalls, self._stalls = self.executor.stalls - self._stalls, self.executor.stalls
        try:
            self.meter.charges.stalled(stalls)
        except SubmissionFailure as failure:
            self._end(failure)

    def _ask(self, forward: bytes, question: Question) -> None:
        try:
            status, body = self.link.ask(forward, question)
        except SubmissionFailure as failure:
            self._end(failure)
        # The executor has failed a call of the submission. Neither it nor the question is charged: the run is
        # over.
        if status in (AnswerStatus.FATAL, AnswerStatus.MISMATCH):
            self._end(failed(status, body))
        try:
            if status in (AnswerStatus.OK, AnswerStatus.MADE_UP):
                self.meter.answer(question, body)
            else:
                self.meter.refuse(question)
                # An executor that is taken over could pass data to the submission in a long text.
                body = body[:REASON_BYTES]
        except WireError as error:
            # Nonsense from the executor judges nobody (decision 0053): it is broken or taken over, and
            # perhaps not by this submission.
            raise EnvironmentProblem(
                f"The executor's answer makes no sense: {error}.", code="executor-answer"
            ) from None
        except SubmissionFailure as failure:
            self._end(failure)
        # The submission receives the value only after the meter has charged it.
        told = AnswerStatus.CHARGED if status is AnswerStatus.OK and question.charged else status
        self._reply(told, body)

    def _end(self, failure: SubmissionFailure) -> NoReturn:
        """Tell the submission that the run is over, and wait a moment to hear where in its code that was."""
        deadline = time.monotonic() + _GRACE_SECONDS
        # The verdict stands: the watch must not replace it by another one in these seconds.
        self.submission.idle = lambda: _stop_after(deadline)
        try:
            self._reply(AnswerStatus.FATAL, failure.reason.encode())
            while True:
                _stop_after(deadline)
                channel, payload = self.submission.receive()
                message = from_submission(payload) if channel is Channel.CONTROL else None
                if isinstance(message, Failed):
                    self.log.add(message.traceback.encode())
                    raise _located(failure, message)
        except (TimeoutError, Disconnected, WireError, SubmissionLost):
            pass
        raise failure

    def _take_failure(self, message: Failed) -> NoReturn:
        self.log.add(message.traceback.encode())
        # Code may wrap the refusal in an error of its own. The text is the submission's, but either verdict
        # is a failure, so a lie gains nothing.
        if any(_names(message.reason, operator) for operator in self.meter.refused):
            raise SubmissionFailure(Verdict.UNCOUNTABLE, message.reason, code="operator-unpriced")
        raise SubmissionFailure(Verdict.FAILED, message.reason, code=message.code or "code-failed")


def _names(reason: str, operator: str) -> bool:
    """Whether a text has this name of an operator as a whole: `aten.add` is no part of `aten.add_.Tensor`."""
    return bool(operator and re.search(rf"(?<![\w.]){re.escape(operator)}(?!\w|\.\w)", reason))


def _located(failure: SubmissionFailure, message: Failed) -> SubmissionFailure:
    """The failure with the line of the submission's code, if that is what the submission has heard."""
    told = message.reason.removeprefix("RemoteError: ")
    # The text comes from the submission. It is taken only as our own reason with places after it, in the form
    # that the client gives them, so it cannot say anything else in the record.
    own = failure.reason + advice_on(failure.reason)
    known = told.startswith(own) and _PLACES.fullmatch(told, len(own))
    return SubmissionFailure(failure.verdict, told, code=failure.code) if known else failure


def _stop_after(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError
