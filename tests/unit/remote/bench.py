"""A meter on a bench: the test plays the submission and the executor."""

from collections.abc import Mapping

from haet_eval.remote.charges import MeterLimits
from haet_eval.remote.meter import Accepted, Meter, Question, Sink
from haet_eval.remote.wire import Atom, Code, Tag, Value
from tests.unit.remote import frames
from tests.unit.remote.frames import TENSOR, fresh, outcome

PLENTY = 1 << 40
IMAGES = (8, 3, 4, 4)
FLOAT32 = Atom(Tag.DTYPE, "float32")


def budgets(
    *,
    readback_bytes: int = PLENTY,
    upload_bytes: int = PLENTY,
    messages: int = PLENTY,
    operations: int | None = None,
    prediction_operations_per_image: int = PLENTY,
    prediction_readback_bytes: int = PLENTY,
    timed_answers: int = PLENTY,
    peak_tensor_bytes: int | None = None,
) -> MeterLimits:
    """Budgets that are never used up, but for those that are named."""
    return MeterLimits(
        readback_bytes,
        upload_bytes,
        messages,
        operations,
        prediction_operations_per_image,
        prediction_readback_bytes,
        timed_answers,
        peak_tensor_bytes,
    )


class Bench:
    """Tensor 1 holds images, tensor 2 their labels. Every method that makes a tensor returns its number."""

    images, labels = 1, 2

    def __init__(self, limits: MeterLimits | None = None, sink: Sink | None = None) -> None:
        self.meter = Meter(limits or budgets(), sink)
        self.meter.load(IMAGES, "uint8")
        self.meter.load(IMAGES[:1], "int64")
        self.templates = 0

    def send(self, *records: bytes) -> Accepted:
        return self.meter.accept(b"".join(records))

    def ask(self, *records: bytes) -> Question:
        """Send records of which the last is a question that the meter lets pass."""
        accepted = self.send(*records)
        assert accepted.refused is None
        assert accepted.question is not None
        return accepted.question

    def define(
        self,
        operator: str,
        arguments: Mapping[str, Value],
        handles: tuple[int, ...] = (),
        floats: tuple[float, ...] = (),
        *,
        answer: bytes,
    ) -> int:
        """Define a template with its first call; returns the first of its new tensors."""
        first = self.meter.next_handle
        question = self.ask(frames.define(operator, arguments, handles, floats))
        self.meter.answer(question, answer)
        self.templates += 1
        return first

    def call(self, template: int, *handles: int, floats: tuple[float, ...] = ()) -> int:
        first = self.meter.next_handle
        self.send(frames.call(template, handles, floats))
        return first

    def ask_again(self, template: int, *handles: int, answer: bytes) -> int:
        """A call of a template whose outputs depend on data."""
        first = self.meter.next_handle
        self.meter.answer(self.ask(frames.call(template, handles, code=Code.DYNAMIC)), answer)
        return first

    def read(self, handle: int) -> int:
        """Read a tensor; returns what that was charged."""
        before = self.meter.charges.readback_bytes
        question = self.ask(frames.read(handle))
        self.meter.answer(question, bytes(question.answer_bytes))
        return self.meter.charges.readback_bytes - before

    # Calls that many tests make.

    def ones(self, *shape: int) -> int:
        return self.define("aten.ones.default", {"size": shape}, answer=outcome(fresh(*shape)))

    def rand(self, *shape: int) -> int:
        return self.define("aten.rand.default", {"size": shape}, answer=outcome(fresh(*shape)))

    def relu(self, handle: int, *shape: int) -> int:
        return self.define("aten.relu.default", {"self": TENSOR}, (handle,), answer=outcome(fresh(*shape)))

    def as_float(self, handle: int, *shape: int) -> int:
        arguments = {"self": TENSOR, "dtype": FLOAT32}
        return self.define("aten._to_copy.default", arguments, (handle,), answer=outcome(fresh(*shape)))

    def alias(self, handle: int, *shape: int) -> int:
        answer = outcome(fresh(*shape, alias=0))
        return self.define("aten.alias.default", {"self": TENSOR}, (handle,), answer=answer)

    def add_(self, into: int, other: int) -> None:
        arguments = {"self": TENSOR, "other": TENSOR}
        answer = outcome(Atom(Tag.INPUT, 0))
        self.define("aten.add_.Tensor", arguments, (into, other), answer=answer)

    def nonzero(self, handle: int, found: int) -> int:
        answer = outcome(fresh(found, 1, dtype="int64"))
        return self.define("aten.nonzero.default", {"self": TENSOR}, (handle,), answer=answer)
