"""A training that is computed for some seconds, and then only counted."""

import math
import time
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from haet_eval.check.stand_in import StandIns
from haet_eval.remote.executor_link import ExecutorLink, Sealed, reason_text
from haet_eval.remote.messages import ModelTensor, Start
from haet_eval.remote.meter import Meter, Question
from haet_eval.remote.weights import Weight
from haet_eval.remote.wire import Code, Status

_KEPT_ANSWERS: Final = 1 << 10
_QUICK_SECONDS: Final = 0.005
_SLOW_SECONDS: Final = 0.05
_PAUSE_SECONDS: Final = 0.25
_MOST_FRAMES_AHEAD: Final = 16
_HALF: Final = {
    "bfloat16": b"\x00\x3f",
    "float16": np.float16(0.5).tobytes(),
    "float32": np.float32(0.5).tobytes(),
    "float64": np.float64(0.5).tobytes(),
}


class CannotCount(Exception):
    """A call that has not been made before fails on made-up inputs; says which."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The executor had done so much by then. `definitions`: calls of a kind that had not been made before."""

    seconds: float
    operations: int
    messages: int
    definitions: int = 0


@dataclass
class MadeUp:
    """What the submission was told in the part that was not computed, beyond shapes."""

    values: int = 0
    shapes: int = 0


class Rehearsal(ExecutorLink):
    """Hands on to the executor what the meter lets pass, for `real_seconds`; then the meter counts alone.

    A program goes on without results because it holds handles only: what a call returns is known from the
    call before it with the same shapes. A value that it reads is one that it read before of a tensor of
    that shape, and where a shape depends on data it is one that the same call has returned before, in turn;
    where there is none, the values are one half and the masks select everything.

    A training that has ended by then is followed by a prediction that is computed, however long it takes.

    Attributes:
        moments: how far the executor was at which time, in the computed part.
        computing: the executor still does what it is told.
        peak_memory_bytes: of the executor in the computed part; None before its end.
    """

    def __init__(self, link: ExecutorLink, meter: Meter, real_seconds: float) -> None:
        self._link = link
        self._meter = meter
        self._real_seconds = real_seconds
        self._start: Start | None = None
        self._began: float | None = None
        self._heard_seconds = 0.0
        self._idle_seconds = 0.0
        self._frames = 0
        self._frames_ahead = 1
        self._definitions = 0
        self._stand_ins: StandIns | None = None
        self._answers: defaultdict[object, deque[bytes]] = defaultdict(lambda: deque(maxlen=_KEPT_ANSWERS))
        self.moments: list[Moment] = []
        self.made_up = MadeUp()
        self.computing = True
        self.peak_memory_bytes: int | None = None
        self._living_bytes = [0, 0]

    @property
    def living_bytes(self) -> tuple[int, int]:
        """The most that tensors took at once in the computed part, and in what was counted."""
        return self._living_bytes[0], self._living_bytes[1]

    def start(self, start: Start) -> dict[str, Any]:
        self._start = start
        return self._link.start(start)

    def load(self, array: npt.NDArray[Any]) -> None:
        if self.computing:
            self._link.load(array)

    def pass_on(self, records: bytes) -> None:
        part = 0 if self.computing else 1
        self._living_bytes[part] = max(self._living_bytes[part], self._meter.living_bytes)
        if not self.computing:
            return
        self._look_at_pause()
        self._link.pass_on(records)
        self._frames += 1
        if self._frames >= self._frames_ahead or self._is_over():
            self._catch_up()
        self._heard_seconds = self._seconds
        if self._is_over():
            self._stop_computing()

    def ask(self, forward: bytes, question: Question) -> tuple[Status, bytes]:
        self._look_at_pause()
        if self.computing and self._is_over():
            self.pass_on(forward)
        if not self.computing:
            return self._make_up(question)
        self._definitions += question.code is Code.DEFINE
        answer = self._link.ask(forward, question)
        self._heard_seconds = self._seconds
        return self._kept(question, *answer)

    def _kept(self, question: Question, status: Status, body: bytes) -> tuple[Status, bytes]:
        """The answer, and kept if the same question may come again."""
        if status is Status.OK and (question.code is Code.READ or _is_dynamic(question)):
            self._answers[_kind(question)].append(body)
        return status, body

    @property
    def _seconds(self) -> float:
        """Time since the first call, which the submission makes once it has imported torch."""
        if self._began is None:
            self._began = time.monotonic()
        return time.monotonic() - self._began

    def _is_over(self) -> bool:
        return self._seconds - self._idle_seconds >= self._real_seconds

    def _look_at_pause(self) -> None:
        """While the submission imports something, or sleeps, nothing is computed."""
        now = self._seconds
        self._idle_seconds += max(0.0, now - self._heard_seconds - _PAUSE_SECONDS)
        self._heard_seconds = now

    def _catch_up(self) -> None:
        """Wait until the executor has done what it was told; sooner the next time if that took long."""
        assert self._start is not None
        asked = self._seconds
        self._link.start(self._start)
        now = self._seconds
        if now - asked < _QUICK_SECONDS:
            self._frames_ahead = min(2 * self._frames_ahead, _MOST_FRAMES_AHEAD)
        elif now - asked > _SLOW_SECONDS:
            self._frames_ahead = max(self._frames_ahead // 2, 1)
        self._frames = 0
        meter = self._meter
        self.moments.append(Moment(now, meter.operations, meter.charges.messages, self._definitions))

    def _stop_computing(self) -> None:
        self.computing = False
        self.peak_memory_bytes = self._link.seal((), ()).peak_memory_bytes  # it drops every tensor
        self._stand_ins = StandIns(self._link, self._meter.next_handle)

    def _make_up(self, question: Question) -> tuple[Status, bytes]:
        assert self._stand_ins is not None
        if question.code is Code.DEFINE:
            status, body = self._kept(question, *self._stand_ins.define(question))
            if status is Status.FATAL:
                raise CannotCount(reason_text(body))
            self.made_up.shapes += _is_dynamic(question)
            return status, body
        known = self._answers[_kind(question)]
        if question.code is Code.READ:
            self.made_up.values += 1
            if not known:
                return Status.OK, _halves(question)
        else:
            self.made_up.shapes += 1
        known.rotate(-1)
        return Status.OK, known[-1]

    def compare_inventory(self, expected: bytes) -> None:
        if self.computing:
            self._link.compare_inventory(expected)

    def catch_up(self) -> None:
        if self.computing:
            self._link.catch_up()

    def seal(self, tensors: tuple[ModelTensor, ...], weights: tuple[Weight, ...]) -> Sealed:
        if not self.computing:
            return Sealed(b"", self.peak_memory_bytes or 0)
        self._real_seconds = math.inf
        sealed = self._link.seal(tensors, weights)
        self.peak_memory_bytes = sealed.peak_memory_bytes
        return sealed

    def argmax(self, handle: int, count: int, num_classes: int) -> npt.NDArray[np.int64]:
        if self.computing:
            return self._link.argmax(handle, count, num_classes)
        return np.zeros(count, dtype=np.int64)

    def drop(self, handles: tuple[int, ...]) -> None:
        if self.computing:
            self._link.drop(handles)


def _kind(question: Question) -> object:
    """Questions of one kind may have the same answers."""
    return question.template or question.inputs[0].layout


def _is_dynamic(question: Question) -> bool:
    return question.template is not None and question.template.dynamic


def _halves(question: Question) -> bytes:
    """A value to read, of floats 0.5: few programs decide anything by that. Integers are 0, masks false."""
    layout = question.inputs[0].layout
    half = _HALF.get(layout.dtype)
    return half * layout.numel if half else bytes(question.answer_bytes)
