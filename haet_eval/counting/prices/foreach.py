"""Operators on lists of tensors: the sum over the list of the operator on one tensor."""

from collections.abc import Iterator, Mapping

from haet_eval.counting.prices import (  # noqa: F401  (bound before they are looked up)
    activations,
    matmul,
    movement,
    pointwise,
    reductions,
)
from haet_eval.counting.prices.complex_numbers import with_parts
from haet_eval.counting.prices.reductions import norm_operations
from haet_eval.counting.prices.table import Price, formula, lookup, overloads, price
from haet_eval.counting.prices.width import with_dtypes
from haet_eval.counting.signature import Argument, Signature, tensors_in

_UNARY = (
    "abs acos asin atan ceil cos cosh erf erfc exp expm1 floor frac lgamma log log10 log1p log2 neg "
    "reciprocal round rsqrt sigmoid sign sin sinh sqrt tan tanh trunc"
)

LISTS: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    # operators, suffix, the overload on one tensor, its names for the arguments
    (_UNARY, ".default", "aten.{}.default", {}),
    ("add sub mul div", ".List", "aten.{}.Tensor", {}),
    ("add mul div", ".Tensor", "aten.{}.Tensor", {}),
    ("add sub mul div", ".Scalar", "aten.{}.Scalar", {"scalar": "other"}),
    ("add sub mul div", ".ScalarList", "aten.{}.Scalar", {"scalars": "other"}),
    ("maximum minimum clamp_max clamp_min", ".List", "aten.{}.default", {}),
    ("maximum minimum clamp_max clamp_min", ".Scalar", "aten.{}.default", {"scalar": "other"}),
    ("maximum minimum clamp_max clamp_min", ".ScalarList", "aten.{}.default", {"scalars": "other"}),
    ("pow", ".List", "aten.{}.Tensor_Tensor", {}),
    ("pow", ".Scalar", "aten.{}.Tensor_Scalar", {}),
    ("pow", ".ScalarList", "aten.{}.Tensor_Scalar", {}),
    ("lerp", ".List", "aten.{}.Tensor", {"tensors1": "end", "weights": "weight"}),
    ("lerp", ".Scalar", "aten.{}.Scalar", {"tensors1": "end"}),
    ("lerp", ".ScalarList", "aten.{}.Scalar", {"tensors1": "end"}),
    ("addcmul addcdiv", ".Scalar", "aten.{}.default", {}),
    ("addcmul addcdiv", ".ScalarList", "aten.{}.default", {"scalars": "value"}),
    ("addcmul addcdiv", ".Tensor", "aten.{}.default", {"scalars": "value"}),
    ("max", ".default", "aten.{}.default", {}),
    ("mm", ".default", "aten.{}.default", {}),
    ("clone", ".default", "aten.{}.default", {}),
    ("copy", ".default", "aten.{}.default", {}),
    ("zero", ".default", "aten.{}.default", {}),
)
_OUT_OF_PLACE_ONLY = ("max", "mm", "clone")


def _singles(signature: Signature, operator: str, names: Mapping[str, str]) -> Iterator[Signature]:
    """The operator on one tensor, for each tensor of the list; numbers that are no list are repeated."""
    results = tuple(tensors_in(signature.outputs)) or signature.tensors("self")
    for position, result in enumerate(results):
        arguments: dict[str, Argument] = {"alpha": 1} | {
            names.get(name, name): value[position] if isinstance(value, tuple) else value
            for name, value in signature.arguments.items()
        }
        yield Signature(operator, arguments, (result,))


_PARTS: dict[str, tuple[str, Mapping[str, str]]] = {}


def singles_of(signature: Signature) -> Iterator[Signature]:
    """The operator on each tensor of a list; nothing for operators on no list."""
    operator, names = _PARTS.get(signature.operator, ("", {}))
    if lookup(operator) is not None:
        yield from _singles(signature, operator, names)


def parts_of(signature: Signature) -> Iterator[tuple[Signature, int]]:
    """The same with the operations of each.

    Raises:
        NoPrice: one of them has no price, as some have none for complex numbers.
    """
    for one in singles_of(signature):
        single = lookup(one.operator)
        assert single is not None
        yield one, with_dtypes(one, with_parts(one, single))


def _over_list(operator: str) -> Price:
    if lookup(operator) is None:
        raise KeyError(operator)

    def over_list(signature: Signature) -> int:
        return sum(operations for _, operations in parts_of(signature))

    over_list.__doc__ = f"For each tensor of the list: {formula(operator)}"
    return over_list


def _variants(operator: str, suffix: str) -> Iterator[str]:
    """The overload, in place and with an `out` argument."""
    yield f"aten._foreach_{operator}{suffix}"
    if operator != "mm":
        yield f"aten._foreach_{operator}{'.out' if suffix == '.default' else f'{suffix}_out'}"
    if operator not in _OUT_OF_PLACE_ONLY:
        yield f"aten._foreach_{operator}_{suffix}"


for _operators, _suffix, _single, _names in LISTS:
    for _operator in _operators.split():
        _PARTS.update(dict.fromkeys(_variants(_operator, _suffix), (_single.format(_operator), _names)))
        price(*_variants(_operator, _suffix))(_over_list(_single.format(_operator)))

BY_PART = frozenset(
    variant
    for operators, suffix, _, _ in LISTS
    for operator in operators.split()
    for variant in _variants(operator, suffix)
)
"""Operators whose dtypes are priced for each tensor of the list."""


@price("aten._foreach_pow.ScalarAndTensor")
def _power(signature: Signature) -> int:
    """One power for each element of each tensor."""
    return sum(meta.numel for meta in signature.tensors("exponent"))


@price(*overloads("_foreach_norm", ".Scalar .Scalar_out"))
def _norm(signature: Signature) -> int:
    """The sum over the list of the norm of each tensor."""
    return sum(norm_operations(meta.numel, 1, signature["ord"]) for meta in signature.tensors("self"))


@price(*overloads("_foreach_powsum", ".Scalar .Scalar_out"))
def _sum_of_powers(signature: Signature) -> int:
    """Σ|x|ᵖ: a norm without its root."""
    order = signature["ord"]
    rooted = order not in (0, 1, float("inf"), float("-inf"))
    return sum(norm_operations(meta.numel, 1, order) - rooted for meta in signature.tensors("self"))
