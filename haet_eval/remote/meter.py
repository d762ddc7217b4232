"""The meter: every record of the submission is parsed, checked, charged and counted here.

It is the trusted part, and a pure state machine: bytes in, decisions out. It holds no tensor, runs no
kernel, imports no torch and opens no socket. `relay` connects it to the two workers; `recount` drives it
from a trace.
"""

import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from math import prod
from typing import Final, Protocol

from haet_eval.counting.histogram import PHASES, Histogram
from haet_eval.counting.parameters import ParameterCount, StoredTensor, count_parameters
from haet_eval.errors import SubmissionFailure, Verdict
from haet_eval.operators.checking.call import MAX_ELEMENTS
from haet_eval.operators.checking.validation import Refused
from haet_eval.operators.refusals import refusal
from haet_eval.operators.signature import TensorMeta
from haet_eval.operators.table import lookup
from haet_eval.remote import wire
from haet_eval.remote.charges import (
    COMPLEX_BYTES,
    MAX_HANDLES,
    NUMBER_BYTES,
    Charges,
    MeterLimits,
    check_living,
)
from haet_eval.remote.definitions import check_outcome, make_template, price_told, signature_of, validate_call
from haet_eval.remote.generators import Generators
from haet_eval.remote.handles import (
    HandleTable,
    HeldTensor,
    Storage,
    intern_layout,
    size_bytes,
    span_elements,
)
from haet_eval.remote.inventory import inventory_of
from haet_eval.remote.memory import APART, MemoryBooks, MeteredMemory
from haet_eval.remote.messages import ImageBatch, Logits, ModelTensor, Seal
from haet_eval.remote.tally import Tally
from haet_eval.remote.template import (
    PREDICTION,
    NewTensor,
    Template,
    changed_inputs,
    new_bytes,
    new_tensors,
    record_of,
)
from haet_eval.remote.trace import Kind
from haet_eval.remote.weights import Weight, weight_of
from haet_eval.remote.wire import Code, Outcome, Reader, WireError

INVENTORY_RECORDS: Final = 1 << 16
_RECORDS_PER_TENSOR: Final = 64
"""An inventory costs about a record for each living tensor: this keeps it below two percent of a run."""
# The answer is one frame of the wire, so a value must be smaller than the largest frame.
MAX_READ_BYTES: Final = 32 << 20
# The clock is looked at after so many records of a frame: 0.2 s of ordinary ones, 1.8 s of the slowest that a
# test has found.
MAX_RECORDS: Final = 1 << 16
# PyTorch keeps strides and offsets in 64 bits. Views of empty views multiply strides at will, and the
# executor could not make such a view.
_MAX_STEP: Final = 1 << 60
# Beyond it a call is validated each time, which is slower but needs no memory.
_MAX_ORIGINS: Final = 1 << 10
# Names of refused operators are the submission's own texts, which must not fill the host's memory.
_MAX_REFUSED: Final = 1 << 10
_MAX_NAME: Final = 80
# What the client raises for a refused first call has this code.
_REFUSED_CODE: Final = "handle-operator"
# No limit, as a number: the loop over the records then compares without asking whether there is a limit.
_ANY_BYTES: Final = 1 << 200


class Sink(Protocol):
    """Where accepted records go: a trace, or nowhere. `entries` says how many there are."""

    entries: int

    def add(self, kind: Kind, body: bytes) -> None: ...


class Nowhere:
    """A sink that forgets."""

    entries = 0

    def add(self, kind: Kind, body: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class StreamPoint:
    """A place in the stream: the operations of the training and the entries of the trace up to there."""

    operations: int
    entries: int


@dataclass(slots=True)
class Question:
    """A record that waits for the executor's answer.

    Nothing of it is charged before the answer has come: `upload_bytes` are those of its literals, and
    `charged` says that the answer is charged as read back.
    """

    code: Code
    record: bytes
    inputs: list[HeldTensor] = field(default_factory=list)
    template: Template | None = None
    answer_bytes: int = 0
    upload_bytes: int = 0
    timed: bool = False
    charged: bool = False


@dataclass(frozen=True, slots=True)
class Accepted:
    """What to do with a frame: pass `forward` on; then ask `question`, or tell the submission `refused`.

    Where the frame is long, this is about the records up to `end`; the next begins there.
    """

    forward: bytes
    end: int
    question: Question | None = None
    refused: str | None = None


class Meter:
    """Counts one run. Feed it with `accept` and `answer`; read the totals from it at any time."""

    def __init__(
        self,
        budgets: MeterLimits,
        sink: Sink | None = None,
        *,
        strict: bool = True,
        memory: MemoryBooks | None = None,
    ) -> None:
        """`strict`: False for traces of version 2, in which a call that writes could be refused.

        `memory`: books that see more than the totals.
        """
        self.charges = Charges(budgets)
        self._strict = strict
        self._inventory_due = INVENTORY_RECORDS
        self.refused: Counter[str] = Counter()
        self._sink: Sink = sink or Nowhere()
        self._handles = HandleTable()
        self._memory = memory or MemoryBooks()
        self._memory.watch(self._handles.living)
        self._most_bytes = budgets.peak_tensor_bytes or _ANY_BYTES
        self._tally = Tally()
        self._templates = self._tally.templates
        self._generators = Generators()
        # The client sends the seed of its job first, before any code of the submission runs.
        self.first_seed: int | None = None
        # Tensors that the meter has dropped by itself. The client still frees them, and a model that uses one
        # gets a message with its shape.
        self._left_by_training: dict[int, TensorMeta] = {}
        self._dropped: dict[int, TensorMeta] = {}
        self._names: dict[int, str] = {}
        self._phase = 0
        self._data_at_work = False
        self._images = 0
        self._handlers: dict[int, Callable[[bytes, int], int]] = {
            Code.CALL: self._call,
            Code.SELECT: self._select,
            Code.SLICE: self._slice,
            Code.FREE: self._free,
            Code.UPLOAD: self._upload,
            Code.SEED: self._seed,
            Code.SAVE_STATE: self._save_state,
            Code.LOAD_STATE: self._load_state,
            Code.PHASE: self._set_phase,
        }

    # The stream.

    def accept(self, payload: bytes, start: int = 0) -> Accepted:
        """Check, charge and count the records of one frame, or as many as take a moment.

        Raises:
            WireError: bytes that no honest client sends.
            SubmissionFailure: a budget is used up, or the model uses a tensor that is not its own.
        """
        # The loop runs once for each operator of a training, so it looks up no attribute that does not
        # change.
        position, records = start, 0
        handlers, living, memory = self._handlers, self._handles.living, self._memory
        most_bytes, charges = self._most_bytes, self.charges
        sent_up = charges.upload_bytes
        try:
            while position < len(payload) and records < MAX_RECORDS:
                handler = handlers.get(payload[position])
                if handler is None:
                    break
                position = handler(payload, position)
                records += 1
                sent_up = charges.upload_bytes
                # After the record, which is counted: then it is in the trace, even if it ends the run.
                if len(living) > MAX_HANDLES:
                    check_living(len(living))
                if memory.living_bytes > most_bytes:
                    self._check_memory()
        finally:
            # A record that ends the run is not in the trace, so its literals are not charged (decision 0050).
            charges.upload_bytes = sent_up
            forward = payload[start:position]
            self._pass(forward, records)
        if position == len(payload) or records == MAX_RECORDS:
            return Accepted(forward, position)
        # A question is the last record of its frame. It gets all remaining bytes, and its handler rejects
        # what follows it.
        return self._ask(forward, payload[position:], len(payload))

    def _pass(self, body: bytes, records: int, kind: Kind = Kind.PASSED) -> None:
        """What is counted is recorded, also where the record that follows ends the run."""
        try:
            if body:
                self._sink.add(kind, body)
        finally:
            self.charges.message(records)

    def _ask(self, forward: bytes, record: bytes, end: int) -> Accepted:
        sent_up = self.charges.upload_bytes
        try:
            question = self._question(record)
            question.upload_bytes = self.charges.upload_bytes - sent_up
        except Refused as refused:
            # Literals may have been charged before the refusal. The trace must show all that was charged
            # (decision 0050).
            sent_up = self.charges.upload_bytes
            self._pass(record, 1, Kind.REFUSED)
            return Accepted(forward, end, refused=str(refused))
        finally:
            # It may end the run now or while it is asked. It is charged once it is in the trace.
            self.charges.upload_bytes = sent_up
        return Accepted(forward, end, question)

    def _question(self, record: bytes) -> Question:
        match record[0]:
            case Code.DEFINE:
                return self._define(record)
            case Code.DYNAMIC:
                return self._dynamic(record)
            case Code.READ:
                return self._read(record)
            case unknown:
                raise WireError(f"a record of the unknown kind {unknown}")

    def _handle(self, number: int) -> HeldTensor:
        handle = self._handles.living.get(number)
        if handle is not None:
            return handle
        layout = self._dropped.get(number)
        if layout is None:
            raise WireError(f"tensor {number} does not exist")
        raise SubmissionFailure(
            Verdict.FAILED,
            f"The model used a tensor of shape {list(layout.shape)} and dtype {layout.dtype} that was not "
            "part of it when train() returned, or that was left from an earlier batch. Only parameters and "
            "buffers of the returned module outlive training. For a model in a closure, write self.model = "
            "model; if it is a tensor, register it with self.register_buffer(name, tensor).",
            code="model-unregistered-tensor",
        )

    def _call(self, payload: bytes, position: int) -> int:
        template, inputs, end = self._open_call(payload, position)
        # Without the executor's answer nobody knows the shapes of its outputs, nor what the submission learns
        # by them.
        if template.dynamic:
            raise WireError("a call whose answer was not waited for")
        self._apply(template, inputs, template.new, template.new_bytes)
        template.calls[self._phase] += 1
        return end

    def _open_call(self, payload: bytes, position: int) -> tuple[Template, list[HeldTensor], int]:
        try:
            _, number = wire.COUNTED.unpack_from(payload, position)
            template = self._templates[number]
            _, _, *values = template.record.unpack_from(payload, position)
        except (struct.error, IndexError):
            raise WireError("a call that is cut short or of no template") from None
        tensors = len(template.layouts)
        inputs = self._inputs(template, values[:tensors])
        # A price may depend on a float that is 0, ±1, 2 or infinite. So a template is for one class of each
        # float.
        for number, expected in zip(values[tensors:], template.definition.floats, strict=True):
            if self.charges.literal(number) != expected:
                raise WireError(f"{template.operator.name} called with a float of another class")
        return template, inputs, position + template.record.size

    def _inputs(self, template: Template, numbers: Sequence[int]) -> list[HeldTensor]:
        living = self._handles.living
        try:
            # The usual case without a call for each tensor; the other one finds out what is wrong.
            inputs = [living[number] for number in numbers]
        except KeyError:
            inputs = [self._handle(number) for number in numbers]
        # Layouts are interned, so this mostly compares identities.
        if [handle.layout for handle in inputs] != template.layouts:
            raise WireError(f"{template.operator.name} called with other shapes than it was defined with")
        if template.exact and [handle.offset for handle in inputs] != template.offsets:
            raise WireError(f"{template.operator.name} called with other offsets than it was defined with")
        if template.guarded:
            self._guard(template, inputs)
        return inputs

    def _guard(self, template: Template, inputs: list[HeldTensor]) -> None:
        """Validate a repeated call anew if its inputs come from elsewhere than those before."""
        key = tuple(
            (storage.maker, storage.output, storage.made, storage.writes == 0, storage.size_bytes)
            for storage in (handle.storage for handle in inputs)
        )
        if key in template.accepted:
            return
        try:
            validate_call(template.operator, template.definition, inputs)
        except Refused as refused:
            # A repeated call waits for no answer, so it cannot be refused as its first call was. The client
            # does not know where tensors come from, so this is a mistake in ordinary code.
            raise SubmissionFailure(Verdict.FAILED, f"{refused}.", code=_REFUSED_CODE) from None
        if len(template.accepted) < _MAX_ORIGINS:
            template.accepted.add(key)

    def _apply(
        self, template: Template, inputs: list[HeldTensor], new: tuple[NewTensor, ...], made_bytes: int
    ) -> None:
        """What a call does to the handles: taint, writes, new tensors, changed metadata."""
        # A plain loop: `any` with a generator costs more, and most calls have one or two inputs.
        tainted = False
        for handle in inputs:
            if handle.storage.tainted:
                tainted = True
                break
        # Before the writes: numbers from a tainted generator taint what the call writes.
        if template.draws is not None:
            tainted = self._generators.draw(template.draws, tainted, template.spills)
        if tainted:
            self._data_at_work = True
        for position in template.written:
            self._write(inputs[position].storage, tainted, template)
        table = self._handles
        for tensor in new:
            if tensor.alias < 0:
                made = tensor.made
                # As HandleTable.add, without its call: most tensors of a training are made here.
                first = table.next
                storage = Storage(tensor.size_bytes, tainted, 0, False, template, tensor.output, made, first)
                table.living[first] = HeldTensor(made[0], made[1], storage)
            else:
                layout, offset = tensor.made
                source = inputs[tensor.alias]
                # Offsets are relative to the input, so that one template serves all places of a storage. An
                # exact operator names the place itself, so its template is for one offset.
                offset = offset if template.exact else offset + source.offset
                source.storage.handles += 1
                table.living[table.next] = HeldTensor(layout, offset, source.storage)
            table.next += 1
        if made_bytes:
            self._memory.made(made_bytes, template, self._phase, table.next)
        else:
            self._memory.calls += 1
        if template.changed or template.moves:
            self._change(template, inputs)

    def _change(self, template: Template, inputs: list[HeldTensor]) -> None:
        """What a call does to the metadata and the storages of its inputs."""
        for position, layout, offset in template.changed:
            handle = inputs[position]
            handle.layout = layout
            handle.offset = offset if template.exact else offset + handle.offset
        if template.moves:
            self._memory.moved(inputs[0].storage, inputs[1].storage)
            inputs[0].storage = inputs[1].storage

    def _asked(self, question: Question) -> Question:
        """The question, if the executor may act on it: a write into the model is not even asked for."""
        assert question.template is not None
        # `_apply` would find the write as well, but only after the executor has made it.
        for position in question.template.written:
            self._check_unsealed(question.inputs[position].storage, question.template)
        return self._timed(question)

    def _timed(self, question: Question) -> Question:
        """The question, if its answer may be waited for: the time that it takes can depend on data."""
        question.timed = self._data_at_work or _tainted(question.inputs)
        if question.timed:
            # Only checked here, and counted when the answer has come: a question that ends the run is not in
            # the trace, so it must not be charged.
            self.charges.check_timed_answers()
        return question

    def _charge(self, question: Question, told_bytes: int) -> None:
        """It was answered, and is about to be in the trace: all work that came before is done."""
        self._readback(told_bytes)
        self.charges.upload_bytes += question.upload_bytes
        self.charges.timed_answers += question.timed
        self._data_at_work = False

    def _wait_between_stages(self) -> None:
        """The submission waits until all its work is done: at the seal and after each batch."""
        if self._data_at_work:
            self.charges.check_timed_answers()
            self.charges.timed_answers += 1
            self._data_at_work = False

    def _check_unsealed(self, storage: Storage, template: Template) -> None:
        if storage.sealed:
            raise SubmissionFailure(
                Verdict.FAILED,
                f"{template.operator.name} tried to change {self._name(storage)} while it predicts. What "
                "train() returned is final: change no parameter and no buffer in forward() in eval mode.",
                code="model-changed",
            )

    def _name(self, storage: Storage) -> str:
        """A part of the model as its module names it, if that can be shown."""
        name = self._names.get(id(storage), "")
        shown = 0 < len(name) <= _MAX_NAME and name.isprintable() and "`" not in name
        return f"`{name}` of the model" if shown else "the model"

    def _write(self, storage: Storage, tainted: bool, template: Template) -> None:
        self._check_unsealed(storage, template)
        storage.tainted = storage.tainted or tainted
        storage.writes += 1

    def _select(self, payload: bytes, position: int) -> int:
        reader = Reader(payload, position)
        _, number, dimension, index = reader.unpack(wire.SELECT)
        handle = self._handle(number)
        shape, stride = handle.layout.shape, handle.layout.stride
        if dimension >= len(shape) or not 0 <= index < shape[dimension]:
            raise WireError("select outside the tensor")
        shift = index * stride[dimension]
        shape = shape[:dimension] + shape[dimension + 1 :]
        stride = stride[:dimension] + stride[dimension + 1 :]
        self._view(Code.SELECT, handle, shape, stride, shift, (index,))
        return reader.position

    def _slice(self, payload: bytes, position: int) -> int:
        reader = Reader(payload, position)
        _, number, dimension, start, end, step = reader.unpack(wire.SLICE)
        handle = self._handle(number)
        shape, stride = handle.layout.shape, handle.layout.stride
        if dimension >= len(shape) or not 0 <= start <= end <= shape[dimension] or step < 1:
            raise WireError("slice outside the tensor")
        # A stride of 0 allows any step by the product. But the step itself goes to the executor as well.
        if max(stride[dimension], 1) * step > _MAX_STEP:
            raise WireError("slice with a step out of range")
        shift = start * stride[dimension]
        shape = (*shape[:dimension], -(-(end - start) // step), *shape[dimension + 1 :])
        stride = (*stride[:dimension], stride[dimension] * step, *stride[dimension + 1 :])
        self._view(Code.SLICE, handle, shape, stride, shift, (start, end, step))
        return reader.position

    def _view(
        self,
        code: Code,
        base: HeldTensor,
        shape: tuple[int, ...],
        stride: tuple[int, ...],
        shift: int,
        places: tuple[int, ...],
    ) -> None:
        # Places in a tensor that depends on no data are constants that are brought along: of the numbers from
        # 0 on, a select makes the constant that its index is. 0.1.0 charged nothing for it.
        constant = self._strict and not base.storage.tainted
        if constant:
            for place in places:
                self.charges.literal(place)
        offset = base.offset + shift
        if offset > _MAX_STEP:
            raise WireError("a view that begins out of range")
        layout = intern_layout(TensorMeta(shape, stride, 0, base.layout.dtype, base.layout.bits))
        base.storage.handles += 1
        self._handles.add(HeldTensor(layout, offset, base.storage))
        self._memory.calls += 1
        self._tally.count_view(code, base.layout, layout, self._phase)
        self.charges.constant_selects += constant  # last: a record that ends the run is not counted

    def _free(self, payload: bytes, position: int) -> int:
        try:
            _, count = wire.COUNTED.unpack_from(payload, position)
            begin = position + wire.COUNTED.size
            end: int = begin + 8 * count
            numbers = struct.unpack_from(f"<{count}Q", payload, begin) if end <= len(payload) else None
        except struct.error:
            numbers = None
        if numbers is None:
            raise WireError("a record is cut short")
        living, memory = self._handles.living, self._memory
        for number in numbers:
            handle = living.pop(number, None)
            if handle is not None:
                memory.dropped(handle.storage)
            # A second free of one tensor would spoil the count of handles of its storage, and so the memory
            # in the books.
            elif not (self._dropped.pop(number, None) or self._is_gone(number)):
                raise WireError(f"tensor {number} is freed twice, or never was")
        return end

    def _is_gone(self, number: int) -> bool:
        """Whether a tensor may be freed although it is not known: prediction has dropped it."""
        return self.is_sealed and number < self._handles.next

    def _upload(self, payload: bytes, position: int) -> int:
        meta, raw, end = wire.decode_upload(payload, position)
        # An empty tensor needs no bytes, but its other sizes may be anything, and strides are products of
        # them.
        if prod(max(size, 1) for size in meta.shape) > MAX_ELEMENTS:
            raise WireError("an upload of a shape that no tensor may have")
        if meta.numel == 1:
            self.charges.number(meta.dtype, raw)
        else:
            # An empty tensor is charged too: each one takes memory of the host (decision 0052).
            self.charges.upload(max(len(raw), NUMBER_BYTES))
        layout = intern_layout(meta)
        size = size_bytes(layout, 0)
        self._handles.add(HeldTensor(layout, 0, Storage(size, tainted=False, first=self._handles.next)))
        self._memory.made(size, None, self._phase, self._handles.next)
        return end

    def _seed(self, payload: bytes, position: int) -> int:
        reader = Reader(payload, position)
        _, generator, seed = reader.unpack(wire.SEED)
        self._generators.seed(generator)
        if self.first_seed is None:
            self.first_seed = seed
        # A seed carries 64 bits that the submission chose into the executor, like any other number.
        self.charges.literal(seed)
        return reader.position

    def _save_state(self, payload: bytes, position: int) -> int:
        reader = Reader(payload, position)
        _, generator, number = reader.unpack(wire.STATE)
        self._generators.save(generator, number)
        return reader.position

    def _load_state(self, payload: bytes, position: int) -> int:
        reader = Reader(payload, position)
        _, generator, number = reader.unpack(wire.STATE)
        self._generators.load(generator, number)
        return reader.position

    def _set_phase(self, payload: bytes, position: int) -> int:
        reader = Reader(payload, position)
        phase = reader.unpack(wire.PHASE)[1]
        if phase >= len(PHASES):
            raise WireError("an unknown phase")
        # In prediction all calls have one counter, whatever the client says about phases.
        if not self.is_sealed:
            self._phase = phase
        return reader.position

    # Questions.

    def _define(self, record: bytes) -> Question:
        reader = Reader(record)
        definition = wire.decode_definition(reader.raw(reader.unpack(wire.COUNTED)[1]))
        try:
            # The first call follows the definition without the head of a CALL record; zeros stand in for the
            # head.
            _, _, *values = record_of(definition).unpack(bytes(wire.COUNTED.size) + reader.rest())
        except struct.error:
            raise WireError("a definition that is cut short, or followed by something") from None
        inputs = [self._handle(number) for number in values[: definition.tensors]]
        operator = lookup(definition.operator)
        if operator is None:
            # The record lists these names, so it also shows a training that did without their results.
            if len(self.refused) < _MAX_REFUSED:
                self.refused[definition.operator[:_MAX_NAME]] += 1
            raise Refused(refusal(definition.operator))
        self._tally.check_room(len(record))
        for number, expected in zip(values[definition.tensors :], definition.floats, strict=True):
            if self.charges.literal(number) != expected:
                raise WireError(f"{operator.name} defined with a float of another class")
        for value in wire.flatten(tuple(definition.arguments.values())):
            if isinstance(value, int | float) and not isinstance(value, bool):
                self.charges.literal(value)
            # No table remembers complex numbers, so each one is charged. They are rare.
            elif isinstance(value, complex):
                self.charges.upload(2 * NUMBER_BYTES)
        template = make_template(operator, definition, inputs)
        return self._asked(Question(Code.DEFINE, record, inputs, template))

    def _dynamic(self, record: bytes) -> Question:
        # Both records have the same layout and differ in their code only.
        call = bytes([Code.CALL]) + record[1:]
        template, inputs, end = self._open_call(call, 0)
        if not template.dynamic or end != len(record):
            raise WireError("a record that wants no answer, sent as a question")
        return self._asked(Question(Code.DYNAMIC, record, inputs, template))

    def _read(self, record: bytes) -> Question:
        reader = Reader(record)
        handle = self._handle(reader.unpack(wire.READ)[1])
        reader.end()
        count = handle.layout.numel * wire.ITEM_BYTES[handle.layout.dtype]
        if count > MAX_READ_BYTES:
            raise Refused(f"A tensor of {count:,} bytes is too large to be read back; work on it with torch.")
        question = self._timed(Question(Code.READ, record, [handle], answer_bytes=count))
        # A value that depends on no data is free, but its answer still shows when the work before it was
        # done.
        question.charged = handle.storage.tainted
        if question.charged:
            self._check_readback(count)
        return question

    def answer(self, question: Question, payload: bytes) -> None:
        """Take the executor's answer to a question that it did not refuse.

        Raises:
            WireError: the executor answered nonsense.
            SubmissionFailure: learning this value used up the budget.
        """
        if question.code is Code.READ:
            if len(payload) != question.answer_bytes:
                raise WireError("a value of another size than its tensor")
            self._charge(question, question.answer_bytes if question.charged else 0)
            self._pass(question.record, 1, Kind.QUESTION)
            return
        template = question.template
        assert template is not None
        outcome = wire.decode_outcome(payload, len(question.inputs))
        # Before anything is charged or counted: an answer that is nonsense must leave the books as they are.
        check_outcome(outcome, template.operator)
        told_bytes = 0
        if template.dynamic and _tainted(question.inputs):
            # A shape or a number that depends on data is a value read back.
            question.charged = True
            told_bytes = sum(map(_told_bytes, wire.flatten(outcome.outputs)))
            self._check_readback(told_bytes)
        if question.code is Code.DEFINE:
            self._settle(template, outcome, question.inputs)
            self._tally.add(template, len(question.record) + len(payload))
        if template.dynamic:
            self._tally.count_dynamic(template, outcome, payload, self._phase)
        else:
            template.calls[self._phase] += 1
        self._charge(question, told_bytes)
        # The two entries come together: a question without its outcome would make a broken trace.
        self._sink.add(Kind.QUESTION, question.record)
        self._sink.add(Kind.OUTCOME, payload)
        new = new_tensors(outcome, question.inputs, template.exact) if template.dynamic else template.new
        self._apply(template, question.inputs, new, new_bytes(new))
        # `_apply` takes the call for one that is still at work, but its answer is here.
        self._data_at_work = False
        self.charges.message(1)  # last: what is in the trace is in the books, even if this ends the run
        self._check_memory()

    def refuse(self, question: Question) -> None:
        """The executor has refused: nothing has happened, but that it did may tell of the inputs' values.

        Raises:
            WireError: something may have happened.
            SubmissionFailure: learning this used up the budget.
        """
        template, tainted = question.template, _tainted(question.inputs)
        if template is not None:
            # The executor says that nothing has happened. It cannot know that of a list that a kernel writes
            # piece by piece.
            if template.operator.piecewise or (template.written and self._strict):
                raise WireError(f"{template.operator.name} may have written to its inputs before it failed")
            # The draw may have come before the failure, and how many numbers it took may depend on the
            # inputs.
            if template.draws is not None:
                self._generators.draw(template.draws, tainted, template.spills)
        self._charge(question, NUMBER_BYTES if tainted else 0)
        self._pass(question.record, 1, Kind.REFUSED)

    @staticmethod
    def _settle(template: Template, outcome: Outcome, inputs: list[HeldTensor]) -> None:
        template.new = new_tensors(outcome, inputs, template.exact)
        template.new_bytes = new_bytes(template.new)
        template.changed = changed_inputs(outcome, inputs, template.exact)
        # A dynamic template has no signature of its own: each of its outcomes has one, with its price.
        if not template.dynamic:
            template.signature = signature_of(template, outcome)
            template.price = price_told(template.signature)

    def _check_readback(self, count: int) -> None:
        """Require room for bytes that the submission learns of data; they are charged with the record."""
        if self.is_sealed:
            self.charges.check_prediction_readback(count)
        else:
            self.charges.check_readback(count)

    def _readback(self, count: int) -> None:
        """Charge bytes that the submission learns of data."""
        if self.is_sealed:
            self.charges.prediction_readback(count)
        else:
            self.charges.readback(count)

    # Data, seal and prediction.

    def load(self, shape: tuple[int, ...], dtype: str) -> int:
        """A data tensor is put into the executor; returns its handle."""
        layout = intern_layout(TensorMeta(shape, wire.contiguous_stride(shape), 0, dtype))
        # Data that were given to the submission are no memory of its training.
        storage = Storage(size_bytes(layout, 0), tainted=True, first=APART, handles=APART)
        self._memory.training_set_bytes += storage.size_bytes
        return self._handles.add(HeldTensor(layout, 0, storage))

    def seal(self, tensors: Sequence[ModelTensor]) -> ParameterCount:
        """End the training: only these tensors live on, and nothing may write them any more.

        Raises:
            SubmissionFailure: one of them does not exist, or the training took too many operations.
        """
        # The watch asks a few times a second, so a short training may have come to its end between two looks.
        self.check_operations()
        handles = [self._named(tensor.handle) for tensor in tensors]
        self._wait_between_stages()
        self._sink.add(Kind.SEAL, Seal(tensors=tuple(tensors)).encode())
        # Before the sizes change: the peak of the training had these storages as they were.
        self._memory.close(handle.storage for handle in handles)
        self._most_bytes = _ANY_BYTES
        for tensor, handle in zip(tensors, handles, strict=True):
            storage = handle.storage
            self._names.setdefault(id(storage), tensor.name)
            # The executor's copy of a storage ends with the last element that a tensor of the model has
            # there.
            held = size_bytes(handle.layout, handle.offset)
            # `sealed` is set by the first tensor of a storage, so another one can only make the copy longer.
            storage.size_bytes = max(storage.size_bytes, held) if storage.sealed else held
            storage.sealed = True
            # The weights are made of the training data. A read of them in prediction is a read of data
            # (decision 0051).
            storage.tainted = True
        kept = {tensor.handle for tensor in tensors}
        self._left_by_training = {n: h.layout for n, h in self._handles.living.items() if n not in kept}
        self._dropped = dict(self._left_by_training)
        self._handles.keep_only(kept)
        # A generator whose state depends on data would carry it past the seal.
        self._generators.forget()
        self._phase = PREDICTION
        return count_parameters(
            _stored(tensor, handle) for tensor, handle in zip(tensors, handles, strict=True)
        )

    def _named(self, number: int) -> HeldTensor:
        """A tensor that a message names, not a record."""
        try:
            return self._handle(number)
        except WireError as error:
            raise broken_protocol(error) from None

    def held_bytes(self, tensors: Sequence[ModelTensor]) -> int:
        """Memory that these tensors keep: up to the last element of each, whatever lies before it."""
        handles = [self._named(tensor.handle) for tensor in tensors]
        return sum(size_bytes(handle.layout, handle.offset) for handle in handles)

    def weights(self, tensors: Sequence[ModelTensor]) -> tuple[Weight, ...]:
        """What the executor must hand out for these tensors."""
        return tuple(weight_of(tensor.name, self._named(tensor.handle).layout) for tensor in tensors)

    @property
    def is_sealed(self) -> bool:
        """Whether the training is over: the books have the model alone, and what prediction adds."""
        return self._phase == PREDICTION

    def begin_batch(self, shape: tuple[int, ...]) -> int:
        """Images to predict (uint8) are put into the executor; returns their handle."""
        self._images += shape[0]
        handle = self.load(shape, "uint8")
        self._sink.add(Kind.BATCH, ImageBatch(handle=handle, shape=shape).encode())
        return handle

    def take_logits(self, number: int, images: int, classes: int) -> None:
        """Take a tensor as the prediction for a batch.

        Raises:
            SubmissionFailure: it has another shape or dtype, or the prediction took too many operations.
        """
        layout = self._named(number).layout
        if layout.shape != (images, classes) or "float" not in layout.dtype:
            raise SubmissionFailure(
                Verdict.FAILED,
                f"The model returned a tensor of shape {list(layout.shape)} and dtype {layout.dtype} for "
                f"a batch of {images} images; logits must be floats of shape {[images, classes]}.",
                code="model-output",
            )
        self.check_operations()
        self._sink.add(Kind.LOGITS, Logits(handle=number, classes=classes).encode())

    def end_batch(self) -> tuple[int, ...]:
        """Forget what depends on data but is not the model; returns the handles that were dropped.

        Raises:
            SubmissionFailure: the submission has waited for work on data too often.
        """
        self._wait_between_stages()
        # Constants may stay: they tell the next batch nothing.
        gone = [n for n, h in self._handles.living.items() if h.storage.tainted and not h.storage.sealed]
        # Only the last batch is remembered, so that many batches fill no memory. `_is_gone` knows the others
        # by their numbers.
        self._dropped = self._left_by_training | {n: self._handles.living.pop(n).layout for n in gone}
        self._generators.forget()
        self.charges.end_batch()
        return tuple(gone)

    def check_operations(self) -> None:
        """Raises SubmissionFailure when the stage has used more operations than it may.

        Prediction may use none that has no price: nothing would bound it.
        """
        if self.is_sealed:
            unpriced = self._tally.unpriced_in_prediction
            if unpriced is not None:
                raise SubmissionFailure(
                    Verdict.UNCOUNTABLE,
                    f"The counting standard has no price for {unpriced}, called in prediction.",
                    code="operator-unpriced",
                )
            self.charges.prediction(self.prediction_operations, self._images)
        else:
            self.charges.operations(self.operations)

    def _check_memory(self) -> None:
        """Raises SubmissionFailure when the training's tensors take more bytes than they may."""
        if self._memory.living_bytes > self._most_bytes:
            self.charges.tensor_memory(self._memory.living_bytes, self._memory.calls)

    # Inventories.

    @property
    def inventory_is_due(self) -> bool:
        """Whether so many records have passed since the last inventory that another is to be taken."""
        return self.charges.messages >= self._inventory_due

    def inventory(self) -> bytes:
        """The inventory of the books as they stand. The executor's must be equal; the trace keeps it."""
        living = self._handles.living
        taken = inventory_of(living)
        # Computed from the stream alone, so that a recount finds the same places.
        wait = max(INVENTORY_RECORDS, _RECORDS_PER_TENSOR * len(living))
        self._inventory_due = self.charges.messages + wait
        self._sink.add(Kind.INVENTORY, taken)
        return taken

    # Totals.

    @property
    def living(self) -> Mapping[int, HeldTensor]:
        """The tensors that live, by number."""
        return self._handles.living

    @property
    def templates(self) -> Sequence[Template]:
        """The calls that were settled, in order."""
        return self._templates

    @property
    def generators(self) -> Generators:
        """A copy of the state of the random generators in the books."""
        return deepcopy(self._generators)

    @property
    def next_handle(self) -> int:
        """The number that the next new tensor gets."""
        return self._handles.next

    @property
    def executor_bytes(self) -> int:
        """Memory of all tensors in the executor, the training set among them, each storage once."""
        storages = {id(h.storage): h.storage.size_bytes for h in self._handles.living.values()}
        return sum(storages.values())

    @property
    def tensor_bytes(self) -> int:
        """Memory of the tensors that live, each storage once, without the training set."""
        return self._memory.living_bytes

    @property
    def tensor_memory(self) -> MeteredMemory:
        """The most bytes that the tensors of the training have taken, so far or until the seal."""
        return self._memory.totals()

    def histogram(self) -> Histogram:
        """The calls of the training."""
        return self._tally.histogram()

    def prediction_histogram(self) -> Histogram:
        """The calls of prediction, all under the phase `forward`."""
        return self._tally.prediction_histogram()

    @property
    def point(self) -> StreamPoint:
        """This place of the stream."""
        return StreamPoint(self.operations, self._sink.entries)

    @property
    def operations(self) -> int:
        """Priced operations of the training so far."""
        return self._tally.operations

    def operations_by_template(self) -> tuple[int, ...]:
        """Priced operations of the training, for each template in the order of their definitions."""
        return self._tally.operations_by_template()

    @property
    def prediction_operations(self) -> int:
        """Priced operations of prediction so far."""
        return self._tally.prediction_operations


def broken_protocol(error: WireError) -> SubmissionFailure:
    """The verdict on a submission that sends what no client of ours does."""
    return SubmissionFailure(
        Verdict.FAILED,
        f"The submission's process broke the protocol: {error}. A submission must not talk to the "
        "evaluator's socket itself.",
        code="protocol",
    )


def _tainted(handles: Sequence[HeldTensor]) -> bool:
    return any(handle.storage.tainted for handle in handles)


def _stored(tensor: ModelTensor, handle: HeldTensor) -> StoredTensor:
    layout = handle.layout
    item = wire.ITEM_BYTES[layout.dtype]
    start = handle.offset * item
    end = start + span_elements(layout.shape, layout.stride) * item
    # A complex number counts as two stored numbers.
    real = item // 2 if layout.dtype.startswith("complex") else item
    return StoredTensor(id(handle.storage), start, end, real, tensor.role)


def _told_bytes(value: wire.Value) -> int:
    """Bytes of what one output tells: a shape or a number as 8, a complex number as two of them."""
    return COMPLEX_BYTES if isinstance(value, complex) else NUMBER_BYTES
