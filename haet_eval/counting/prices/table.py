"""The table of prices: overload name to a pure function from its signature to an exact integer."""

from collections.abc import Callable
from typing import TypeAlias

from haet_eval.counting.signature import Signature

Price: TypeAlias = Callable[[Signature], int]


class NoPrice(Exception):
    """Raised by a price for a case that the standard leaves open: the call is then uncountable."""


_PRICES: dict[str, Price] = {}


def price(*operators: str) -> Callable[[Price], Price]:
    """Bind a price to overloads, as in `@price("aten.relu.default", "aten.relu_.default")`.

    Raises:
        ValueError: one of them has a price already.
    """

    def bind(function: Price) -> Price:
        for operator in operators:
            if operator in _PRICES:
                raise ValueError(f"{operator} is priced twice")
            _PRICES[operator] = function
        return function

    return bind


def lookup(operator: str) -> Price | None:
    """The price of an overload, or None where the standard has none."""
    return _PRICES.get(operator)


def formula(operator: str) -> str | None:
    """The price of an overload in words, the first paragraph of its documentation; None without a price."""
    function = _PRICES.get(operator)
    return None if function is None else " ".join((function.__doc__ or "").split("\n\n")[0].split())


def priced_operators() -> frozenset[str]:
    """Every overload that has a price."""
    return frozenset(_PRICES)


def overloads(operators: str, suffixes: str) -> tuple[str, ...]:
    """Full names of every operator with every suffix, as in `overloads("relu abs", ".default _.default")`."""
    return tuple(f"aten.{name}{suffix}" for name in operators.split() for suffix in suffixes.split())
