"""Checks of values for CPU kernels that trust them. The meter cannot check values: it knows only shapes.

The kernels of a GPU check these values themselves, so these guards do nothing there.
"""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, Final, TypeAlias

import torch

from haet_eval.operators.table import lookup

# No tensor may have more elements.
LARGEST_TOTAL: Final = 2**33
LARGEST_COORDINATE: Final = 2**24
Guard: TypeAlias = Callable[[Mapping[str, Any]], None]


class BadValue(Exception):
    """A tensor holds a value that the kernel would take for an address. The message names no value."""


def guarded(operator: Any) -> Callable[..., Any]:
    """An overload of `torch.ops.aten` that checks values first, or the overload itself if it needs no check.

    A call raises BadValue, or an error of the operator.
    """
    schema, known = operator._schema, lookup(str(operator))
    if known is None or known.facts.guard is None:
        return operator  # type: ignore[no-any-return]
    guard = GUARDS[known.facts.guard]
    names = [argument.name for argument in schema.arguments]
    defaults = {a.name: a.default_value for a in schema.arguments if a.has_default_value()}

    def run(*positional: Any, **named: Any) -> Any:
        guard({**defaults, **dict(zip(names, positional, strict=False)), **named})
        return operator(*positional, **named)

    return run


def _class_numbers(arguments: Mapping[str, Any]) -> None:
    scores, target = arguments["self"], arguments["target"]
    # A loss of one sample has scores without a dimension for the batch.
    classes = scores.shape[1] if scores.ndim in {2, 4} else scores.numel()
    ignored = arguments.get("ignore_index")
    within = _within(target, 0, classes)
    _require(within if ignored is None else within | (target == ignored), "target")


def _label_numbers(arguments: Mapping[str, Any]) -> None:
    scores, target = arguments["self"], arguments["target"]
    _require(_within(target, -1, scores.shape[-1] if scores.ndim else 1), "target")


def _embedded(arguments: Mapping[str, Any]) -> None:
    _require(_within(arguments["indices"], 0, arguments["num_weights"]), "indices")


def _chosen(dimensions: int) -> Guard:
    """The places of maxima must lie in the plane. A window all in the padding gives a place outside of it."""

    def check(arguments: Mapping[str, Any]) -> None:
        _require(_within(arguments["indices"], 0, prod(arguments["self"].shape[-dimensions:])), "indices")

    return check


def _pivots(arguments: Mapping[str, Any]) -> None:
    _require(_within(arguments["pivots"], 1, arguments["LU"].shape[-2] + 1), "pivots")


def _repeats(arguments: Mapping[str, Any]) -> None:
    repeats = arguments["repeats"]
    _require(_within(repeats, 0, LARGEST_TOTAL), "repeats")
    # In float64, as a sum of integers could overflow and seem small.
    _require(repeats.double().sum() <= LARGEST_TOTAL, "repeats")


def _grid(arguments: Mapping[str, Any]) -> None:
    """NaN, and an infinity that is reflected, become any address. NaN fails this comparison as well."""
    _require(arguments["grid"].abs() < LARGEST_COORDINATE, "grid")


def _quotients(arguments: Mapping[str, Any]) -> None:
    """The least integer divided by -1 makes the processor raise a trap, which ends the process.

    The guard first converts a number or a tensor without dimensions to the dtype of the quotient, as the
    kernel does: 2³² − 1 becomes -1 if the other operand is of int32.
    """
    numbers = [arguments.get(name) for name in ("self", "other")]
    tensors = [number for number in numbers if isinstance(number, torch.Tensor)]
    if any(tensor.is_floating_point() or tensor.is_complex() for tensor in tensors):
        return
    dividend, divisor = (torch.as_tensor(number) for number in numbers)
    if dividend.is_floating_point() or divisor.is_floating_point():
        return
    dtype = torch.result_type(arguments["self"], arguments["other"])
    if dtype.is_signed:
        # Not by pairs, as the operands may broadcast: one least integer and one -1 anywhere are refused
        # together.
        least = dividend.to(dtype) == torch.iinfo(dtype).min
        _require(~(least.any() & (divisor.to(dtype) == -1).any()), "self")


def _magnitudes(arguments: Mapping[str, Any]) -> None:
    """The least integer has no absolute value."""
    for name in ("self", "other"):
        tensor = arguments[name]
        if tensor.dtype.is_signed:
            _require(tensor != torch.iinfo(tensor.dtype).min, name)


def _within(values: torch.Tensor, low: int, high: int) -> torch.Tensor:
    return (values >= low) & (values < high)


def _require(holds: torch.Tensor, name: str) -> None:
    # On a GPU the test would wait for all kernels before it; its kernels check these values themselves.
    if holds.device.type == "cpu" and not bool(holds.all()):
        raise BadValue(f"{name} holds a value that is out of range")


GUARDS: Final[dict[str, Guard]] = {
    "class_numbers": _class_numbers,
    "label_numbers": _label_numbers,
    "embedded": _embedded,
    "chosen_in_plane": _chosen(2),
    "chosen_in_space": _chosen(3),
    "pivots": _pivots,
    "repeats": _repeats,
    "grid": _grid,
    "quotients": _quotients,
    "magnitudes": _magnitudes,
}
"""By the names that the entries of operators give them."""
