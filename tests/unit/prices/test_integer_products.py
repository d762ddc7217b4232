"""What multiplies integers pays for each byte of one factor with each byte of the other.

A product of two packs of bytes is a convolution of them: eight bytes in each of two int64 give 36 products
and 28 sums. A contest was won at the price of eight.
"""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from random import Random
from typing import Final

import pytest
import torch
from torch.utils._pytree import tree_leaves, tree_map

from haet_eval.operators.checking.validation import Refused, bind
from haet_eval.operators.pricing.evaluate import price_of
from haet_eval.operators.pricing.width import BITWISE
from haet_eval.operators.signature import Argument, Signature, TensorMeta
from haet_eval.operators.table import MOVING, kind_of
from tests.attacks.executed_calls import FAILURES
from tests.attacks.execution import overload_of, prepared
from tests.attacks.recorded_calls import RecordedCall, metered, recorded_calls
from tests.oracle.recording import argument, operations

SCALE: Final = 1 << 10
BYTES: Final = 8


def test_a_product_of_packs_costs_all_that_it_does() -> None:
    """Eight bytes in each of two int64: 36 products and 28 sums."""
    kernel, row = torch.ones(8, dtype=torch.uint8), torch.ones(8, dtype=torch.uint8)
    written_out = sum(2 * taps - 1 for taps in range(1, 9))
    packs = torch.tensor(0x0101010101010101), torch.tensor(0x0101010101010101)
    assert operations(lambda: packs[0] * packs[1]) == written_out == 64
    assert operations(lambda: kernel * row) == 8


@pytest.mark.parametrize(("number", "price"), [(1, 8), (255, 8), (256, 16), (-3, 8), (2**40, 48), (True, 8)])
def test_a_number_is_a_factor_of_as_many_bytes_as_it_has(number: int, price: int) -> None:
    indices = torch.ones(1, dtype=torch.int64)
    assert operations(lambda: indices * number) == price
    assert operations(lambda: indices.floor_divide(number)) == price


def test_lists_and_averages_cost_what_their_arithmetic_does() -> None:
    wide = torch.full((1, 1, 1), 2, dtype=torch.int64)
    assert operations(lambda: torch._foreach_pow(3, [wide])) == operations(lambda: torch.pow(3, wide))
    image = wide[None]
    averaged = operations(lambda: torch.ops.aten.avg_pool2d(image, [1], [1], [0], False, True, 2**32))
    assert averaged == operations(lambda: image // 2**32)


def test_running_products_fill_wide_integers() -> None:
    wide, pixels = torch.ones(3, dtype=torch.int64), torch.ones(3, dtype=torch.uint8)
    assert operations(lambda: wide.prod()) == operations(lambda: wide.cumprod(0)) == 2 * 64
    assert operations(lambda: pixels.prod()) == operations(lambda: pixels.cumprod(0)) == 2 * 8


def test_what_multiplies_integers_pays_for_each_pair_of_bytes() -> None:
    """A call multiplies if its result grows with the square of what goes in."""
    multiplying, cheap = set(), {}
    for name in sorted(recorded_calls()):
        if kind_of(name) in {*MOVING, "factory", "draw"} or name.split(".")[1].removesuffix("_") in BITWISE:
            continue
        for call in of_integers(name):
            grown, price, bytes_alone = outcome(call)
            if grown < SCALE**2 / 4:
                continue
            multiplying.add(name)
            if price < BYTES**2 * bytes_alone:
                cheap[name] = (price, bytes_alone)
    assert {"aten.mul.Tensor", "aten.mm.default", "aten.addmm.default", "aten.cumprod.default"} <= multiplying
    assert cheap == {}


def of_integers(name: str) -> Iterator[RecordedCall]:
    """Recorded calls with int64 in the place of float32."""
    for call in recorded_calls()[name][:3]:
        arguments = {key: _with(value, "int64") for key, value in call.arguments.items()}
        if arguments != call.arguments:
            yield replace(call, arguments=arguments, origins={}, values={})


def _with(value: Argument, dtype: str) -> Argument:
    if isinstance(value, tuple):
        return tuple(_with(item, dtype) for item in value)
    return (
        replace(value, dtype=dtype) if isinstance(value, TensorMeta) and value.dtype == "float32" else value
    )


def outcome(call: RecordedCall) -> tuple[float, int, int]:
    """How much the largest integer of the result grows with the scale of what goes in, and two prices.

    The prices are those of the call and of the same call on bytes.
    """
    nothing = (0.0, 0, 0)
    try:
        call.check()
        given, _ = prepared(call, Random(0))
        small, large = _largest(call, given, 1), _largest(call, given, SCALE)
    except (Refused, *FAILURES):
        return nothing
    if small is None or large is None or not small[0]:
        return nothing
    prices = [price_of(_signature(call, small[1], dtype)) for dtype in ("int64", "uint8")]
    return nothing if None in prices else (large[0] / small[0], prices[0] or 0, prices[1] or 0)


def _largest(call: RecordedCall, given: dict[str, object], scale: int) -> tuple[int, object] | None:
    """The largest absolute value of an int64 result, and the result; None without such a result."""

    def scaled(place: int, value: object) -> object:
        computed = isinstance(value, torch.Tensor) and value.dtype is torch.int64
        if not computed:
            return value
        assert isinstance(value, torch.Tensor)
        # Different numbers, as some calls multiply the difference of two.
        return (torch.arange(value.numel()).reshape(value.shape) * (place + 3) % 7 + 2) * scale

    kept = {name for name, value in call.arguments.items() if value == _original(call, name)}
    arguments = {}
    for place, (name, value) in enumerate(given.items()):
        arguments[name] = value if name in kept else tree_map(partial(scaled, place), value)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = overload_of(call.operator)(**arguments)
    found = [one for one in tree_leaves(result) if isinstance(one, torch.Tensor) and one.numel()]
    if not found or found[0].dtype is not torch.int64:
        return None
    return int(found[0].abs().max()), result


def _original(call: RecordedCall, name: str) -> Argument:
    """The argument as it was recorded, if it is one of these calls."""
    recorded = recorded_calls()[call.operator]
    same = (one for one in recorded if one.arguments.keys() == call.arguments.keys())
    return next((one.arguments[name] for one in same if one.arguments[name] == call.arguments[name]), None)


def _signature(call: RecordedCall, result: object, dtype: str) -> Signature:
    def narrowed(value: Argument) -> Argument:
        if isinstance(value, tuple):
            return tuple(map(narrowed, value))
        return (
            replace(value, dtype=dtype) if isinstance(value, TensorMeta) and value.dtype == "int64" else value
        )

    returned = len(overload_of(call.operator)._schema.returns)
    outputs = () if returned == 0 else (result,) if returned == 1 else tuple(result)  # type: ignore[arg-type]
    bound = bind(call.schema(), metered(call.schema(), call.arguments))
    return Signature(
        call.operator,
        {name: narrowed(value) for name, value in bound.items()},
        tuple(narrowed(argument(one)) for one in outputs),
    )
