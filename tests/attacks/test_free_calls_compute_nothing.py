"""A call costs at least one operation for each new number that comes out of it, whatever its shapes.

Prices follow from shapes, and a formula that is right for large matrices may be 0 for one row. Here PyTorch's
kernels run on small and degenerate shapes, of real and of complex numbers. A number is new if no input holds
it, nor its negative, and it is no literal of the call.
"""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from random import Random
from typing import Final

import torch
from torch.utils._pytree import tree_leaves

from haet_eval.operators.checking.validation import Refused, bind
from haet_eval.operators.pricing.evaluate import price_of
from haet_eval.operators.signature import Argument, Signature, TensorMeta, tensors_in
from haet_eval.operators.table import MOVING, kind_of, price_function
from tests.attacks.executed_calls import FAILURES
from tests.attacks.execution import overload_of, prepared, with_real_origins
from tests.attacks.mutation import contiguous
from tests.attacks.recorded_calls import RecordedCall, metered, recorded_calls
from tests.oracle.recording import argument

SEEN: Final = 3
"""Recorded calls of each overload from which the small ones are made."""
LARGEST: Final = 20_000
CONSTANT: Final = ("aten.fft_fftfreq.default", "aten.fft_rfftfreq.default")
"""Their numbers follow from a size and a literal: no tensor goes in."""
CONSTANTS: Final = (0.0, 1.0, -1.0, float("inf"), float("-inf"), float("nan"))


@dataclass(frozen=True, slots=True)
class Priced:
    """A call that was executed, its price, and how many new numbers came out."""

    signature: Signature
    price: int
    new: int


def test_a_new_number_costs_an_operation() -> None:
    asked, cheap, formulas = 0, [], set()
    for name in sorted(recorded_calls()):
        if kind_of(name) in {*MOVING, "factory", "draw", "list"} or name in CONSTANT:
            continue
        # Overloads that share a formula, such as those in place, are priced alike.
        formula = price_function(name)
        if formula is None or formula in formulas:
            continue
        formulas.add(formula)
        for call in small_calls(name):
            priced = executed(call)
            asked += priced is not None
            if priced and priced.price < priced.new:
                cheap.append(priced)
    assert asked > 2000
    assert cheap == []


def test_one_row_of_complex_numbers_is_the_case_that_this_was_made_for() -> None:
    """`geqrf` multiplied it by a complex number, for nothing; a contest was won so."""
    row = TensorMeta((1, 4), (4, 1), 0, "complex64")
    priced = executed(RecordedCall("aten.geqrf.default", {"self": row}))
    assert priced is not None
    assert 4 <= priced.new <= priced.price


def small_calls(name: str) -> Iterator[RecordedCall]:
    """Recorded calls as they are, with 1 in the place of each size, and of each dimension of one tensor."""
    for call in recorded_calls()[name][:SEEN]:
        for small, of_complex in product(_shrunk(call), (False, True)):
            yield replace(small, arguments=_of_complex(small.arguments)) if of_complex else small


def _shrunk(call: RecordedCall) -> Iterator[RecordedCall]:
    yield call
    metas = {meta for value in call.arguments.values() for meta in tensors_in(value)}
    for size in {size for meta in metas for size in meta.shape if size > 1}:
        yield _with_shapes(call, {size: 1})
    for name, value in call.arguments.items():
        if isinstance(value, TensorMeta):
            for dim in range(value.ndim):
                shape = (*value.shape[:dim], 1, *value.shape[dim + 1 :])
                yield replace(call, arguments={**call.arguments, name: _shaped(value, shape)}, values={})


def _with_shapes(call: RecordedCall, sizes: dict[int, int]) -> RecordedCall:
    def changed(value: Argument) -> Argument:
        if isinstance(value, tuple):
            return tuple(map(changed, value))
        if isinstance(value, TensorMeta):
            return _shaped(value, tuple(sizes.get(size, size) for size in value.shape))
        return value

    arguments = {name: changed(value) for name, value in call.arguments.items()}
    return replace(call, arguments=arguments, origins={}, values={})


def _shaped(meta: TensorMeta, shape: tuple[int, ...]) -> TensorMeta:
    return replace(meta, shape=shape, stride=contiguous(shape), offset=0)


def _of_complex(arguments: Mapping[str, Argument]) -> dict[str, Argument]:
    def changed(value: Argument) -> Argument:
        if isinstance(value, tuple):
            return tuple(map(changed, value))
        if isinstance(value, TensorMeta) and value.dtype == "float32":
            return replace(value, dtype="complex64")
        return value

    return {name: changed(value) for name, value in arguments.items()}


def executed(call: RecordedCall) -> Priced | None:
    """The call with its price; None if the meter or PyTorch refuses it."""
    chance = Random(f"{call.operator} {call.arguments}")
    torch.manual_seed(chance.getrandbits(32))
    call, made = with_real_origins(call, chance)
    try:
        call.check()
        given, run = prepared(call, chance, made)
        inputs = [one for one in tree_leaves(given) if isinstance(one, torch.Tensor)]
        if sum(one.numel() for one in inputs) > LARGEST:
            return None
        for one in filter(_may_be_drawn, inputs):
            # Numbers that no two inputs share, from where every function is defined.
            one.copy_(torch.rand_like(one) * 0.8 + 0.1)
        before = [one.clone() for one in inputs]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = run()
    except (Refused, *FAILURES):
        return None
    returned = len(overload_of(call.operator)._schema.returns)
    outputs = () if returned == 0 else (result,) if returned == 1 else tuple(result)  # type: ignore[arg-type]
    arguments = bind(call.schema(), metered(call.schema(), call.arguments))
    signature = Signature(call.operator, arguments, tuple(argument(one) for one in outputs))
    price = price_of(signature)
    if price is None:
        return None
    written = [one for one in (*tree_leaves(outputs), *inputs) if isinstance(one, torch.Tensor)]
    literals = [
        float(one) for one in tree_leaves(list(call.arguments.values())) if isinstance(one, float | int)
    ]
    return Priced(signature, price, sum(_new(one, before, literals) for one in _distinct(written)))


def _may_be_drawn(tensor: torch.Tensor) -> bool:
    # An element that several indices share cannot be written through them.
    repeated = any(step == 0 and size > 1 for size, step in zip(tensor.shape, tensor.stride(), strict=True))
    return (tensor.is_floating_point() or tensor.is_complex()) and not repeated


def _distinct(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    return list({(one.data_ptr(), one.shape, one.dtype): one for one in tensors}.values())


def _new(output: torch.Tensor, inputs: list[torch.Tensor], literals: list[float]) -> int:
    """How many elements no input holds. Integers and truth values have laws of their own."""
    if not (output.is_floating_point() or output.is_complex()) or output.numel() > LARGEST:
        return 0
    kind = output.real.dtype if output.is_complex() else output.dtype
    # An input of more bits is rounded when it is copied.
    parts = [_parts(one).to(kind).double() for one in inputs]
    known = torch.cat([*parts, torch.tensor([*CONSTANTS, *literals], dtype=torch.float64)])
    known = torch.cat([known, -known])
    found = _parts(output).double()
    fresh = ~torch.isin(found, known) & ~found.isnan()
    return int(fresh.reshape(output.numel(), -1).any(1).sum()) if output.numel() else 0


def _parts(tensor: torch.Tensor) -> torch.Tensor:
    """Real numbers, [N] or [N, 2], of the elements."""
    plain = tensor.resolve_conj().resolve_neg()
    return (torch.view_as_real(plain) if plain.is_complex() else plain).reshape(-1)
