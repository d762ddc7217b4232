"""Calls to compare the two sides by: recorded ones, some mutated, over tensors of odd kinds."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import torch

from haet_eval.counting.signature import SPECIAL_FLOATS
from haet_eval.remote import wire
from haet_eval.remote.operators.allowed import lookup
from haet_eval.remote.operators.validation import literal_parameters
from haet_eval.remote.wire import ANY_FLOAT, COUNTED, Atom, Code, Definition, Tag, Value
from tests.attacks.execution import prepared, with_real_origins
from tests.attacks.mutation import mutated
from tests.attacks.recorded_calls import RecordedCall

_SPECIAL = {number: index for index, number in enumerate(SPECIAL_FLOATS)}
_GENERATOR = 3
_LOCAL = frozenset({"pin_memory", "non_blocking"})


@dataclass(frozen=True)
class MadeCall:
    """A definition, and the tensors and floats that go with it."""

    definition: Definition
    tensors: list[torch.Tensor]
    floats: list[float]

    def define(self, handles: Sequence[int]) -> bytes:
        head = wire.encode_definition(self.definition)
        return COUNTED.pack(Code.DEFINE, len(head)) + head + self._values(0, handles)[COUNTED.size :]

    def call(self, template: int, handles: Sequence[int], *, dynamic: bool) -> bytes:
        code = Code.DYNAMIC if dynamic else Code.CALL
        return bytes([code]) + self._values(template, handles)[1:]

    def _values(self, template: int, handles: Sequence[int]) -> bytes:
        layout: struct.Struct = wire.call_layout(len(self.tensors), len(self.floats))
        return layout.pack(0, template, *handles, *self.floats)


def made_call(recorded: RecordedCall, chance: Random, *, mutate: bool) -> MadeCall | None:
    """The call with tensors, or None if it cannot be made here.

    Calls that need tensors of a certain origin are left out: their guard is about values.
    """
    call = mutated(recorded, chance) if mutate else recorded
    call, made = with_real_origins(call, chance)
    if made:
        return None
    given, _ = prepared(call, chance, made)
    operator = lookup(call.operator)
    assert operator is not None
    writer = _Writer()
    literal = literal_parameters(operator)
    arguments = {
        name: writer.value(value, literal=name in literal)
        for name, value in given.items()
        if name not in _LOCAL
    }
    floats = tuple(_SPECIAL.get(number, ANY_FLOAT) for number in writer.floats)
    definition = Definition(call.operator, arguments, len(writer.tensors), floats)
    return MadeCall(definition, writer.tensors, writer.floats)


class _Writer:
    def __init__(self) -> None:
        self.tensors: list[torch.Tensor] = []
        self.floats: list[float] = []

    def value(self, value: Any, *, literal: bool) -> Value:
        match value:
            case torch.Tensor():
                self.tensors.append(value)
                return Atom(Tag.TENSOR, len(self.tensors) - 1)
            case None | bool() | int() | complex() | str():
                return value
            case float():
                return value if literal else self._float(value)
            case list() | tuple():
                return tuple(self.value(item, literal=literal) for item in value)
            case torch.dtype():
                return Atom(Tag.DTYPE, str(value).removeprefix("torch."))
            case torch.memory_format():
                return Atom(Tag.FORMAT, str(value).removeprefix("torch."))
            case torch.device():
                return Atom(Tag.DEVICE)
            case torch.layout():
                return Atom(Tag.LAYOUT)
            case torch.Generator():
                return Atom(Tag.GENERATOR, _GENERATOR)
            case _:
                raise TypeError(f"an argument of type {type(value).__name__}")

    def _float(self, number: float) -> Atom:
        self.floats.append(number)
        return Atom(Tag.FLOAT, _SPECIAL.get(number, ANY_FLOAT))


# The same layout, in other memory. A template stands for all of these.


def elsewhere(tensors: Sequence[torch.Tensor], chance: Random) -> list[torch.Tensor]:
    """Tensors of the same layouts with other offsets, other memory sizes, or in one memory together."""
    way = chance.random()
    if way < 0.4:
        return [_shifted(tensor, chance) for tensor in tensors]
    if way < 0.7:
        return _equal_ones_joined(tensors)
    return _in_one_memory(tensors) if way < 0.9 else list(tensors)


def again(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The same layouts and values in memory of their own, for a call that may change the tensors."""
    return [_moved(tensor, 0, 0) for tensor in tensors]


def flipped(tensors: Sequence[torch.Tensor], chance: Random) -> list[torch.Tensor]:
    """The tensors, some of them conjugated or negated lazily."""
    return [_flipped(tensor, chance) for tensor in tensors]


def _flipped(tensor: torch.Tensor, chance: Random) -> torch.Tensor:
    if tensor.dtype is torch.bool or chance.random() < 0.5:
        return tensor
    if tensor.is_complex() and chance.random() < 0.5:
        return tensor.conj()
    return torch._neg_view(tensor)


def _span(tensor: torch.Tensor) -> int:
    if not tensor.numel():
        return 0
    return 1 + sum((n - 1) * step for n, step in zip(tensor.size(), tensor.stride(), strict=True))


def _laid(tensor: torch.Tensor, storage: torch.UntypedStorage, offset: int) -> torch.Tensor:
    """The layout and the lazy bits of a tensor, in that storage."""
    empty = torch.empty(0, dtype=tensor.dtype)
    placed = empty.set_(storage, offset, tensor.size(), tensor.stride())
    torch._C._set_conj(placed, tensor.is_conj())
    torch._C._set_neg(placed, tensor.is_neg())
    return placed


def _shifted(tensor: torch.Tensor, chance: Random) -> torch.Tensor:
    return _moved(tensor, chance.choice((0, 1, 2, 5, 16)), chance.choice((0, 3)))


def _moved(tensor: torch.Tensor, before: int, behind: int) -> torch.Tensor:
    size = tensor.element_size()
    memory = torch.zeros((before + _span(tensor) + behind) * size, dtype=torch.uint8)
    raw = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())
    start = int(tensor.storage_offset()) * size
    length = _span(tensor) * size
    memory[before * size : before * size + length] = raw[start : start + length]
    return _laid(tensor, memory.untyped_storage(), before)


def _equal_ones_joined(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """One tensor for all of one layout."""
    known: dict[Any, torch.Tensor] = {}
    keys = [(t.size(), t.stride(), t.dtype, t.is_conj(), t.is_neg()) for t in tensors]
    return [known.setdefault(key, tensor) for key, tensor in zip(keys, tensors, strict=True)]


def _in_one_memory(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    if not tensors:
        return []
    largest = max(tensors, key=lambda tensor: tensor.untyped_storage().nbytes())
    memory = largest.untyped_storage()
    return [
        _laid(tensor, memory, 0)
        if tensor.dtype == largest.dtype and _span(tensor) * tensor.element_size() <= memory.nbytes()
        else tensor
        for tensor in tensors
    ]
