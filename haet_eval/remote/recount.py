"""The count as a pure function of the trace: no torch, no data, no untrusted code."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from haet_eval.counting.histogram import Histogram
from haet_eval.counting.parameters import ParameterCount
from haet_eval.errors import SubmissionFailure
from haet_eval.remote.charges import MAX_HANDLES, MeterLimits
from haet_eval.remote.memory import MemoryBooks, MeteredMemory
from haet_eval.remote.messages import ImageBatch, Logits, ModelTensor, Seal
from haet_eval.remote.meter import Accepted, Meter, Question
from haet_eval.remote.trace import BrokenTrace, Kind, read_trace, trace_version
from haet_eval.remote.weights import Weight
from haet_eval.remote.wire import TRACE_VERSION, Code, WireError

_ANY: Final = 1 << 62
_Entries: TypeAlias = Iterator[tuple[int, tuple[Kind, bytes]]]

# Budgets are the competition's, and whoever asks for a recount compares them. The limits of the meter itself
# still hold for a hostile trace.
_UNBOUNDED: Final = MeterLimits(
    readback_bytes=_ANY,
    upload_bytes=_ANY,
    messages=_ANY,
    operations=None,
    prediction_operations_per_image=_ANY,
    prediction_readback_bytes=_ANY,
    timed_answers=_ANY,
)


@dataclass(frozen=True, slots=True)
class Charged:
    """What was charged up to some point of a trace."""

    readback_bytes: int
    upload_bytes: int
    messages: int
    timed_answers: int = 0
    constant_selects: int = 0


@dataclass(frozen=True, slots=True)
class Recount:
    """What a trace says of the training: its calls, those refused, its charges, tensor memory, and the model.

    `first_seed` is the first number with which the trace seeds a generator; None if it seeds none.
    `operations_by_template` has the priced operations of each template, in the order of their definitions.

    Of the prediction, apart from all that: the images of each batch, its operations, the bytes that it read
    back, in all and of one batch at most, and what training and prediction were charged together.
    """

    header: dict[str, Any]
    first_seed: int | None
    histogram: Histogram
    operations_by_template: tuple[int, ...]
    refused: Mapping[str, int]
    parameters: ParameterCount | None
    training: Charged
    memory: MeteredMemory
    batches: tuple[int, ...]
    prediction_operations: int
    prediction_readback_bytes: int
    most_readback_bytes_of_a_batch: int
    whole_run: Charged

    @property
    def predicted_images(self) -> int:
        """The images of all batches."""
        return sum(self.batches)


class Listener(Protocol):
    """Follows a recount. It hears of nothing that the meter has not let pass.

    `entry` is the place in the trace; the header is entry 0.
    """

    def passed(self, entry: int, records: bytes) -> None:
        """Records that want no answer."""

    def answered(self, entry: int, question: Question, outcome: bytes | None) -> None:
        """A question, and its answer by the trace; None if a value was read back."""

    def refused(self, entry: int, question: Question) -> None:
        """A question that the executor refused."""

    def sealed(self, entry: int, tensors: tuple[ModelTensor, ...], weights: tuple[Weight, ...]) -> None:
        """The tensors of the returned model, and how they are stored."""

    def batch(self, entry: int, shape: tuple[int, ...]) -> None:
        """Images to predict, uint8 of this shape, are the next tensor."""

    def predicted(self, entry: int, logits: int, classes: int, dropped: tuple[int, ...]) -> None:
        """The tensor that is the prediction for the batch, and those that did not outlive the batch."""

    def inventoried(self, entry: int, taken: bytes) -> None:
        """The inventory of all living tensors."""


class Deaf:
    """A listener that does nothing; others override what they care for."""

    def passed(self, entry: int, records: bytes) -> None: ...
    def answered(self, entry: int, question: Question, outcome: bytes | None) -> None: ...
    def refused(self, entry: int, question: Question) -> None: ...
    def sealed(self, entry: int, tensors: tuple[ModelTensor, ...], weights: tuple[Weight, ...]) -> None: ...
    def batch(self, entry: int, shape: tuple[int, ...]) -> None: ...
    def predicted(self, entry: int, logits: int, classes: int, dropped: tuple[int, ...]) -> None: ...
    def inventoried(self, entry: int, taken: bytes) -> None: ...


def recount(path: Path, listener: Listener | None = None, *, memory: MemoryBooks | None = None) -> Recount:
    """Run the meter over a trace, with these books of its tensors' memory if there are some.

    Raises:
        BrokenTrace: the file is no trace, or holds what no meter would have let pass.
    """
    entries = enumerate(read_trace(path))
    header = _header(entries)
    strict = trace_version(path) == TRACE_VERSION
    walk = _Walk(Meter(_UNBOUNDED, strict=strict, memory=memory), listener or Deaf(), strict=strict)
    try:
        # The header is believed here. Whoever judges a record compares it with the rules' data set.
        shape = tuple(int(size) for size in header["images"])
        if min(shape, default=0) < 1:
            raise BrokenTrace("the trace's header has no number of images")
        walk.meter.load(shape, "uint8")
        walk.meter.load(shape[:1], "int64")
        for entry, (kind, body) in entries:
            try:
                walk.take(entry, kind, body, entries)
            except SubmissionFailure:
                # The record that made one tensor too many was counted, and ended the run.
                if len(walk.meter.living) <= MAX_HANDLES or next(entries, None):
                    raise
    # A trace may come from anyone. Whatever the meter stumbles over is a fault of the file.
    except (WireError, SubmissionFailure, ArithmeticError, KeyError, TypeError, ValueError) as error:
        raise BrokenTrace(f"the trace holds what no meter would have let pass: {error}") from None
    return Recount(
        header=header,
        first_seed=walk.meter.first_seed,
        histogram=walk.meter.histogram(),
        operations_by_template=walk.meter.operations_by_template(),
        refused=walk.meter.refused if walk.refused is None else walk.refused,
        parameters=walk.parameters,
        training=walk.training or walk.charged(),
        memory=walk.meter.tensor_memory,
        batches=tuple(walk.batches),
        prediction_operations=walk.meter.prediction_operations,
        prediction_readback_bytes=walk.meter.charges.prediction_readback_bytes,
        most_readback_bytes_of_a_batch=walk.meter.charges.most_readback_bytes_of_a_batch,
        whole_run=walk.charged(),
    )


def _header(entries: _Entries) -> dict[str, Any]:
    _, (kind, body) = next(entries, (0, (Kind.SEAL, b"")))
    try:
        header = json.loads(body) if kind is Kind.HEADER else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise BrokenTrace("the trace does not begin with a header")
    return header


def _is_one(kind: Kind, accepted: Accepted) -> bool:
    """Whether an entry of that kind holds what the meter found in it."""
    match kind:
        case Kind.PASSED:
            return accepted.question is None and accepted.refused is None
        case Kind.QUESTION:
            # The meter wrote the records before a question as an entry of their own.
            return accepted.question is not None and not accepted.forward
        case Kind.REFUSED:
            return (accepted.question or accepted.refused) is not None and not accepted.forward
        case _:
            return False


class _Walk:
    """Takes a meter through the entries of a trace, as the run took it."""

    def __init__(self, meter: Meter, listener: Listener, *, strict: bool) -> None:
        self.meter = meter
        self._strict = strict
        self._inventoried = self._after_passed = False
        self.parameters: ParameterCount | None = None
        self.training: Charged | None = None
        self.refused: dict[str, int] | None = None
        self.batches: list[int] = []
        self._batch_images = 0
        self._listener = listener

    def charged(self) -> Charged:
        charges = self.meter.charges
        return Charged(
            readback_bytes=charges.readback_bytes + charges.prediction_readback_bytes,
            upload_bytes=charges.upload_bytes,
            messages=charges.messages,
            timed_answers=charges.timed_answers,
            constant_selects=charges.constant_selects,
        )

    def take(self, entry: int, kind: Kind, body: bytes, entries: _Entries) -> None:
        if self._strict and kind is not Kind.INVENTORY and self._lacks_inventory(kind):
            raise BrokenTrace("an inventory is missing in the trace")
        self._inventoried, self._after_passed = kind is Kind.INVENTORY, kind is Kind.PASSED
        match kind:
            case Kind.SEAL:
                self._seal(entry, Seal.model_validate_json(body))
            case Kind.BATCH:
                self._begin_batch(entry, ImageBatch.model_validate_json(body))
            case Kind.LOGITS:
                self._end_batch(entry, Logits.model_validate_json(body))
            case Kind.INVENTORY:
                self._take_inventory(entry, body)
            case _:
                self._records(entry, kind, body, entries)

    def _lacks_inventory(self, kind: Kind) -> bool:
        """Whether the run took an inventory before an entry of this kind, and the trace has none here.

        The run takes one when it has worked off a frame. So the question of the frame in which it falls due
        comes before it.
        """
        if kind is Kind.SEAL:
            return not self._inventoried
        same_frame = self._after_passed and kind in (Kind.QUESTION, Kind.REFUSED)
        return self.meter.inventory_is_due and not same_frame

    def _seal(self, entry: int, seal: Seal) -> None:
        if self.parameters is not None:
            raise BrokenTrace("a second model is returned in the trace")
        # Checked before the listener hears of it: a replay acts on nothing that the meter has not let pass.
        self.parameters = self.meter.seal(seal.tensors)
        self.training = self.charged()
        # A copy: the meter goes on to count the refusals of the prediction.
        self.refused = dict(self.meter.refused)
        self._listener.sealed(entry, seal.tensors, self.meter.weights(seal.tensors))

    def _begin_batch(self, entry: int, batch: ImageBatch) -> None:
        # Test images before the seal could be trained on; two batches at once would share one budget of
        # values that are read.
        if self.parameters is None or self._batch_images or min(batch.shape, default=0) < 1:
            raise BrokenTrace("a batch of images at a place of the trace that cannot have one")
        if self.meter.begin_batch(batch.shape) != batch.handle:
            raise BrokenTrace("a batch of images with another number than it got")
        self._batch_images = batch.shape[0]
        self._listener.batch(entry, batch.shape)

    def _end_batch(self, entry: int, logits: Logits) -> None:
        if not self._batch_images:
            raise BrokenTrace("a prediction of no batch is in the trace")
        self.meter.take_logits(logits.handle, self._batch_images, logits.classes)
        self.batches.append(self._batch_images)
        self._batch_images = 0
        self._listener.predicted(entry, logits.handle, logits.classes, self.meter.end_batch())

    def _take_inventory(self, entry: int, body: bytes) -> None:
        if body != self.meter.inventory():
            raise BrokenTrace("an inventory of the trace is not that of the tensors at this place")
        self._listener.inventoried(entry, body)

    def _records(self, entry: int, kind: Kind, body: bytes, entries: _Entries) -> None:
        accepted = self.meter.accept(body)
        # An entry of another kind could hide its records from the listener, and so from a replay.
        if accepted.end < len(body) or not _is_one(kind, accepted):
            raise BrokenTrace("an entry of the trace is not what it says it is")
        if kind is Kind.PASSED:
            self._listener.passed(entry, accepted.forward)
        elif accepted.question is not None:
            self._ask(entry, kind, accepted.question, entries)

    def _ask(self, entry: int, kind: Kind, question: Question, entries: _Entries) -> None:
        if kind is Kind.REFUSED:
            # The listener first: the answer changes the metadata of the inputs in the question.
            self._listener.refused(entry, question)
            self.meter.refuse(question)
        elif question.code is Code.READ:
            self._listener.answered(entry, question, None)
            # Zeros stand in for the value: the meter looks at its length only.
            self.meter.answer(question, bytes(question.answer_bytes))
        else:
            _, (following, outcome) = next(entries, (entry, (Kind.HEADER, b"")))
            if following is not Kind.OUTCOME:
                raise BrokenTrace("a question of the trace has no answer")
            self._listener.answered(entry, question, outcome)
            self.meter.answer(question, outcome)
