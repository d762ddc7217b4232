"""What a price becomes by the dtypes of a call: the width of integers and floats, bits, and casts.

Prices of operators are those on numbers of one byte or on 32-bit floats; this makes those of wider numbers
(docs/decisions/0112-casts-and-numbers-that-hold-several.md). It holds from version 2 of the standard on.
"""

from collections.abc import Sequence
from typing import Final

from haet_eval.counting.dtypes import DTYPES, WIDE, cast_operations, is_integer, promoted
from haet_eval.counting.prices.movement import ARRANGEMENTS, BOOKKEEPING, COPIES, FACTORIES, VIEWS
from haet_eval.counting.prices.random import DRAWS
from haet_eval.counting.prices.roles import values
from haet_eval.counting.prices.table import NoPrice, family
from haet_eval.counting.signature import AnyFloat, Signature, TensorMeta, tensors_in

_BITS_OF_A_BYTE: Final = 8
_WIDE_FLOAT: Final = 2

BITWISE: Final = frozenset(
    {
        *(f"bitwise_{name}" for name in ("and", "or", "xor", "not", "left_shift", "right_shift")),
        *("__lshift__", "__rshift__", "__ilshift__", "__irshift__"),
    }
)
"""Operators on bits, by base name without the underscore of those in place."""

_ANOTHER_FORM: Final = frozenset({"view_as_real", "view_as_complex", "complex"})
"""Two real numbers become a complex one, or the other way round, and no number changes."""

_NARROW: Final = frozenset({"float32", "bfloat16", "float16", "complex64"})
_FREE: Final = frozenset({*FACTORIES, *BOOKKEEPING, *DRAWS})
"""Operators to which the dtypes of their operands make no difference: they do not compute with them."""
OVER_LISTS: Final[set[str]] = set()
"""Operators on lists that are priced as so many calls on one tensor, each by its own dtypes (`foreach`)."""
_MOVEMENT: Final = frozenset({*VIEWS, *COPIES, *ARRANGEMENTS})


def by_width(signature: Signature, operations: int) -> int:
    """The price of a call, given the price that its operator has on numbers of one byte or of 32-bit floats.

    Raises:
        NoPrice: it has a dtype that no tensor of a submission has.
    """
    try:
        return _by_width(signature, operations)
    except KeyError:
        raise NoPrice(signature.operator) from None


def _by_width(signature: Signature, operations: int) -> int:
    if signature.operator in _FREE or signature.operator in OVER_LISTS:
        return operations
    operands = [*values(signature)]
    if not operands or _is_plain(signature, operands):
        return operations
    if signature.operator in _MOVEMENT:
        return operations + _moved(signature, operands)
    computed = _computed_in(signature, operands)
    operands = [
        one for one in operands if one.shape
    ] or operands  # a single number takes on the others' dtype
    casts = sum(cast_operations(one.dtype, computed) * one.numel for one in operands)
    if not is_integer(computed):
        factor = _WIDE_FLOAT if computed in WIDE else 1
    elif _is_counter(signature):
        factor = 1
    else:
        factor = _integer_factor(signature, operands, computed)
    return operations * factor + casts + _rounded(signature, computed)


def _is_plain(signature: Signature, operands: Sequence[TensorMeta]) -> bool:
    """Whether floats of one dtype of at most 32 bits go in and come out, as in most calls."""
    plain = operands[0].dtype
    return (
        plain in _NARROW
        and all(one.dtype == plain for one in operands)
        and all(one.dtype == plain for one in tensors_in(signature.outputs))
    )


def _moved(signature: Signature, operands: Sequence[TensorMeta]) -> int:
    """Casts of what is copied, joined or seen as another dtype; nothing else is done to it."""
    outputs = next(tensors_in(signature.outputs), None)
    if outputs is None or _base(signature) in _ANOTHER_FORM:
        return 0
    return sum(cast_operations(one.dtype, outputs.dtype) * one.numel for one in operands)


def _computed_in(signature: Signature, operands: Sequence[TensorMeta]) -> str:
    """The dtype that the operands are cast to before they are computed with."""
    if (named := _dtype(signature)) is not None:
        return named
    number = isinstance(signature.arguments.get("other"), float | AnyFloat)
    found = promoted(operands, with_float_number=number)
    output = next(tensors_in(signature.outputs), None)
    if output is not None and is_integer(found) and not is_integer(output.dtype):
        return output.dtype  # a true division, a root, a product with a Python float
    return found


def _dtype(signature: Signature) -> str | None:
    """The dtype that an operator is told to compute in."""
    named = signature.arguments.get("dtype")
    return named if isinstance(named, str) and named in DTYPES else None


def _integer_factor(signature: Signature, operands: Sequence[TensorMeta], computed: str) -> int:
    """Bytes of the widest integer that is computed with, or its bits."""
    width = _integer_bytes(signature, operands)
    if _base(signature) not in BITWISE:
        return width
    return 1 if computed == "bool" and width == 1 else width * _BITS_OF_A_BYTE


def _integer_bytes(signature: Signature, operands: Sequence[TensorMeta]) -> int:
    """Bytes of the widest. A dtype that is named casts first; truth values and Python integers give int64."""
    widest = max(DTYPES[one.dtype].bytes for one in operands)
    if (named := _dtype(signature)) is not None:
        narrowing = any(cast_operations(one.dtype, named) for one in operands)
        return DTYPES[named].bytes if narrowing else min(widest, DTYPES[named].bytes)
    if family(signature.operator) == "pointwise" and all(one.dtype == "bool" for one in operands):
        return max(widest, *(DTYPES[one.dtype].bytes for one in tensors_in(signature.outputs)))
    return widest


def _is_counter(signature: Signature) -> bool:
    """Whether a single integer goes up by the literal 1, as the count of batches of a norm does."""
    if _base(signature) != "add" or signature.tensor("self").shape or signature["alpha"] != 1:
        return False
    return signature["other"] == 1 and not isinstance(signature["other"], bool)


def _rounded(signature: Signature, computed: str) -> int:
    """The cast of a result that is written into a tensor of a dtype which does not hold it."""
    in_place = signature.operator.split(".")[1].endswith("_")
    if family(signature.operator) != "pointwise" or not (in_place or "out" in signature.arguments):
        return 0
    return sum(cast_operations(computed, one.dtype) * one.numel for one in tensors_in(signature.outputs))


def _base(signature: Signature) -> str:
    """The operator's name without namespace, overload and the underscore of an operator in place."""
    name = signature.operator.split(".")[1]
    return name if name.endswith("__") else name.rstrip("_")
