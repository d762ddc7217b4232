"""The part of a training that depends on no image goes on being computed when the rest is only counted.

Learning rates, random augmentations, permutations and masks drawn at random are such values: a submission
that reads them decides by them, so they must be the real ones. They are real only if each random number is
drawn in its turn, so calls that draw for tensors that are not there draw for tensors in their place.

GradScaler and `torch.isnan` ask whether values are finite: the answer is that of a training that goes well.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isinf
from typing import Final

from haet_eval.check.numbering import Numbering, definition_of, numbers_in, renumbered
from haet_eval.check.stand_in import StandIns
from haet_eval.operators.signature import SPECIAL_FLOATS, TensorMeta
from haet_eval.remote import wire
from haet_eval.remote.executor_link import ExecutorLink
from haet_eval.remote.handles import HeldTensor, Storage
from haet_eval.remote.meter import Meter, Question
from haet_eval.remote.template import NewTensor, Template, new_tensors
from haet_eval.remote.wire import AnswerStatus, Atom, Code, Tag, Value

_SMALL_BYTES: Final = 64
"""Tensors of that size stay when computing ends, whatever they depend on: their values are the real ones."""

# The operator of `torch.amp.GradScaler`, which skips a step if a gradient is not finite.
_UNSCALE: Final = "_amp_foreach_non_finite_check_and_unscale_"
_FINITENESS: Final = frozenset({"isnan", "isinf", "isposinf", "isneginf"})
_EQUALITY: Final = frozenset({"eq", "ne"})
# On the wire a special float is its index in this list.
_INFINITE: Final = tuple(index for index, number in enumerate(SPECIAL_FLOATS) if isinf(number))

_DECIDE: Final = {"masked_select": ("mask",), "index": ("indices",)}
"""Inputs that alone decide the shapes of what an operator returns; of others every input may."""


@dataclass(slots=True, eq=False)
class _Memory:
    """Memory that tensors share. `lost`: something was written to it that was not computed."""

    lost: bool = False


@dataclass(frozen=True, slots=True)
class _KnownTensor:
    """A tensor that depends on no image: its number in the executor, and the memory that it lies in."""

    number: int
    memory: _Memory = field(default_factory=_Memory)


class DataFree:
    """Follows the records of a submission, and has the executor compute those that depend on no image.

    It begins between two records, when the executor has done all that came before. `masks`: what a mask
    that is not there holds.

    Attributes:
        assumes_finite: a call asked whether values that were not computed are finite, and the answer was yes.
    """

    def __init__(self, link: ExecutorLink, meter: Meter, *, masks: bool = True) -> None:
        self.assumes_finite = False
        self._meter = meter
        # From here on the executor makes other tensors than the meter counts, so the numbers of both drift
        # apart.
        self._numbering = Numbering(link, meter.next_handle, len(meter.templates))
        self._stand_ins = StandIns(self._numbering, masks=masks)
        self._templates: list[int] = list(range(len(meter.templates)))
        self._next = meter.next_handle
        # A copy: here a draw is lost if an input of its call is missing, not only if the meter calls it
        # tainted.
        self._generators = meter.generators
        self._places: dict[tuple[int, int], int] = {}
        # Views share a storage in the meter, so they must share a memory here: a write to one is a write to
        # all.
        memories: dict[int, _Memory] = {}
        self._kept = {
            number: _KnownTensor(number, memories.setdefault(id(handle.storage), _Memory()))
            for number, handle in meter.living.items()
            # Such as a step counter or a loss of the last computed step: they cost nothing to keep, and may
            # be read.
            if not handle.storage.tainted or handle.storage.size_bytes <= _SMALL_BYTES
        }
        # The images and the activations go: the executor needs their memory no more.
        self._numbering.free([number for number in meter.living if number not in self._kept])
        self._handlers: dict[int, Callable[[bytes, int], int]] = {
            Code.CALL: self._call,
            Code.SELECT: self._select,
            Code.SLICE: self._slice,
            Code.FREE: self._free,
            Code.UPLOAD: self._upload,
            Code.SEED: self._seed,
            Code.SAVE_STATE: self._save_state,
            Code.LOAD_STATE: self._load_state,
            Code.PHASE: lambda _, position: position + wire.PHASE.size,
        }

    def follow(self, records: bytes) -> None:
        """Have the executor compute what it can of these records, which wait for no answer."""
        position = 0
        while position < len(records):
            # The meter has checked every record before it comes here, so no code is unknown and no record is
            # cut short.
            position = self._handlers[records[position]](records, position)
        # Once for a frame and not for each record: a message to the executor costs more than most calls.
        self._numbering.flush()

    def skip(self) -> None:
        """The next tensor is an image, or something else that is not there."""
        # The meter numbers every tensor of the submission, also those that are missing here.
        self._next += 1

    def forget(self, numbers: Sequence[int]) -> None:
        """Drop these tensors of the submission."""
        gone = [self._kept.pop(number) for number in numbers if number in self._kept]
        self._numbering.free([kept.number for kept in gone])

    def keep_only(self, numbers: Sequence[int]) -> None:
        """Drop all tensors but these."""
        self.forget(list(self._kept.keys() - set(numbers)))

    # Questions.

    def read(self, question: Question) -> tuple[AnswerStatus, bytes] | None:
        """The value of a tensor; None if it depends on images."""
        kept = self._found(wire.READ.unpack(question.record)[1])
        # The meter has charged the read to the budget already.
        return None if kept is None else self._numbering.ask(wire.READ.pack(Code.READ, kept.number))

    def define(self, question: Question) -> tuple[AnswerStatus, bytes, bool]:
        """The answer to a call that was not made before; and whether it is what the evaluation would get.

        If the call depends on images, it is made on tensors in their place, and only its shapes are right.
        """
        template = question.template
        assert template is not None
        _, start = definition_of(question.record)
        named = numbers_in(question.record, start, len(question.inputs))
        kept, computed = self._computed(template, named)
        # Shapes are right if the inputs that decide them are real, whatever stands in for the others.
        mixed = None if computed else self._deciding(template, kept)
        used, made = self._inputs(question.inputs, kept if computed else mixed or [None] * len(named))
        record = renumbered(question.record, start, used)
        # A test for NaN keeps its result: stand-ins are finite, and so is the training that is assumed.
        known = computed or self._is_finite(template, named)
        status, body = self._ask(question, template, named, record, made, computed=known)
        # Only a call that succeeded becomes a template, here as in the meter and in the executor.
        if status is AnswerStatus.OK:
            self._templates.append(self._numbering.templates - 1)
        return status, body, computed or not template.dynamic or mixed is not None

    def shapes(self, question: Question) -> tuple[AnswerStatus, bytes] | None:
        """The answer to a call whose shapes depend on values; None if these depend on images."""
        template = question.template
        assert template is not None
        named = numbers_in(question.record, wire.COUNTED.size, len(question.inputs))
        kept, computed = self._computed(template, named)
        mixed = kept if computed else self._deciding(template, kept)
        if mixed is None:
            return None
        used, made = self._inputs(question.inputs, mixed)
        number = self._templates[wire.COUNTED.unpack_from(question.record)[1]]
        # The template has another number in this executor than in the record of the submission.
        head = wire.COUNTED.pack(Code.DYNAMIC, number)
        record = renumbered(head + question.record[len(head) :], len(head), used)
        return self._ask(question, template, named, record, made, computed=computed)

    def _ask(
        self,
        question: Question,
        template: Template,
        named: Sequence[int],
        record: bytes,
        made: list[int],
        *,
        computed: bool,
    ) -> tuple[AnswerStatus, bytes]:
        """Have the executor answer a call, keep what it computes, and free the inputs made for it."""
        first, count = self._numbering.tensors, len(question.inputs)
        status, body = self._numbering.ask(record, count)
        if status is AnswerStatus.OK:
            new = new_tensors(wire.decode_outcome(body, count), question.inputs, template.exact)
            self._adopt(template, named, new, first if computed else None)
            # The results of stand-ins are no values of the training: only their shapes were wanted.
            if not computed:
                made += range(first, self._numbering.tensors)
        self._numbering.free(made)
        self._numbering.flush()
        return status, body

    def pass_over(self, question: Question, body: bytes) -> None:
        """A call was answered with shapes that were made up."""
        template = question.template
        assert template is not None
        named = numbers_in(question.record, wire.COUNTED.size, len(question.inputs))
        outcome = wire.decode_outcome(body, len(named))
        self._adopt(template, named, new_tensors(outcome, question.inputs, template.exact), None)

    def _inputs(
        self, handles: Sequence[HeldTensor], kept: Sequence[_KnownTensor | None]
    ) -> tuple[list[int], list[int]]:
        """Numbers of what a call is given, and of what was made for it."""
        before = self._numbering.tensors
        # All in one call of `make`: inputs that share memory must share it in their stand-ins too.
        absent = [handle for handle, one in zip(handles, kept, strict=True) if one is None]
        made = iter(self._stand_ins.make(absent))
        used = [next(made) if one is None else one.number for one in kept]
        return used, list(range(before, self._numbering.tensors))

    @staticmethod
    def _deciding(
        template: Template, kept: Sequence[_KnownTensor | None]
    ) -> list[_KnownTensor | None] | None:
        """What is there of the inputs that decide the shapes, if it is all of them."""
        names = _DECIDE.get(template.operator.base)
        if names is None or not template.dynamic:
            return None
        arguments = template.definition.arguments
        wanted = {place for name in names for place in _places(arguments.get(name))}
        # One missing index is enough: the shape is that of all of them together.
        if any(kept[place] is None for place in wanted):
            return None
        return [one if place in wanted else None for place, one in enumerate(kept)]

    # Records.

    def _call(self, records: bytes, position: int) -> int:
        _, number = wire.COUNTED.unpack_from(records, position)
        template = self._meter.templates[number]
        _, _, *values = template.record.unpack_from(records, position)
        named = values[: len(template.layouts)]
        kept, computed = self._computed(template, named)
        if computed:
            used = [one.number for one in kept if one is not None] + values[len(named) :]
            first = self._numbering.call(template.record, self._templates[number], used, len(template.new))
            self._adopt(template, named, template.new, first)
        elif self._is_finite(template, named):
            first = self._make(template, number, values[len(named) :])
            self._adopt(template, named, template.new, first)
        else:
            # The call is not computed, but it would draw: without these draws all later random numbers would
            # be others.
            if template.draws is not None:
                self._draw(template, number, values[len(named) :])
            self._adopt(template, named, template.new, None)
        return int(position + template.record.size)

    def _computed(self, template: Template, named: Sequence[int]) -> tuple[list[_KnownTensor | None], bool]:
        """What is there of the inputs, and whether the call depends on nothing else."""
        kept = [self._found(number) for number in named]
        lost = None in kept
        # Asked even if the call is not computed: draws of a number that depends on data taint the generator.
        if template.draws is not None:
            lost = self._generators.draw(template.draws, lost, template.spills)
        return kept, not lost

    def _is_finite(self, template: Template, named: Sequence[int]) -> bool:
        """Whether a call asks whether values are finite: they are, as those of the tensors in their place."""
        asks = _asks_whether_finite(template, named)
        self.assumes_finite = self.assumes_finite or asks
        return asks

    def _draw(self, template: Template, number: int, floats: Sequence[float]) -> None:
        """Draw as often as the call would: that depends on shapes."""
        first = self._make(template, number, floats)
        # Only the draw was wanted: it has moved the generator on.
        self._numbering.free(range(first, self._numbering.tensors))

    def _make(self, template: Template, number: int, floats: Sequence[float]) -> int:
        """Make a call on tensors in the place of its inputs; returns the number of its first result."""
        places = []
        for place, layout in enumerate(template.layouts):
            # Made once for each template: a training makes the same call thousands of times.
            if (number, place) not in self._places:
                [self._places[number, place]] = self._stand_ins.make([_alone(layout, template, place)])
            places.append(self._places[number, place])
        used = [*places, *floats]
        return self._numbering.call(template.record, self._templates[number], used, len(template.new))

    def _adopt(
        self, template: Template, named: Sequence[int], new: Sequence[NewTensor], first: int | None
    ) -> None:
        """What a call does to the tensors; `first`: number of its first result, None if not computed."""
        if first is None:
            self._lose(template, named)
        # `set_` and its like: the tensor lies in the memory of the other one from now on.
        elif template.moves:
            moved, source = self._kept[named[0]], self._kept[named[1]]
            self._kept[named[0]] = _KnownTensor(moved.number, source.memory)
        for count, tensor in enumerate(new):
            if first is not None:
                memory = self._kept[named[tensor.alias]].memory if tensor.alias >= 0 else _Memory()
                self._kept[self._next] = _KnownTensor(first + count, memory)
            self._next += 1

    def _lose(self, template: Template, named: Sequence[int]) -> None:
        spared: list[int] = []
        if template.operator.base == _UNSCALE:  # which writes 1 there if a gradient is not finite
            # The flag keeps its value 0, so that the scaler takes the step, as in a training that goes well.
            spared, self.assumes_finite = _places(template.definition.arguments["found_inf"]), True
        for place in template.written:
            kept = self._kept.get(named[place])
            if kept is not None and place not in spared:
                # Every view of this memory is stale now. The mark is on the memory, so none of them must be
                # found.
                kept.memory.lost = True
        for place in (0,) if template.moves else [place for place, _, _ in template.changed]:
            self.forget([named[place]])

    def _found(self, number: int) -> _KnownTensor | None:
        kept = self._kept.get(number)
        return None if kept is None or kept.memory.lost else kept

    def _select(self, records: bytes, position: int) -> int:
        _, number, dimension, index = wire.SELECT.unpack_from(records, position)
        return position + self._cut(wire.SELECT, Code.SELECT, number, dimension, index)

    def _slice(self, records: bytes, position: int) -> int:
        _, number, *numbers = wire.SLICE.unpack_from(records, position)
        return position + self._cut(wire.SLICE, Code.SLICE, number, *numbers)

    def _cut(self, layout: struct.Struct, code: Code, number: int, *numbers: int) -> int:
        kept = self._found(number)
        if kept is not None:
            cut = self._numbering.write(layout.pack(code, kept.number, *numbers), 1)
            self._kept[self._next] = _KnownTensor(cut, kept.memory)
        self._next += 1
        return layout.size

    def _free(self, records: bytes, position: int) -> int:
        _, count = wire.COUNTED.unpack_from(records, position)
        start = position + wire.COUNTED.size
        self.forget(numbers_in(records, start, count))
        return int(start + 8 * count)

    def _upload(self, records: bytes, position: int) -> int:
        end = wire.decode_upload(records, position)[2]
        self._kept[self._next] = _KnownTensor(self._numbering.write(records[position:end], 1))
        self._next += 1
        return end

    def _seed(self, records: bytes, position: int) -> int:
        self._generators.seed(wire.SEED.unpack_from(records, position)[1])
        return self._as_it_is(records, position, wire.SEED.size)

    def _save_state(self, records: bytes, position: int) -> int:
        self._generators.save(*wire.STATE.unpack_from(records, position)[1:])
        return self._as_it_is(records, position, wire.STATE.size)

    def _load_state(self, records: bytes, position: int) -> int:
        self._generators.load(*wire.STATE.unpack_from(records, position)[1:])
        return self._as_it_is(records, position, wire.STATE.size)

    def _as_it_is(self, records: bytes, position: int, size: int) -> int:
        self._numbering.write(records[position : position + size])
        return position + size


def _asks_whether_finite(template: Template, named: Sequence[int]) -> bool:
    """`isnan` and its kin; a comparison with infinity; and one of a tensor with itself, which finds NaN."""
    if template.operator.base in _FINITENESS:
        return True
    if template.operator.base not in _EQUALITY:
        return False
    other = template.definition.arguments["other"]
    # `x == inf`. Two tensors are a test for NaN only if both are the same one, as in `x != x`.
    if isinstance(other, Atom) and other.tag is Tag.FLOAT:
        return other.value in _INFINITE
    return len(named) == 2 and named[0] == named[1]


def _places(value: Value) -> list[int]:
    return [
        int(atom.value) for atom in wire.flatten(value) if isinstance(atom, Atom) and atom.tag is Tag.TENSOR
    ]


def _alone(layout: TensorMeta, template: Template, place: int) -> HeldTensor:
    """A tensor of that layout in memory of its own."""
    # Only exact templates mind where in its memory a tensor begins.
    offset = template.offsets[place] if template.exact else 0
    return HeldTensor(layout, offset, Storage(0, tainted=True))
