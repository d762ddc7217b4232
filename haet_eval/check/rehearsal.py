"""A training that is computed for some seconds, and then only counted."""

import math
import time
from collections import defaultdict, deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from haet_eval.check.data_free import DataFree
from haet_eval.remote import wire
from haet_eval.remote.executor_link import ExecutorLink, Sealed
from haet_eval.remote.messages import ModelTensor, Start
from haet_eval.remote.meter import Meter, Question, StreamPoint
from haet_eval.remote.weights import Weight
from haet_eval.remote.wire import AnswerStatus, Code, Fresh

_KEPT_ANSWERS: Final = 1 << 10
# Waiting for the executor costs its pipeline. These two bounds keep the waits to a small part of the time.
_QUICK_SECONDS: Final = 0.005
_SLOW_SECONDS: Final = 0.05
# A longer silence is the submission's: it imports, sleeps, or works in Python. `--seconds` is about
# computing.
_PAUSE_SECONDS: Final = 0.25
_MOST_FRAMES_AHEAD: Final = 16
_HALF: Final = {
    # NumPy has no bfloat16: 0.5 is 0x3F00, little-endian.
    "bfloat16": b"\x00\x3f",
    "float16": np.float16(0.5).tobytes(),
    "float32": np.float32(0.5).tobytes(),
    "float64": np.float64(0.5).tobytes(),
}


class Sizes(StrEnum):
    """Which of the shapes that were seen stand in for those that depend on data."""

    IN_TURN = "in turn"
    SMALLEST = "smallest"
    LARGEST = "largest"


@dataclass(frozen=True, slots=True)
class RehearsedSoFar:
    """The executor had done so much by then. `definitions`: calls of a kind that had not been made before."""

    seconds: float
    operations: int
    messages: int
    definitions: int = 0


@dataclass
class MadeUp:
    """What the submission was given in the part that was not computed, beyond shapes that are known.

    Attributes:
        values: how many times it read a value that depends on images.
        shapes: how many calls returned a shape that depends on images.
        failed: a call that was not made before has failed on inputs that were made up.
        finite: it heard that values are finite, which says nothing about how it goes on.
    """

    values: int = 0
    shapes: int = 0
    failed: bool = False
    finite: bool = False

    def __bool__(self) -> bool:
        return bool(self.values or self.shapes or self.failed)


class Rehearsal(ExecutorLink):
    """Hands on to the executor what the meter lets pass, for `real_seconds`; then the meter counts alone.

    A program goes on without results because it holds handles only: what a call returns is known from the
    call before it with the same shapes. What depends on no image goes on being computed (`DataFree`). Another
    value that the program reads is one that it read before of such a tensor; a shape that depends on images
    is one that the same call has returned before. If it has returned no such shape, floats are one half, and
    a mask selects all or nothing (`sizes`).

    A training that has ended by then is followed by a prediction that is computed, however long it takes.

    Args:
        link: to the executor.
        meter: has seen each record before it comes here.
        real_seconds: how long the executor computes everything.
        real_messages: or until the submission has sent so many records, if that comes first.
        sizes: which shapes to make up.

    Attributes:
        moments: how far the executor was at which time, in the computed part.
        computing: the executor still does all its work.
        computed_operations: operations of the computed part.
        peak_memory_bytes: of the executor in the computed part; None before its end.
    """

    def __init__(
        self,
        link: ExecutorLink,
        meter: Meter,
        real_seconds: float,
        real_messages: float = math.inf,
        sizes: Sizes = Sizes.IN_TURN,
    ) -> None:
        self._link = link
        self._meter = meter
        self.executed = link.executed
        self._real_seconds = real_seconds
        self._real_messages = real_messages
        self._sizes = sizes
        self._start: Start | None = None
        self._began: float | None = None
        self._heard_seconds = 0.0
        self._idle_seconds = 0.0
        self._frames = 0
        self._frames_ahead = 1
        self._definitions = 0
        self._data_free: DataFree | None = None
        # Bounded: a program may read a value after each of millions of calls.
        self._answers: defaultdict[object, deque[bytes]] = defaultdict(lambda: deque(maxlen=_KEPT_ANSWERS))
        self.moments: list[RehearsedSoFar] = []
        self.made_up = MadeUp()
        self.computing = True
        self.computed_operations = 0
        self.peak_memory_bytes: int | None = None
        self._living_bytes = [0, 0]

    @property
    def living_bytes(self) -> tuple[int, int]:
        """The most bytes that tensors took at once, in the computed and in the counted part."""
        return self._living_bytes[0], self._living_bytes[1]

    def start(self, start: Start) -> dict[str, Any]:
        self._start = start
        return self._link.start(start)

    # A load comes before the training and, with the test images, for the prediction. Only the latter can be
    # skipped.
    def load(self, array: npt.NDArray[Any]) -> None:
        if self._data_free is None:
            self._link.load(array)
        else:
            self._data_free.skip()

    def pass_on(self, records: bytes) -> None:
        # Apart, since the executor's measured peak covers the computed part only: see
        # `estimate_memory_bytes`.
        part = 0 if self.computing else 1
        self._living_bytes[part] = max(self._living_bytes[part], self._meter.executor_bytes)
        if self._data_free is not None:
            self._data_free.follow(records)
            return
        self._look_at_pause()
        self._link.pass_on(records)
        self._frames += 1
        # Without a wait now and then, the meter would run far ahead, and `moments` would show its pace and
        # not the executor's.
        if self._frames >= self._frames_ahead or self._is_over():
            self._catch_up()
        self._heard_seconds = self._seconds
        if self._is_over():
            self._stop_computing()

    def ask(self, forward: bytes, question: Question) -> tuple[AnswerStatus, bytes]:
        self._look_at_pause()
        # Records that came before the question are still computed, so that `DataFree` begins with all tensors
        # in place.
        if self.computing and self._is_over():
            self._link.pass_on(forward)
            self._stop_computing()
        elif self._data_free is not None:
            self._data_free.follow(forward)
        if self._data_free is not None:
            return self._answered(self._data_free, question)
        self._definitions += question.code is Code.DEFINE
        answer = self._link.ask(forward, question)
        self._heard_seconds = self._seconds
        return self._kept(question, *answer)

    def _kept(self, question: Question, status: AnswerStatus, body: bytes) -> tuple[AnswerStatus, bytes]:
        """The answer, and kept if the same question may come again."""
        if status is AnswerStatus.OK and (question.code is Code.READ or _is_dynamic(question)):
            self._answers[_kind(question)].append(body)
        return status, body

    @property
    def _seconds(self) -> float:
        """Time since the first call, which the submission makes once it has imported torch."""
        if self._began is None:
            self._began = time.monotonic()
        return time.monotonic() - self._began

    def _is_over(self) -> bool:
        # By messages, a test can stop the computing at the same place on every machine.
        if self._meter.charges.messages >= self._real_messages:
            return True
        return self._seconds - self._idle_seconds >= self._real_seconds

    def _look_at_pause(self) -> None:
        """While the submission imports something, or sleeps, nothing is computed."""
        now = self._seconds
        self._idle_seconds += max(0.0, now - self._heard_seconds - _PAUSE_SECONDS)
        self._heard_seconds = now

    def _catch_up(self) -> None:
        """Wait until the executor has done all its work; sooner the next time if that took long."""
        assert self._start is not None
        asked = self._seconds
        # A second start sets what is set already. Its answer comes after all records before it.
        self._link.start(self._start)
        now = self._seconds
        if now - asked < _QUICK_SECONDS:
            self._frames_ahead = min(2 * self._frames_ahead, _MOST_FRAMES_AHEAD)
        elif now - asked > _SLOW_SECONDS:
            self._frames_ahead = max(self._frames_ahead // 2, 1)
        self._frames = 0
        meter = self._meter
        self.moments.append(RehearsedSoFar(now, meter.operations, meter.charges.messages, self._definitions))

    def _stop_computing(self) -> None:
        self.computing = False
        self.computed_operations = self._meter.operations
        self.peak_memory_bytes = self._link.tell_memory()
        # Last: it frees tensors, and the peak and the operations above are those of the computed part.
        self._data_free = DataFree(self._link, self._meter, masks=self._sizes is not Sizes.SMALLEST)

    def _answered(self, data_free: DataFree, question: Question) -> tuple[AnswerStatus, bytes]:
        """The answer to a question when nothing that depends on images is computed any more."""
        if question.code is Code.READ:
            return data_free.read(question) or self._value(question)
        if question.code is Code.DYNAMIC:
            return data_free.shapes(question) or self._shape(data_free, question)
        status, body, true = data_free.define(question)
        # A kernel may have failed on stand-ins alone, so this is no verdict yet.
        if not true and status is AnswerStatus.FATAL:
            self.made_up.failed = True
        if not true and status is AnswerStatus.OK:
            self.made_up.shapes += 1
        # A true answer as well: the same call may come again with images, and then needs a shape.
        return self._kept(question, status, body)

    def _value(self, question: Question) -> tuple[AnswerStatus, bytes]:
        self.made_up.values += 1
        known = self._answers[_kind(question)]
        if not known:
            return AnswerStatus.MADE_UP, _halves(question)
        # In turn, as losses fall and rise again. The other sizes read in another order: if a verdict changes
        # by that, it was by values.
        known.rotate(-1 if self._sizes is Sizes.IN_TURN else 1)
        return AnswerStatus.MADE_UP, known[-1]

    def _shape(self, data_free: DataFree, question: Question) -> tuple[AnswerStatus, bytes]:
        self.made_up.shapes += 1
        known = self._answers[_kind(question)]
        if self._sizes is Sizes.IN_TURN:
            known.rotate(-1)
            body = known[-1]
        else:
            # The range is that of real answers: the smallest and the largest that this call has returned.
            choose = min if self._sizes is Sizes.SMALLEST else max
            body = choose(known, key=lambda one: _elements(one, len(question.inputs)))
        data_free.pass_over(question, body)
        return AnswerStatus.OK, body

    @property
    def assumes_finite(self) -> bool:
        """Whether the submission heard that values which were not computed are finite."""
        return self._data_free is not None and self._data_free.assumes_finite

    def compare_inventory(self, expected: bytes) -> None:
        if self._data_free is None:
            self._link.compare_inventory(expected)

    def mark(self, point: StreamPoint) -> None:
        # The rehearsal waits for the executor in its own way, so it asks for no marks: the place counts as
        # reached.
        self.executed = point

    # Without marks, no answers arrive that nobody waits for.
    def take_answers(self) -> None: ...

    def catch_up(self) -> None:
        if self.computing:
            self._link.catch_up()

    def seal(self, tensors: tuple[ModelTensor, ...], weights: tuple[Weight, ...]) -> Sealed:
        if self._data_free is not None:
            # As the seal does in an evaluation: only the model outlives the training.
            self._data_free.keep_only([tensor.handle for tensor in tensors])
            return Sealed(b"", self.peak_memory_bytes or 0)
        # The training was computed to its end, so the prediction is as well: its accuracy is worth the time.
        self._real_seconds = math.inf
        sealed = self._link.seal(tensors, weights)
        self.peak_memory_bytes = sealed.peak_memory_bytes
        return sealed

    def argmax(self, handle: int, count: int, num_classes: int) -> npt.NDArray[np.int64]:
        if self.computing:
            return self._link.argmax(handle, count, num_classes)
        # Nobody scores these: the sample states an accuracy only if all was computed.
        return np.zeros(count, dtype=np.int64)

    def drop(self, handles: tuple[int, ...]) -> None:
        if self._data_free is None:
            self._link.drop(handles)
        else:
            self._data_free.forget(handles)


def _kind(question: Question) -> object:
    """Questions of one kind may have the same answers: a loss is read as often as a count, but not as one."""
    # A READ has no template: layout and maker tell a loss from a count of the same shape.
    return question.template or (question.inputs[0].layout, question.inputs[0].storage.maker)


def _elements(body: bytes, inputs: int) -> int:
    """How many elements an outcome has."""
    values = wire.flatten(wire.decode_outcome(body, inputs).outputs)
    return sum(value.meta.numel for value in values if isinstance(value, Fresh))


def _is_dynamic(question: Question) -> bool:
    return question.template is not None and question.template.dynamic


def _halves(question: Question) -> bytes:
    """A value to read, of floats 0.5: few programs decide anything by that. Integers are 0, masks false."""
    layout = question.inputs[0].layout
    half = _HALF.get(layout.dtype)
    return half * layout.numel if half else bytes(question.answer_bytes)
