"""The table of validators: overload name, or base name for all overloads, to checks of a call."""

from collections.abc import Callable
from typing import TypeAlias

from haet_eval.remote.operators.call import Call
from haet_eval.remote.operators.schema import Operator

Validator: TypeAlias = Callable[[Call], None]

_VALIDATORS: dict[str, list[Validator]] = {}


def validator(*operators: str) -> Callable[[Validator], Validator]:
    """Bind a check to operators, as in `@validator("native_layer_norm", "aten.clamp.Tensor")`.

    An operator may have several; they run in the order in which they are bound.
    """

    def add(function: Validator) -> Validator:
        for operator in operators:
            _VALIDATORS.setdefault(operator, []).append(function)
        return function

    return add


def validators_of(operator: Operator) -> tuple[Validator, ...]:
    """The checks of an operator: those of all its overloads first."""
    return (*_VALIDATORS.get(operator.base, ()), *_VALIDATORS.get(operator.name, ()))


def names() -> frozenset[str]:
    """Every name to which a check is bound."""
    return frozenset(_VALIDATORS)
