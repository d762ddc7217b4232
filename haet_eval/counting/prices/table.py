"""The table of prices: overload name to a pure function from its signature to an exact integer."""

from collections.abc import Callable
from typing import TypeAlias

from haet_eval.counting.signature import Signature
from haet_eval.counting.standard import current

Price: TypeAlias = Callable[[Signature], int]


class NoPrice(Exception):
    """Raised by a price for a case that the standard leaves open: the call is then uncountable."""


_PRICES: dict[str, Price] = {}
_SUPERSEDED: dict[str, dict[int, Price]] = {}
"""By overload: the last version of the standard that a former price is for, and the price."""


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


def superseded(last: int, *operators: str) -> Callable[[Price], Price]:
    """Bind a price that overloads had up to a version of the standard, as in `@superseded(1, "aten.mm.out")`.

    Raises:
        ValueError: one of them has no present price, or has a former one for that version already.
    """

    def bind(function: Price) -> Price:
        for operator in operators:
            if operator not in _PRICES:
                raise ValueError(f"{operator} has a former price but no present one")
            if last in _SUPERSEDED.setdefault(operator, {}):
                raise ValueError(f"{operator} is priced twice up to version {last}")
            _SUPERSEDED[operator][last] = function
        return function

    return bind


def lookup(operator: str) -> Price | None:
    """The price of an overload under the current version of the standard; None if it has no price."""
    former = _SUPERSEDED.get(operator, {})
    last = min((last for last in former if last >= current()), default=None)
    return _PRICES.get(operator) if last is None else former[last]


def present_price(operator: str) -> Price | None:
    """The price of an overload under the present version of the standard, whichever is current."""
    return _PRICES.get(operator)


def former_prices() -> dict[tuple[str, int], Price]:
    """Every price that is no longer the present one: by overload and the last version that it is for."""
    return {(name, last): one for name, former in _SUPERSEDED.items() for last, one in former.items()}


def formula(operator: str) -> str | None:
    """The price of an overload in words, the first paragraph of its documentation; None without a price."""
    function = lookup(operator)
    return None if function is None else " ".join((function.__doc__ or "").split("\n\n")[0].split())


def family(operator: str) -> str | None:
    """The family of operators that an overload is priced with, as in `convolution`; None without a price."""
    function = present_price(operator)
    return None if function is None else function.__module__.rpartition(".")[2]


def priced_operators() -> frozenset[str]:
    """Every overload that has a price."""
    return frozenset(_PRICES)


def overloads(operators: str, suffixes: str) -> tuple[str, ...]:
    """Full names of every operator with every suffix, as in `overloads("relu abs", ".default _.default")`."""
    return tuple(f"aten.{name}{suffix}" for name in operators.split() for suffix in suffixes.split())
