"""Between the two workers: every frame of the submission goes through the meter, and only then on."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from haet_eval.errors import EnvironmentProblem, SubmissionFailure, Verdict
from haet_eval.remote.connection import Connection, Disconnected
from haet_eval.remote.log import OutputLog
from haet_eval.remote.messages import (
    Argmax,
    Batch,
    Drop,
    Failed,
    Job,
    Load,
    ModelTensor,
    Predicted,
    Ready,
    Report,
    Returned,
    Seal,
    Start,
    Started,
    WeightsFollow,
    from_submission,
)
from haet_eval.remote.meter import Meter, Question, broken_protocol
from haet_eval.remote.wire import Channel, Status, WireError

_BLOCK_BYTES: Final = 4 << 20
_WATCH_SECONDS: Final = 0.2
_GRACE_SECONDS: Final = 3.0
_PLACE_CHARACTERS: Final = 300
_REASON_BYTES: Final = 2000
_MAX_WEIGHTS_BYTES: Final = 1 << 30
_HEADER_BYTES_PER_TENSOR: Final = 1 << 13

_Message = TypeVar("_Message", Ready, Returned, Predicted)
_Answer = TypeVar("_Answer", Started, WeightsFollow)


@dataclass(frozen=True, slots=True)
class Sealed:
    """The training as it ended: the weights as safetensors, and what the executor used."""

    weights: bytes
    peak_memory_bytes: int


class ExecutorLost(Exception):
    """The executor has closed its connection."""


class SubmissionLost(Exception):
    """The submission's process has closed its connection."""


@dataclass
class Relay:
    """Runs one evaluation over two connections.

    `watch` is called a few times a second; it raises to end the run. `report` receives what the submission
    told through `task.report`.
    """

    submission: Connection
    executor: Connection
    meter: Meter
    watch: Callable[[], None]
    report: Callable[[Mapping[str, str]], None]
    output_bytes: int
    log: OutputLog = field(default_factory=OutputLog)
    _watched: float = 0.0

    def __post_init__(self) -> None:
        self.use(self.watch, self.report)

    def use(self, watch: Callable[[], None], report: Callable[[Mapping[str, str]], None]) -> None:
        """Call these from now on."""
        self.watch, self.report = watch, report
        self.submission.idle = self.executor.idle = watch

    # The stages.

    def start(self, start: Start, arrays: Sequence[npt.NDArray[Any]]) -> dict[str, Any]:
        """Put the training data into the executor; returns facts about it (`torch`, `accelerator`)."""
        self._command(start.encode())
        facts = self._executor_message(Started)
        for array in arrays:
            self._load(array)
            self.meter.load(array.shape, str(array.dtype))
        return facts.model_dump()

    def train(self, job: Job) -> tuple[ModelTensor, ...]:
        """Let the submission do its job until `train` has returned; returns the tensors of its module.

        Raises:
            SubmissionFailure: it failed, or used up a budget.
            ExecutorLost, SubmissionLost: a worker is gone.
        """
        self._expect(Ready)
        self._reply(Status.OK, job.encode())
        return self._expect(Returned).tensors

    def seal(self, tensors: tuple[ModelTensor, ...]) -> Sealed:
        """Close the training in the executor and fetch the weights; the meter must be sealed as well.

        Raises:
            SubmissionFailure: the model is too large to be kept.
        """
        model_bytes = self.meter.model_bytes(tensors)
        if model_bytes > _MAX_WEIGHTS_BYTES:
            raise SubmissionFailure(
                Verdict.LIMIT_MEMORY,
                f"The returned model takes {model_bytes:,} bytes; it may take {_MAX_WEIGHTS_BYTES:,}.",
            )
        self._command(Seal(tensors=tensors).encode())
        facts = self._executor_message(WeightsFollow)
        header_bytes = _HEADER_BYTES_PER_TENSOR * (1 + len(tensors))
        weights = self._weights(facts.weights_bytes, model_bytes + header_bytes)
        self._reply(Status.OK, b"")
        return Sealed(weights, facts.peak_memory_bytes)

    def _weights(self, announced_bytes: int, most_bytes: int) -> bytes:
        if announced_bytes > most_bytes:
            raise EnvironmentProblem("The executor announced more weights than the model has.")
        weights = bytearray()
        while len(weights) < announced_bytes:
            channel, block = self._from_executor()
            if channel is not Channel.BLOCK or not block:
                raise EnvironmentProblem("The executor did not hand out the weights.")
            weights += block
        if len(weights) > announced_bytes:
            raise EnvironmentProblem("The executor handed out more weights than it announced.")
        return bytes(weights)

    def predict(
        self, images: npt.NDArray[np.uint8], num_classes: int, batch_size: int
    ) -> npt.NDArray[np.int64]:
        """One label for each image. Between batches nothing lives on but the model."""
        labels: list[npt.NDArray[np.int64]] = []
        self._expect(Predicted)
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            self._load(batch)
            handle = self.meter.begin_batch(batch.shape)
            self._reply(Status.OK, Batch(handle=handle, shape=batch.shape).encode())
            logits = self._expect(Predicted).logits
            self.meter.check_logits(logits or 0, len(batch), num_classes)
            labels.append(self._argmax(logits or 0, len(batch), num_classes))
            self._command(Drop(handles=self.meter.end_batch()).encode())
        self._reply(Status.OK, Batch(handle=None).encode())
        return np.concatenate(labels)

    # Talking to the executor.

    def _command(self, message: bytes) -> None:
        self._to_executor(Channel.HOST, message)

    def _to_executor(self, channel: Channel, payload: bytes | memoryview) -> None:
        try:
            self.executor.send(channel, payload)
        except Disconnected:
            raise ExecutorLost from None

    def _from_executor(self) -> tuple[Channel, bytes]:
        try:
            return self.executor.receive()
        except Disconnected:
            raise ExecutorLost from None
        except WireError as error:
            raise EnvironmentProblem(f"The executor sent something that is no frame: {error}.") from None

    def _executor_answer(self) -> bytes:
        status, body = self._executor_status()
        if status is not Status.OK:
            raise SubmissionFailure(Verdict.FAILED, _text(body))
        return body

    def _executor_message(self, kind: type[_Answer]) -> _Answer:
        try:
            return kind.model_validate_json(self._executor_answer())
        except ValidationError:
            raise EnvironmentProblem(f"The executor's answer is no {kind.__name__} message.") from None

    def _executor_status(self) -> tuple[Status, bytes]:
        _, payload = self._from_executor()
        if not payload or payload[0] > max(Status):
            raise EnvironmentProblem("The executor sent an answer without a status.")
        return Status(payload[0]), payload[1:]

    def _load(self, array: npt.NDArray[Any]) -> None:
        self._command(Load(dtype=str(array.dtype), shape=array.shape).encode())
        raw = memoryview(np.ascontiguousarray(array).data).cast("B")
        for start in range(0, len(raw), _BLOCK_BYTES):
            self._to_executor(Channel.BLOCK, raw[start : start + _BLOCK_BYTES])

    def _argmax(self, handle: int, count: int, num_classes: int) -> npt.NDArray[np.int64]:
        self._command(Argmax(handle=handle).encode())
        answer = self._executor_answer()
        if len(answer) != count * np.dtype(np.int64).itemsize:
            raise EnvironmentProblem("The executor answered with another number of labels than images.")
        labels = np.frombuffer(answer, dtype=np.int64)
        if count and not 0 <= labels.min() <= labels.max() < num_classes:
            raise EnvironmentProblem("The executor answered with a label that no class has.")
        return labels

    # Talking to the submission.

    def _reply(self, status: Status, body: bytes) -> None:
        try:
            self.submission.send(Channel.STREAM, bytes([status]) + body)
        except Disconnected:
            raise SubmissionLost from None

    def _expect(self, kind: type[_Message]) -> _Message:
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

    def _serve(self) -> Ready | Returned | Predicted:
        while True:
            self._look()
            channel, payload = self.submission.receive()
            if channel is Channel.STREAM:
                self._stream(payload)
            elif channel is Channel.OUTPUT:
                self._take_output(payload)
            elif channel is Channel.CONTROL:
                message = from_submission(payload)
                if isinstance(message, Report):
                    self.report(message.values)
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
            self.watch()

    def _stream(self, payload: bytes) -> None:
        try:
            accepted = self.meter.accept(payload)
        except SubmissionFailure as failure:
            self._end(failure)
        if accepted.question is not None:
            self._to_executor(Channel.STREAM, accepted.forward + accepted.question.record)
            self._ask(accepted.question)
        elif accepted.forward:
            self._to_executor(Channel.STREAM, accepted.forward)
        if accepted.refused is not None:
            self._reply(Status.REFUSED, accepted.refused.encode())

    def _ask(self, question: Question) -> None:
        status, body = self._executor_status()
        if status is Status.FATAL:
            self._end(SubmissionFailure(Verdict.FAILED, _text(body)))
        try:
            if status is Status.OK:
                self.meter.answer(question, body)
            else:
                self.meter.refuse(question)
                body = body[:_REASON_BYTES]
        except WireError as error:
            raise EnvironmentProblem(f"The executor's answer makes no sense: {error}.") from None
        except SubmissionFailure as failure:
            self._end(failure)
        self._reply(status, body)

    def _end(self, failure: SubmissionFailure) -> NoReturn:
        """Tell the submission that the run is over, and wait a moment to hear where in its code that was."""
        deadline = time.monotonic() + _GRACE_SECONDS
        self.submission.idle = lambda: _stop_after(deadline)
        try:
            self._reply(Status.FATAL, failure.reason.encode())
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

    def _take_output(self, part: bytes) -> None:
        self.log.add(part)
        if self.log.total_bytes > self.output_bytes:
            raise SubmissionFailure(
                Verdict.LIMIT_OUTPUT,
                f"The submission printed more than {self.output_bytes:,} bytes. Print less, or use "
                "task.report.",
            )

    def _take_failure(self, message: Failed) -> NoReturn:
        self.log.add(message.traceback.encode())
        uncounted = [operator for operator in self.meter.refused if operator in message.reason]
        raise SubmissionFailure(Verdict.UNCOUNTABLE if uncounted else Verdict.FAILED, message.reason)


def _text(body: bytes) -> str:
    return body[:_REASON_BYTES].decode(errors="replace")


def _located(failure: SubmissionFailure, message: Failed) -> SubmissionFailure:
    """The failure with the line of the submission's code, if that is what the submission has heard."""
    told = message.reason.removeprefix("RemoteError: ")
    known = told.startswith(failure.reason) and len(told) < len(failure.reason) + _PLACE_CHARACTERS
    return SubmissionFailure(failure.verdict, told) if known else failure


def _stop_after(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError
