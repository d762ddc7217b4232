"""The host's end of the connection to the executor. Its answers are checked: it may have been taken over."""

from collections import deque
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
    Fit,
    Load,
    Mark,
    MemoryTold,
    ModelTensor,
    Seal,
    Start,
    Started,
    TakeInventory,
    TellMemory,
    WeightsFollow,
)
from haet_eval.remote.meter import Point, Question
from haet_eval.remote.weights import Weight, check_weights, most_bytes
from haet_eval.remote.wire import Channel, Status, WireError

REASON_BYTES: Final = 2000
_BLOCK_BYTES: Final = 4 << 20
_INVENTORIES_AHEAD: Final = 16

_Answer = TypeVar("_Answer", Started, MemoryTold, WeightsFollow)


class ExecutorLost(Exception):
    """The executor has closed its connection."""


@dataclass(frozen=True, slots=True)
class _Awaited:
    """An answer that will come: an inventory, which must be this one, or that a marked place is reached."""

    inventory: bytes | None = None
    point: Point | None = None


@dataclass(frozen=True, slots=True)
class Sealed:
    """The training as it ended: the weights as safetensors, and what the executor used."""

    weights: bytes
    peak_memory_bytes: int


class ExecutorLink:
    """Commands and records to the executor, and its answers.

    Every method raises ExecutorLost when it is gone, EnvironmentProblem when what it says makes no sense, and
    SubmissionFailure when a call that came before has failed in it.

    `executed` is the last place of the stream that it is known to have come to.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._awaited: deque[_Awaited] = deque()
        self._receiving = False
        self.executed = Point(operations=0, entries=1)  # the trace has its header

    def start(self, start: Start) -> dict[str, Any]:
        """Tell it how to run; returns facts about it (`torch`, `accelerator`)."""
        self._command(start.encode())
        try:
            return self._message(Started).model_dump()
        except SubmissionFailure as failure:
            raise EnvironmentProblem(
                f"The executor cannot start on the device {start.device!r}: {failure.reason}.",
                "Use --device cpu, or install the device's driver and, for Docker, its container toolkit.",
                code="device-unusable",
            ) from None

    def load(self, array: npt.NDArray[Any]) -> None:
        """Hand it a tensor, which gets the next handle."""
        self._command(Load(dtype=str(array.dtype), shape=array.shape).encode())
        raw = memoryview(np.ascontiguousarray(array).data).cast("B")
        for start in range(0, len(raw), _BLOCK_BYTES):
            self._send(Channel.BLOCK, raw[start : start + _BLOCK_BYTES])

    def pass_on(self, records: bytes) -> None:
        """Send it records of the stream. The last of them may be a question: then `answer` comes next."""
        self._send(Channel.STREAM, records)

    def ask(self, forward: bytes, question: Question) -> tuple[Status, bytes]:
        """Send it records, and then a question; returns its answer."""
        self.pass_on(forward + question.record)
        return self.answer()

    def fit(self, fit: Fit) -> None:
        """Tell it what sizes the new tensors of its next answer are to have."""
        self._command(fit.encode())

    def answer(self) -> tuple[Status, bytes]:
        """Its answer to a question or a command."""
        self.catch_up()
        return self._next_answer()

    def compare_inventory(self, expected: bytes) -> None:
        """Ask for the inventory of its tensors. It is compared when the next answer is awaited, or soon."""
        self._command(TakeInventory().encode())
        self._awaited.append(_Awaited(inventory=expected))
        if sum(one.inventory is not None for one in self._awaited) > _INVENTORIES_AHEAD:
            self.catch_up()

    def mark(self, point: Point) -> None:
        """Have it say when it has come to this place of the stream, without waiting for that.

        A call that failed before is not reported here, but by the next answer that the submission waits for.
        """
        self._command(Mark().encode())
        self._awaited.append(_Awaited(point=point))

    def catch_up(self) -> None:
        """Wait until it has come to the last place that it was asked about."""
        while self._awaited:
            self._take_awaited()

    def take_answers(self) -> None:
        """Take what it has answered by now, without waiting for more."""
        while self._awaited and not self._receiving and self._connection.has_received():
            self._take_awaited()

    def _take_awaited(self) -> None:
        awaited = self._awaited.popleft()
        status, found = self._next_answer()
        if awaited.point is not None:
            self.executed = awaited.point if status is Status.OK else self.executed
        elif status is not Status.OK:
            raise failed(status, found)
        elif found != awaited.inventory:
            raise failed(Status.MISMATCH, _different(awaited.inventory or b"", found).encode())

    def _next_answer(self) -> tuple[Status, bytes]:
        _, payload = self._receive()
        if not payload or payload[0] > Status.MISMATCH:
            raise EnvironmentProblem("The executor sent an answer without a status.", code="executor-answer")
        return Status(payload[0]), payload[1:]

    def seal(self, tensors: tuple[ModelTensor, ...], weights: tuple[Weight, ...]) -> Sealed:
        """Close the training: keep these tensors, and fetch them, stored as `weights` say."""
        self._command(Seal(tensors=tensors).encode())
        facts = self._message(WeightsFollow)
        handed_out = self._weights(facts.weights_bytes, most_bytes(weights))
        try:
            check_weights(handed_out, weights)
        except ValueError as error:
            raise failed(Status.MISMATCH, f"Tensor mismatch: of the weights, {error}.".encode()) from None
        return Sealed(handed_out, facts.peak_memory_bytes)

    def tell_memory(self) -> int:
        """The most memory that it has taken so far, in bytes."""
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
        if count and not -1 <= labels.min() <= labels.max() < num_classes:
            raise EnvironmentProblem(
                "The executor answered with a label that no class has.", code="executor-answer"
            )
        return labels

    def drop(self, handles: tuple[int, ...]) -> None:
        """Let it forget these tensors."""
        self._command(Drop(handles=handles).encode())

    def _command(self, message: bytes) -> None:
        self._send(Channel.HOST, message)

    def _send(self, channel: Channel, payload: bytes | memoryview) -> None:
        try:
            self._connection.send(channel, payload)
        except Disconnected:
            raise ExecutorLost from None

    def _receive(self) -> tuple[Channel, bytes]:
        self._receiving = True  # what looks at the run while this waits must not take the answer
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
        if status is not Status.OK:
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
        weights = bytearray()
        while len(weights) < announced_bytes:
            channel, block = self._receive()
            if channel is not Channel.BLOCK or not block:
                raise EnvironmentProblem("The executor did not hand out the weights.", code="executor-answer")
            weights += block
        if len(weights) > announced_bytes:
            raise EnvironmentProblem(
                "The executor handed out more weights than it announced.", code="executor-answer"
            )
        return bytes(weights)


def failed(status: Status, body: bytes) -> SubmissionFailure:
    """The verdict on a run that the executor has ended, with its reason."""
    if status is Status.MISMATCH:
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
    """What an executor said of a failure, as text that is not endless."""
    return body[:REASON_BYTES].decode(errors="replace")
