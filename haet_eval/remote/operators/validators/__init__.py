"""One small check per operator, by family, of the facts that its kernel takes for granted."""

from haet_eval.remote.operators.schema import Operator
from haet_eval.remote.operators.validators import (
    algebra,
    attention,
    convolution,
    factories,
    foreach,
    fourier,
    general,
    indexing,
    losses,
    norms,
    optimizers,
    pointwise,
    pooling,
    resampling,
    table,
    views,
)
from haet_eval.remote.operators.validators.table import Validator

__all__ = ["FAMILIES", "validators_of"]

FAMILIES = (
    algebra,
    attention,
    convolution,
    factories,
    fourier,
    indexing,
    losses,
    norms,
    optimizers,
    pointwise,
    pooling,
    resampling,
    views,
)
"""Importing them fills the table."""

_GENERAL: tuple[Validator, ...] = (
    general.dimensions_exist,
    general.reduction_exists,
    general.memory_is_ordinary,
    general.complex_halves_do_not_exist,
)


def validators_of(operator: Operator) -> tuple[Validator, ...]:
    """The checks of an operator, those that hold for many first."""
    checks = list(_GENERAL)
    if "pointwise" in operator.tags:
        checks.append(pointwise.broadcasts)
    if operator.base.startswith("_foreach_"):
        checks.append(foreach.lists_match)
    return (*checks, *table.validators_of(operator))
