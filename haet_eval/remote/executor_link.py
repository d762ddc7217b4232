"""The host's end of the connection to the executor. It checks each answer: the executor may be taken over."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from haet_eval.errors import EnvironmentProblem, SubmissionFailure, Verdict
from haet_eval.remote.connection import Connection, Disconnected
from haet_eval.remote.inventory import INVENTORY_BYTES, totals
from haet_eval.remote.messages import (
    Argmax,
    Drop,
    ExecutorStarted,
    Fit,
    Load,
    Mark,
    MemoryTold,
    ModelTensor,
    Seal,
    Start,
    TakeInventory,
    TellMemory,
    WeightsFollow,
)
from haet_eval.remote.meter import Question, StreamPoint
from haet_eval.remote.weights import Weight, check_weights, most_bytes
from haet_eval.remote.wire import AnswerStatus, Channel, WireError, blocks

REASON_BYTES: Final = 2000
_INVENTORIES_AHEAD: Final = 16

_Answer = TypeVar("_Answer", ExecutorStarted, MemoryTold, WeightsFollow)


class ExecutorLost(Exception):
    """The executor has closed its connection."""


@dataclass(frozen=True, slots=True)
class _Awaited:
    """An answer that will come: the inventory of the executor, or the news that it has reached a mark.

    With `take_state`, the answer at the mark announces the executor's state, which this function receives.
    """

    inventory: bytes | None = None
    point: StreamPoint | None = None
    take_state: Callable[[bytes], None] | None = None


@dataclass(frozen=True, slots=True)
class Sealed:
    """The end of the training: the weights as safetensors, and the peak memory of the executor."""

    weights: bytes
    peak_memory_bytes: int


class ExecutorLink:
    """Commands and records to the executor, and its answers.

    Every method raises ExecutorLost if the executor is gone, EnvironmentProblem if its answer makes no sense,
    and SubmissionFailure if an earlier call has failed in it.

    Answers come in the order of the questions, and the host does not wait for inventories and marks. So they
    stand in a queue, and whoever waits for a later answer takes these first.

    `executed` is the last place of the stream that the executor has reported to have reached.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._awaited: deque[_Awaited] = deque()
        self._receiving = False
        self.executed = StreamPoint(operations=0, entries=1)  # the trace has its header

    def start(self, start: Start) -> dict[str, Any]:
        """Send the executor its settings; return facts about it (`torch`, `accelerator`)."""
        self._command(start.encode())
        try:
            return self._message(ExecutorStarted).model_dump()
        # No call of the submission has run yet, so this failure is the machine's.
        except SubmissionFailure as failure:
            raise EnvironmentProblem(
                f"The executor cannot start on the device {start.device!r}: {failure.reason}.",
                "Use --device cpu, or install the device's driver and, for Docker, its container toolkit.",
                code="device-unusable",
            ) from None

    def load(self, array: npt.NDArray[Any]) -> None:
        """Send the executor a tensor, which gets the next handle."""
        self._command(Load(dtype=str(array.dtype), shape=array.shape).encode())
        raw = memoryview(np.ascontiguousarray(array).data).cast("B")
        for block in blocks(raw):
            self._send(Channel.BLOCK, block)

    def pass_on(self, records: bytes) -> None:
        """Send records of the stream. The last of them may be a question: then call `answer` next."""
        self._send(Channel.STREAM, records)

    def ask(self, forward: bytes, question: Question) -> tuple[AnswerStatus, bytes]:
        """Send records, and then a question; return the executor's answer."""
        self.pass_on(forward + question.record)
        return self.answer()

    def fit(self, fit: Fit) -> None:
        """Send the sizes that the new tensors of the executor's next answer must have."""
        self._command(fit.encode())

    def answer(self) -> tuple[AnswerStatus, bytes]:
        """The executor's answer to a question or a command."""
        self.catch_up()
        return self._next_answer()

    def compare_inventory(self, expected: bytes) -> None:
        """Ask for the inventory of the executor's tensors; compare it before the next answer, or sooner."""
        self._command(TakeInventory().encode())
        self._awaited.append(_Awaited(inventory=expected))
        # A submission that sends short records can be many inventories ahead. Without a bound the queue would
        # grow, and a difference would be found long after it arose.
        if self._inventories() > _INVENTORIES_AHEAD:
            self.take_answers()
        if self._inventories() > _INVENTORIES_AHEAD:
            # The submission waits until the executor has done its work, as when there is no room for more.
            self._connection.stalls += 1
            self.catch_up()

    def _inventories(self) -> int:
        return sum(one.inventory is not None for one in self._awaited)

    def mark(self, point: StreamPoint) -> None:
        """Ask the executor to answer when it reaches this place of the stream; do not wait for the answer.

        The answer to a mark does not report an earlier failure; the next answer for which the submission
        waits does. Otherwise the place in the code at which a run fails would depend on the speed of the
        machine.
        """
        self._command(Mark().encode())
        self._awaited.append(_Awaited(point=point))

    def await_state(self, point: StreamPoint, take_state: Callable[[bytes], None]) -> None:
        """The executor was asked for its state at this place: take it when it comes."""
        self._awaited.append(_Awaited(point=point, take_state=take_state))

    def blocks(self, count: int) -> Iterator[bytes]:
        """That many bytes in BLOCK frames, which the executor has announced."""
        while count > 0:
            channel, block = self._receive()
            # An empty block would be no progress: an executor that is taken over could send them without end.
            if channel is not Channel.BLOCK or not 0 < len(block) <= count:
                raise EnvironmentProblem(
                    "The executor did not hand out what it announced.", code="executor-answer"
                )
            count -= len(block)
            yield block

    def catch_up(self) -> None:
        """Wait for all answers in the queue."""
        while self._awaited:
            self._take_awaited()

    def take_answers(self) -> None:
        """Take the answers that have arrived, without waiting for more."""
        while self._awaited and not self._receiving and self._connection.has_received():
            self._take_awaited()

    def _take_awaited(self) -> None:
        awaited = self._awaited.popleft()
        status, found = self._next_answer()
        if awaited.point is not None:
            # After a failure the executor skips all calls, so nothing behind the last mark counts as
            # executed.
            self.executed = awaited.point if status is AnswerStatus.OK else self.executed
            if awaited.take_state and status is AnswerStatus.OK:
                awaited.take_state(found)
        elif status is not AnswerStatus.OK:
            raise failed(status, found)
        elif found != awaited.inventory:
            raise failed(AnswerStatus.MISMATCH, _different(awaited.inventory or b"", found).encode())

    def _next_answer(self) -> tuple[AnswerStatus, bytes]:
        channel, payload = self._receive()
        # The statuses above are the host's own. An executor must not claim that a value was made up or
        # charged.
        if channel is not Channel.STREAM or not payload or payload[0] > AnswerStatus.MISMATCH:
            raise EnvironmentProblem("The executor sent an answer without a status.", code="executor-answer")
        return AnswerStatus(payload[0]), payload[1:]

    def seal(self, tensors: tuple[ModelTensor, ...], weights: tuple[Weight, ...]) -> Sealed:
        """Close the training: the executor keeps only these tensors, and returns them as `weights` say."""
        self._command(Seal(tensors=tensors).encode())
        facts = self._message(WeightsFollow)
        handed_out = self._weights(facts.weights_bytes, most_bytes(weights))
        try:
            check_weights(handed_out, weights)
        except ValueError as error:
            # As with an inventory: these tensors are not those that were counted, so the count cannot be
            # trusted.
            raise failed(
                AnswerStatus.MISMATCH, f"Tensor mismatch: of the weights, {error}.".encode()
            ) from None
        return Sealed(handed_out, facts.peak_memory_bytes)

    def tell_memory(self) -> int:
        """The peak memory of the executor so far, in bytes."""
        self._command(TellMemory().encode())
        return self._message(MemoryTold).peak_memory_bytes

    def argmax(self, handle: int, count: int, num_classes: int) -> npt.NDArray[np.int64]:
        """The class with the greatest logit for each of `count` images, [count]; -1 if any is NaN."""
        self._command(Argmax(handle=handle).encode())
        answer = self._ok()
        if len(answer) != count * np.dtype(np.int64).itemsize:
            raise EnvironmentProblem(
                "The executor answered with another number of labels than images.", code="executor-answer"
            )
        labels = np.frombuffer(answer, dtype=np.int64)
        # A label outside the classes would reach the scoring of the host.
        if count and not -1 <= labels.min() <= labels.max() < num_classes:
            raise EnvironmentProblem(
                "The executor answered with a label that no class has.", code="executor-answer"
            )
        return labels

    def drop(self, handles: tuple[int, ...]) -> None:
        """Let the executor free these tensors."""
        self._command(Drop(handles=handles).encode())

    def _command(self, message: bytes) -> None:
        self._send(Channel.HOST, message)

    def _send(self, channel: Channel, payload: bytes | memoryview) -> None:
        try:
            self._connection.send(channel, payload)
        except Disconnected:
            raise ExecutorLost from None

    def _receive(self) -> tuple[Channel, bytes]:
        # While this waits, the connection's `idle` runs, and may call `take_answers`: that must not take the
        # answer which is awaited here.
        self._receiving = True
        try:
            return self._connection.receive()
        except Disconnected:
            raise ExecutorLost from None
        except WireError as error:
            raise EnvironmentProblem(
                f"The executor sent something that is no frame: {error}.", code="executor-answer"
            ) from None
        finally:
            self._receiving = False

    def _ok(self) -> bytes:
        status, body = self.answer()
        if status is not AnswerStatus.OK:
            raise failed(status, body)
        return body

    def _message(self, kind: type[_Answer]) -> _Answer:
        try:
            return kind.model_validate_json(self._ok())
        except ValidationError:
            raise EnvironmentProblem(
                f"The executor's answer is no {kind.__name__} message.", code="executor-answer"
            ) from None

    def _weights(self, announced_bytes: int, most_bytes: int) -> bytes:
        if announced_bytes > most_bytes:
            raise EnvironmentProblem(
                "The executor announced more weights than the model has.", code="executor-answer"
            )
        return b"".join(self.blocks(announced_bytes))


def failed(status: AnswerStatus, body: bytes) -> SubmissionFailure:
    """The verdict on a run that the executor has ended, with its reason."""
    if status is AnswerStatus.MISMATCH:
        return SubmissionFailure(Verdict.FAILED, reason_text(body), code="tensor-mismatch")
    return SubmissionFailure(Verdict.FAILED, reason_text(body), code="operator-failed")


def _different(expected: bytes, found: bytes) -> str:
    if len(found) != INVENTORY_BYTES:
        raise EnvironmentProblem("The executor sent something that is no inventory.", code="executor-answer")
    (ours, our_bytes), (theirs, their_bytes) = totals(expected), totals(found)
    return (
        f"Tensor mismatch: the executor holds {theirs:,} tensors in {their_bytes:,} bytes, the meter counted "
        f"{ours:,} in {our_bytes:,}, or shapes differ. The count of this run cannot be trusted, so the "
        "run ends. If the code is ordinary PyTorch, this is a fault of haet-eval: please report it with the "
        "submission."
    )


def reason_text(body: bytes) -> str:
    """The executor's text about a failure, cut to REASON_BYTES: a hostile text may be of any length."""
    return body[:REASON_BYTES].decode(errors="replace")
