"""Recorded calls as the executor runs them: its own kernels, on real tensors laid out in several ways."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from itertools import product
from random import Random
from typing import Any

import torch

from haet_eval.operators.checking.validation import Refused
from haet_eval.operators.table import entries
from haet_eval.remote.executor.guards import BadValue
from haet_eval.remote.executor.kernel import compile_kernel, overload
from haet_eval.remote.wire import Atom, Definition, Tag, Value
from tests.attacks.execution import prepared, with_real_origins
from tests.attacks.mutation import mutated
from tests.attacks.recorded_calls import RecordedCall, recorded_calls

FAILURES = (BadValue, RuntimeError, IndexError, ValueError, TypeError, NotImplementedError)
"""What a kernel raises on values, or on layouts, that it does not accept."""

_TAGS = {
    torch.dtype: Tag.DTYPE,
    torch.memory_format: Tag.FORMAT,
    torch.layout: Tag.LAYOUT,
    torch.device: Tag.DEVICE,
}
_SHIFT = 3


class Variant(Enum):
    """How the inputs lie. A template does not tell the first three apart, unless it is exact.

    Only LAZY has lazy bits.
    """

    PLAIN = "each in its own memory"
    ELSEWHERE = "each in a larger memory, behind other elements"
    SHARED = "inputs of one layout are one memory"
    LAZY = "every input that can be is conjugated or negated by a flag"


@dataclass
class ExecutedCall:
    """A definition without open floats, with the tensors that it is called with and their parameters."""

    definition: Definition
    generator: torch.Generator
    inputs: list[torch.Tensor] = field(default_factory=list)
    parameters: list[str] = field(default_factory=list)

    @property
    def operator(self) -> Any:
        """The overload of `torch.ops.aten`."""
        return overload(self.definition.operator)

    def run(self) -> Any:
        """What the executor's kernel returns; every generator is seeded first.

        Raises:
            Exception: one of FAILURES.
        """
        torch.manual_seed(0)
        self.generator.manual_seed(0)
        kernel = compile_kernel(self.definition, torch.device("cpu"), lambda _: self.generator)
        with torch.no_grad():
            return kernel(self.inputs, ())


def executed_calls(
    name: str, variant: Variant = Variant.PLAIN, *, values: int = 0, mutations: int = 0
) -> Iterator[ExecutedCall]:
    """The recorded calls of one overload that the meter accepts; `values` is the seed of their tensors.

    Each is followed by as many of its `mutations` (tests/attacks/mutation.py), as far as they are accepted.
    """
    for place, mutation in product(range(len(recorded_calls()[name])), range(1 + mutations)):
        chance = Random(f"{name} {place} {mutation} {values}")
        torch.manual_seed(chance.getrandbits(32))
        recorded = recorded_calls()[name][place]
        if mutation:
            recorded = mutated(recorded, chance)
        call, made = with_real_origins(recorded, chance)
        try:
            call.check()
        except Refused:
            continue
        try:
            given, _ = prepared(call, chance, made)
            executed = _written_down(call, given, variant)
        except (RuntimeError, MemoryError):
            if mutation:
                continue  # its tensors do not fit into memory
            raise
        yield executed


def _written_down(call: RecordedCall, given: dict[str, object], variant: Variant) -> ExecutedCall:
    executed = ExecutedCall(Definition(call.operator, {}, 0, ()), torch.Generator())

    def value(argument: Any, parameter: str) -> Value:
        if isinstance(argument, torch.Tensor):
            executed.inputs.append(_laid_out(argument, call.operator, executed.inputs, variant))
            executed.parameters.append(parameter)
            return Atom(Tag.TENSOR, len(executed.inputs) - 1)
        if isinstance(argument, list | tuple):
            return tuple(value(item, parameter) for item in argument)
        if isinstance(argument, torch.Generator):
            return Atom(Tag.GENERATOR)
        for kind, tag in _TAGS.items():
            if isinstance(argument, kind):
                return Atom(tag, str(argument).removeprefix("torch."))
        assert argument is None or isinstance(argument, bool | int | float | complex | str)
        return argument

    arguments = {name: value(argument, name) for name, argument in given.items()}
    executed.definition = Definition(call.operator, arguments, len(executed.inputs), ())
    return executed


def _laid_out(
    tensor: torch.Tensor, operator: str, others: list[torch.Tensor], variant: Variant
) -> torch.Tensor:
    plain = _without_bits(tensor)
    match variant:
        case Variant.ELSEWHERE if not entries()[operator].facts.exact:
            return _moved(plain)
        case Variant.SHARED:
            layout = (plain.dtype, plain.shape, plain.stride())
            for other in others:
                if layout == (other.dtype, other.shape, other.stride()):
                    return torch.ops.aten.alias(other)  # type: ignore[no-any-return]
        case Variant.LAZY if plain.is_complex():
            return torch._conj(plain)
        case Variant.LAZY if plain.is_floating_point():
            return torch._neg_view(plain)
        case _:
            pass
    return plain


def _without_bits(tensor: torch.Tensor) -> torch.Tensor:
    """The same memory; of a lazy tensor, what it holds before it is conjugated or negated."""
    plain = torch._conj(tensor) if tensor.is_conj() else tensor
    return torch._neg_view(plain) if plain.is_neg() else plain


def _moved(tensor: torch.Tensor) -> torch.Tensor:
    """The same elements, in a larger storage and behind some more of them."""
    held = tensor.untyped_storage()
    start = _SHIFT * tensor.element_size()
    larger = torch.zeros(len(held) + 2 * start, dtype=torch.uint8)
    larger[start : start + len(held)] = memory_of(tensor)
    moved = torch.empty(0, dtype=tensor.dtype)
    offset = tensor.storage_offset() + _SHIFT
    return moved.set_(larger.untyped_storage(), offset, tensor.size(), tensor.stride())


def memory_of(tensor: torch.Tensor) -> torch.Tensor:
    """All bytes of the storage that a tensor lies in: uint8 [bytes], sharing its memory."""
    return torch.tensor([], dtype=torch.uint8).set_(tensor.untyped_storage())
