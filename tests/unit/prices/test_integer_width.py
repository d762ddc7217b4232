"""Integers pay for their width: every operator of the allow-list costs eight times as much on int64.

The exceptions are in one table, each with its reason.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from haet_eval.counting.dtypes import cast_operations, is_integer
from haet_eval.counting.prices.evaluate import computes_nothing, price_of
from haet_eval.counting.prices.movement import FACTORIES
from haet_eval.counting.prices.pointwise import tensors_of
from haet_eval.counting.prices.random import DRAWS
from haet_eval.counting.prices.roles import values
from haet_eval.counting.signature import AnyFloat, Signature
from tests.unit.prices.integer_calls import integer_calls

FEWEST_OPERATORS = 250


@dataclass(frozen=True, slots=True)
class Exempt:
    """Calls whose integers do not pay for their width, and what the wide call costs instead, at least."""

    reason: str
    applies: Callable[[Signature], bool]
    least: Callable[[Signature, int], int]


def _in_floats(wide: Signature) -> bool:
    """A float goes in or comes out, or a Python float is compared with."""
    floats = any(not is_integer(meta.dtype) for meta in tensors_of(wide))
    return floats or isinstance(wide.arguments.get("other"), float | AnyFloat)


def _cast_first(wide: Signature, narrow_price: int) -> int:
    metas = [*values(wide)]
    metas = [meta for meta in metas if meta.shape] or metas
    integers = [meta for meta in metas if is_integer(meta.dtype)]
    return narrow_price + sum(meta.numel * cast_operations(meta.dtype, "float64") for meta in integers)


def _is_draw(wide: Signature) -> bool:
    return wide.operator in DRAWS


def _is_factory(wide: Signature) -> bool:
    return wide.operator in FACTORIES


def _is_count(wide: Signature) -> bool:
    return wide.operator in COUNTERS and not any(meta.shape for meta in tensors_of(wide))


def _the_same(_: Signature, narrow_price: int) -> int:
    return narrow_price


COUNTERS: Final = frozenset(
    {"aten.add.Scalar", "aten.add_.Scalar", "aten._foreach_add_.Scalar", "aten.add_.Tensor"}
)
EXCEPTIONS: Final = (
    Exempt("a draw is one operation, however wide the number", _is_draw, _the_same),
    Exempt("a factory takes the shape of a tensor and none of its numbers", _is_factory, _the_same),
    Exempt("a single number that goes up by 1 is a step counter", _is_count, _the_same),
    Exempt(
        "integers in an operator on floats are cast, and the operator is one on floats",
        _in_floats,
        _cast_first,
    ),
)


def _least(wide: Signature, narrow_price: int) -> int:
    exempt = next((one for one in EXCEPTIONS if one.applies(wide)), None)
    return 8 * narrow_price if exempt is None else exempt.least(wide, narrow_price)


def test_every_integer_operator_costs_eight_times_as_much_on_eight_bytes() -> None:
    cheaper = []
    priced = set()
    for name, pairs in integer_calls().items():
        for narrow, wide in pairs:
            prices = price_of(narrow), price_of(wide)
            if None in prices or computes_nothing(wide):
                continue
            narrow_price, wide_price = prices[0] or 0, prices[1] or 0
            if narrow_price:
                priced.add(name)
            if wide_price < _least(wide, narrow_price):
                cheaper.append((name, narrow_price, wide_price))
    assert not cheaper
    assert len(priced) >= FEWEST_OPERATORS


def test_every_exception_is_one() -> None:
    calls = [pair for pairs in integer_calls().values() for pair in pairs]
    for exempt in EXCEPTIONS:
        found = [
            wide
            for narrow, wide in calls
            if exempt.applies(wide) and (price_of(wide) or 0) < max(8 * (price_of(narrow) or 0), 1)
        ]
        assert found, exempt.reason
