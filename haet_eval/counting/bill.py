"""The bill of a training: its histogram, priced."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from operator import index
from pathlib import Path
from typing import Any, TypeAlias

from haet_eval.counting.histogram import NO_TRAINING, PHASES, Histogram, HistogramEntry
from haet_eval.operators.pointwise import has_complex
from haet_eval.operators.pricing.evaluate import price_of
from haet_eval.operators.refusals import unpriced
from haet_eval.operators.signature import Signature, tensors_in
from haet_eval.operators.standard import current
from haet_eval.operators.table import Price, price_function

OwnPrice: TypeAlias = Price | int
"""Operations of a call: a number, or a function of its signature."""

_SHOWN_SHAPES = 5


@dataclass(slots=True)
class BillLine:
    """The total cost of one overload: calls, and scalar operations."""

    calls: int = 0
    operations: int = 0


@dataclass(slots=True)
class UncountedLine:
    """An overload without a price: calls, some of the shapes it ran with, and what to do about it."""

    calls: int = 0
    shapes: list[str] = field(default_factory=list)
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Bill:
    """Scalar operations of a training, by phase and by overload; exact integers.

    `standard` is the version of the counting standard that they were priced under.
    """

    standard: int
    total: int
    by_phase: dict[str, int]
    by_operator: dict[str, BillLine]
    uncounted: dict[str, UncountedLine]


def bill(entries: Iterable[HistogramEntry], own: Mapping[str, OwnPrice] | None = None) -> Bill:
    """Price a histogram under the current version of the standard.

    An entry without a price is listed as uncounted, and never silently zero.

    Args:
        entries: a histogram.
        own: prices for operators that the standard has none for.

    Raises:
        ValueError: the standard has a price for one of these, or one is no number of operations.
    """
    price_one = price_with(own or {})
    by_phase = dict.fromkeys(PHASES, 0)
    by_operator: dict[str, BillLine] = defaultdict(BillLine)
    uncounted: dict[str, UncountedLine] = defaultdict(UncountedLine)
    for entry in entries:
        operator = entry.signature.operator
        price = price_one(entry.signature)
        if price is None:
            _note(uncounted[operator], entry)
            continue
        by_operator[operator].calls += entry.total_calls
        by_operator[operator].operations += price * entry.total_calls
        for phase, calls in zip(PHASES, entry.calls, strict=True):
            by_phase[phase] += price * calls
    return Bill(current(), sum(by_phase.values()), by_phase, dict(by_operator), dict(uncounted))


def price(
    histogram: Histogram | bytes | str | os.PathLike[str], prices: Mapping[str, OwnPrice] | None = None
) -> Bill:
    """Price a histogram: of an OperationCounter, or the artefact of a record (`….histogram.json`).

    Args:
        histogram: a histogram, its JSON document as bytes, or the path of a file with one.
        prices: prices for operators that the standard has none for: a number for each call, or a function
            from the call's signature to such a number.

    Raises:
        OSError: there is no such file.
        ValueError: it is no histogram, the standard has a price for one of these operators, or one of these
            prices is no number of operations.
    """
    if isinstance(histogram, str | os.PathLike):
        histogram = Path(histogram).read_bytes()
    if isinstance(histogram, Histogram):
        return bill(histogram, prices)
    try:
        return bill(Histogram.from_json(histogram), prices)
    except ValueError:
        raise
    except NO_TRAINING as error:
        raise ValueError(f"the histogram holds calls that no training makes: {error}") from error


def price_with(own: Mapping[str, OwnPrice]) -> Callable[[Signature], int | None]:
    """`price_of`, with prices for operators that the standard has none for.

    The function that it returns raises ValueError if one of these gives no number of operations.

    Raises:
        ValueError: the standard has a price for one of these, or one is no number of operations.
    """
    for operator, price in own.items():
        # The standard must mean the same in every count that names its version.
        if price_function(operator) is not None:
            raise ValueError(f"{operator} has a price in the counting standard, which stays as it is")
        if not callable(price):
            own_price(operator, price)

    def price_one(signature: Signature) -> int | None:
        price = own.get(signature.operator)
        if price is None:
            return price_of(signature)
        return own_price(signature.operator, price(signature) if callable(price) else price)

    return price_one


def own_price(name: str, price: Any) -> int:
    """A number as a price, in Python's exact integers.

    Raises:
        ValueError: it is no number of operations.
    """
    try:
        # Integers of NumPy too, whose own sums may overflow.
        number = index(price)
    except TypeError:
        number = -1
    if number < 0:
        raise ValueError(f"the price of {name} is {price!r}: give a whole number of operations, 0 or more")
    return number


def _note(line: UncountedLine, entry: HistogramEntry) -> None:
    line.calls += entry.total_calls
    line.hint = _hint(entry.signature)
    shown = _shapes(entry.signature)
    # A loop over ever new shapes must not fill the record.
    if shown not in line.shapes and len(line.shapes) < _SHOWN_SHAPES:
        line.shapes.append(shown)


def _hint(signature: Signature) -> str:
    """Why a call has no price, and what to write instead."""
    # `verify` compares these words with those in older records, so another wording would contradict honest
    # ones.
    reason = unpriced(signature.operator)
    if reason is not None:
        return f"{reason[0].upper()}{reason[1:]}."
    if has_complex(signature):
        return (
            "It has a price for real numbers only; work on the real and the imaginary parts, which "
            "torch.view_as_real gives."
        )
    return "It has no price yet; write it with operators that docs/counting-standard.md lists."


def _shapes(signature: Signature) -> str:
    tensors = tensors_in(tuple(signature.arguments.values()))
    return ", ".join(f"{tensor.dtype}{list(tensor.shape)}" for tensor in tensors)
