"""The table of operators: all that is known of each overload, under its full name (`aten.add.Tensor`).

An overload that a submission may call has an entry in the file of its family: its schema, its price, its
checks, and the facts that its schema does not tell. `plain.py` lists those that only plain PyTorch
dispatches: they have a price, and no submission may call them.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from inspect import cleandoc
from typing import Final, TypeAlias

from haet_eval.operators.checking.call import Call
from haet_eval.operators.schema import Operator, OperatorFacts, parse
from haet_eval.operators.signature import Argument, Signature
from haet_eval.operators.standard import current

Price: TypeAlias = Callable[[Signature], int]
ArgumentCheck: TypeAlias = Callable[[Call], None]

OPTIONS: Final = "ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None"
"""What every factory takes."""

BY_KERNEL: Final = "its kernel checks its arguments itself"
"""The reason why most operators need no check of their own."""

MOVING: Final = ("view", "copy", "arrangement", "bookkeeping")
"""Kinds of operators that compute nothing from the elements that they show or move."""


class NoPrice(Exception):
    """Raised by a price for a case that the standard leaves open: the call is then uncountable."""


@dataclass(frozen=True, slots=True)
class OperatorEntry:
    """An overload that a submission may call. `unchecked` says why it has no checks of its own."""

    schema: str
    facts: OperatorFacts
    checks: tuple[ArgumentCheck, ...]
    unchecked: str


# Filled when the families are imported, at the first question: they import this module themselves.
_ENTRIES: dict[str, OperatorEntry] = {}
_OPERATORS: dict[str, Operator] = {}
"""The entries whose schema has been read."""
_PRICES: dict[str, Price] = {}
_KINDS: dict[str, str] = {}
_SUPERSEDED: dict[str, dict[int, Price]] = {}
"""By overload: the last version of the standard that a former price is for, and the price."""


def operators(
    *,
    check: ArgumentCheck | tuple[ArgumentCheck, ...] | str,
    kind: str = "",
    guard: str | None = None,
    exact: bool = False,
    by_origin: bool = False,
    draws_by_value: bool = False,
    makes_complex: bool = False,
    dims: str = "",
    literal: str = "",
    writes: str = "",
    dynamic_if: Callable[[Mapping[str, Argument]], bool] | None = None,
) -> Callable[[str], Callable[[Price], Price]]:
    """Enter operators that a submission may call, as in `operators(check=…)(schemas)(price)`.

    `schemas` has a line for all operators of one schema: `relu[_] abs(Tensor self) -> Tensor : pointwise`. An
    indented line goes on with the one before. See `each`, and `schema.parse` for the grammar.

    Args:
        check: the checks of their own, in this order, or the reason why they need none.
        kind: what they do if they do no arithmetic of their own: one of MOVING, `factory`, `draw`, `list`.
        guard: see `OperatorFacts`, as for all that follow.
        exact: see `OperatorFacts`.
        by_origin: see `OperatorFacts`.
        draws_by_value: see `OperatorFacts`.
        makes_complex: see `OperatorFacts`.
        dims: see `OperatorFacts`.
        literal: the names in one string.
        writes: the names in one string.
        dynamic_if: see `OperatorFacts`.

    Raises:
        ValueError: one of them is in the table already.
    """
    names = frozenset(literal.split()), frozenset(writes.split())
    facts = OperatorFacts(guard, exact, by_origin, draws_by_value, makes_complex, dims, *names, dynamic_if)
    unchecked = check if isinstance(check, str) else ""
    checks = () if isinstance(check, str) else check if isinstance(check, tuple) else (check,)

    def of(schemas: str) -> Callable[[Price], Price]:
        def enter(price: Price) -> Price:
            for name, schema in each(schemas):
                # This first: it raises for a name that is there already, and the earlier entry must stay.
                _bind(name, price, kind)
                _ENTRIES[name] = OperatorEntry(schema, facts, checks, unchecked)
            return price

        return enter

    return of


def each(schemas: str) -> Iterator[tuple[str, str]]:
    """Full name and schema of every operator of such a text. `relu[_]` stands for `relu` and for `relu_`."""
    for line in re.sub(r"\n\s+", " ", cleandoc(schemas)).splitlines():
        names, _, rest = line.partition("(")
        for name in names.split():
            yield _named(name.replace("[_]", ""), rest)
            if "[_]" in name:
                yield _named(name.replace("[_]", "_"), _in_place(rest))


def _named(name: str, rest: str) -> tuple[str, str]:
    base, _, overload = name.partition(".")
    return f"aten.{base}.{overload or 'default'}", f"aten::{name}({rest}"


def _in_place(rest: str) -> str:
    """The parameters and returned values of the form that writes `self`."""
    if "Tensor[] self" in rest:
        return rest.replace("Tensor[] self", "Tensor(a!)[] self", 1).replace("-> Tensor[]", "-> ()")
    return rest.replace("Tensor self", "Tensor(a!) self", 1).replace("-> Tensor", "-> Tensor(a!)")


def plain(like: str | Price, *names: str) -> None:
    """Enter operators that only plain PyTorch dispatches.

    Args:
        like: the overload that they cost as much as, and are like; or a price.
        names: full names.

    Raises:
        ValueError: one of them is in the table already.
    """
    # A schema without parameters: `each` turns the short name into the full one.
    ((model, _),) = each(f"{like}()") if isinstance(like, str) else (("", ""),)
    for name in names:
        _bind(name, _PRICES[model] if isinstance(like, str) else like, _KINDS.get(model, ""))


def _bind(name: str, price: Price, kind: str) -> None:
    if name in _PRICES:
        raise ValueError(f"{name} is in the table already")
    _PRICES[name] = price
    if kind:
        _KINDS[name] = kind


def superseded(last: int, *names: str) -> Callable[[Price], Price]:
    """Bind a price that overloads had up to a version of the standard, as in `@superseded(1, "aten.mm.out")`.

    Raises:
        ValueError: one of them has no present price, or has a former one for that version already.
    """

    def bind(function: Price) -> Price:
        for name in names:
            if name not in _PRICES:
                raise ValueError(f"{name} has a former price but no present one")
            if last in _SUPERSEDED.setdefault(name, {}):
                raise ValueError(f"{name} is priced twice up to version {last}")
            _SUPERSEDED[name][last] = function
        return function

    return bind


@cache
def _fill() -> None:
    """Import the families, which fill the table: at the first question, as they import this module."""
    # It imports `plain`, and that imports every family: a former price needs a present one.
    import_module("haet_eval.operators.version_1")


def lookup(name: str) -> Operator | None:
    """The operator of that name, or None if no submission may call it."""
    _fill()
    found = _OPERATORS.get(name)
    # Schemas are read when they are asked for: a training uses few of some 900, and reading all takes time at
    # the start.
    if found is None and (entry := _ENTRIES.get(name)):
        found = _OPERATORS[name] = parse(entry.schema, entry.facts)
    return found


def entries() -> Mapping[str, OperatorEntry]:
    """All entries by name."""
    _fill()
    return _ENTRIES


def allowed_operators() -> frozenset[str]:
    """The names of all operators that a submission may call."""
    _fill()
    return frozenset(_ENTRIES)


def priced_operators() -> frozenset[str]:
    """Every overload that has a price."""
    _fill()
    return frozenset(_PRICES)


def kind_of(name: str) -> str:
    """The kind of an operator that does no arithmetic; empty for all others."""
    _fill()
    return _KINDS.get(name, "")


def of_kind(*kinds: str) -> frozenset[str]:
    """All operators of these kinds."""
    _fill()
    return frozenset(name for name, kind in _KINDS.items() if kind in kinds)


def price_function(name: str) -> Price | None:
    """The price of an overload under the current version of the standard; None if it has no price."""
    _fill()
    former = _SUPERSEDED.get(name, {})
    # The earliest of the former prices that still held: a price may have changed more than once.
    last = min((last for last in former if last >= current()), default=None)
    return _PRICES.get(name) if last is None else former[last]


def present_price(name: str) -> Price | None:
    """The price of an overload under the present version of the standard, whichever is current."""
    _fill()
    return _PRICES.get(name)


def former_prices() -> dict[tuple[str, int], Price]:
    """Every price that is no longer the present one: by overload and the last version that it is for."""
    _fill()
    return {(name, last): one for name, former in _SUPERSEDED.items() for last, one in former.items()}


def formula(name: str) -> str | None:
    """The price of an overload in words, the first paragraph of its documentation; None without a price."""
    function = price_function(name)
    return None if function is None else " ".join((function.__doc__ or "").split("\n\n")[0].split())


def family_of(name: str) -> str | None:
    """The family of operators that an overload is priced with, as in `convolution`; None without a price."""
    function = present_price(name)
    return None if function is None else function.__module__.rpartition(".")[2]


def overloads(operators: str, suffixes: str) -> tuple[str, ...]:
    """Full names of every operator with every suffix, as in `overloads("relu abs", ".default _.default")`."""
    return tuple(f"aten.{name}{suffix}" for name in operators.split() for suffix in suffixes.split())
