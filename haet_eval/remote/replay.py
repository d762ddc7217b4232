"""Runs a trace once more on real data, in an executor alone: no process of the contestant is alive.

The training comes first, and the prediction after all tensors but the model's are freed. As in the run, the
test images reach the executor only after the seal.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from haet_eval.errors import SubmissionFailure
from haet_eval.remote import wire
from haet_eval.remote.executor_link import ExecutorLink, ExecutorLost, Sealed, reason_text
from haet_eval.remote.messages import Fit, ModelTensor
from haet_eval.remote.meter import Question
from haet_eval.remote.recount import recount
from haet_eval.remote.trace import trace_version
from haet_eval.remote.weights import Weight
from haet_eval.remote.wire import AnswerStatus, Fresh, Outcome, WireError


class Departure(Exception):
    """The executor's answer differs from the trace. `entry` is the place in the trace."""

    def __init__(self, entry: int, what: str) -> None:
        super().__init__(f"entry {entry:,} of the trace: {what}")
        self.entry = entry


@dataclass(frozen=True, slots=True)
class Replay:
    """A replay that agrees with its trace: the number of compared answers, and the model if there is one.

    `labels` are the model's labels of the test images, int64, up to the last batch that the trace predicts.
    """

    answers: int
    sealed: Sealed | None
    labels: npt.NDArray[np.int64]


def replay(
    path: Path,
    link: ExecutorLink,
    arrays: Sequence[npt.NDArray[Any]],
    test_images: npt.NDArray[np.uint8],
    *,
    noisy: bool = False,
) -> Replay:
    """Run a trace in a started executor, and compare every answer.

    Values that were read back are not in a trace, so they are not compared. The replay ends at the first
    difference: the calls after it were validated for the trace's outcome, and might be unsafe after another.

    Args:
        path: the trace.
        link: to the executor.
        arrays: the training data, uint8 [N, C, H, W] and int64 [N].
        test_images: uint8 [M, C, H, W].
        noisy: the executor puts noise on its results. Numbers and sizes that follow from values are then
            those of the trace, whatever the results.

    Raises:
        BrokenTrace: see `recount`.
        Departure: an answer of the executor differs from the trace, or the executor ended.
        EnvironmentProblem: the executor breaks the protocol.
    """
    for array in arrays:
        link.load(array)
    kind = _NoisyPerformer if noisy else _Performer
    performer = kind(link, test_images, legacy=trace_version(path) < wire.TRACE_VERSION)
    recount(path, performer)
    return Replay(performer.answers, performer.model, np.array(performer.labels, np.int64))


class _Performer:
    """Passes to an executor the calls that the meter lets pass."""

    def __init__(self, link: ExecutorLink, test_images: npt.NDArray[np.uint8], *, legacy: bool) -> None:
        self._link = link
        self._legacy = legacy
        self._test_images = test_images
        self._batch_images = 0
        self.answers = 0
        self.model: Sealed | None = None
        self.labels: list[int] = []

    def passed(self, entry: int, records: bytes) -> None:
        with _at(entry, "a call"):
            self._link.pass_on(records)

    def answered(self, entry: int, question: Question, outcome: bytes | None) -> None:
        answer = self._computed(entry, question)
        if outcome is None:
            # The trace has no values, so their size is all that can be compared.
            if len(answer) != question.answer_bytes:
                raise Departure(entry, f"{len(answer):,} bytes were read, not {question.answer_bytes:,}")
        elif not self._is_same(answer, outcome, question):
            raise Departure(
                entry,
                f"{_name(question)} returned {_shown(answer, question)}; the trace says"
                f" {_shown(outcome, question)}",
            )

    def refused(self, entry: int, question: Question) -> None:
        status, _ = self._ask(entry, question)
        # A call that succeeds here has made tensors that the rest of the trace does not know.
        if status is not AnswerStatus.REFUSED:
            raise Departure(
                entry, f"{_name(question)} was refused, says the trace; the executor did otherwise"
            )

    def sealed(self, entry: int, tensors: tuple[ModelTensor, ...], weights: tuple[Weight, ...]) -> None:
        with _at(entry, "the end of the training"):
            self.model = self._link.seal(tensors, weights)

    def batch(self, entry: int, shape: tuple[int, ...]) -> None:
        # The shape is the trace's own claim: behind the last image the slice is shorter, and so another
        # shape.
        images = self._test_images[len(self.labels) : len(self.labels) + shape[0]]
        if images.shape != shape:
            raise Departure(entry, f"a batch of shape {list(shape)} that the test images do not give")
        self._batch_images = shape[0]
        with _at(entry, "a batch of test images"):
            self._link.load(images)

    def predicted(self, entry: int, logits: int, classes: int, dropped: tuple[int, ...]) -> None:
        with _at(entry, "the prediction of a batch"):
            self.labels += self._link.argmax(logits, self._batch_images, classes).tolist()
            self._link.drop(dropped)

    def inventoried(self, entry: int, taken: bytes) -> None:
        with _at(entry, "an inventory"):
            self._link.compare_inventory(taken)

    def _is_same(self, answer: bytes, outcome: bytes, question: Question) -> bool:
        # Traces of version 2 have no lazy bits. Only if the answer differs is it worth decoding it.
        if answer == outcome or not self._legacy:
            return answer == outcome
        return wire.without_bits(answer, len(question.inputs)) == outcome

    def _ask(self, entry: int, question: Question) -> tuple[AnswerStatus, bytes]:
        self.answers += 1
        with _at(entry, _name(question)):
            return self._link.ask(b"", question)

    def _computed(self, entry: int, question: Question) -> bytes:
        status, answer = self._ask(entry, question)
        if status is not AnswerStatus.OK:
            raise Departure(entry, f"{_name(question)} failed: {reason_text(answer)}")
        return answer


class _NoisyPerformer(_Performer):
    """Follows the trace although noise changes the executor's values and the sizes that follow from them."""

    def answered(self, entry: int, question: Question, outcome: bytes | None) -> None:
        # Shapes that no value decides are the same under noise, so they are still compared.
        if outcome is None or question.template is None or not question.template.dynamic:
            super().answered(entry, question, outcome)
            return
        told = wire.decode_outcome(outcome, len(question.inputs))
        new = (value.meta for value in wire.flatten(told.outputs) if isinstance(value, Fresh))
        with _at(entry, _name(question)):
            self._link.fit(Fit(layouts=tuple((meta.shape, meta.stride) for meta in new)))
        self._computed(entry, question)


@contextmanager
def _at(entry: int, what: str) -> Iterator[None]:
    """Adds the place in the trace to an error of the executor."""
    try:
        yield
    except ExecutorLost:
        raise Departure(entry, f"the executor ended in {what}") from None
    except SubmissionFailure as failure:
        # The link takes a failed call for the submission's fault. In a replay no submission runs.
        raise Departure(entry, failure.reason) from None


def _name(question: Question) -> str:
    return question.template.operator.name if question.template else "a value read back"


def _shown(payload: bytes, question: Question) -> str:
    try:
        outcome = wire.decode_outcome(payload, len(question.inputs))
    except WireError as error:
        return f"nonsense ({error})"
    return ", ".join(map(_described, wire.flatten(outcome.outputs))) + _changes(outcome) or "nothing"


def _described(value: wire.Value) -> str:
    if not isinstance(value, Fresh):
        return str(value)
    meta = value.meta
    alias = f" in input {value.alias}" if value.alias >= 0 else ""
    return f"{meta.dtype}{list(meta.shape)} (strides {list(meta.stride)}, offset {meta.offset}){alias}"


def _changes(outcome: Outcome) -> str:
    return "".join(f", input {place} now {list(meta.shape)}" for place, meta in outcome.changed)
