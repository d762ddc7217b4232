"""Dtypes as the counting standard sees them: their width, what they hold, which casts change a value."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import product
from typing import Final

from haet_eval.counting.signature import TensorMeta


class Kind(IntEnum):
    """What numbers a dtype holds; each kind holds those before it, but for their precision."""

    TRUTH = 0
    INTEGER = 1
    FLOAT = 2
    COMPLEX = 3


@dataclass(frozen=True, slots=True)
class Dtype:
    """One dtype.

    `digits` are the bits of the largest integer up to which it holds every integer (of either part of a
    complex number): 7 for int8, which has a sign, 24 for float32. `range_bits` are the bits of the exponent.
    """

    kind: Kind
    bytes: int
    digits: int
    signed: bool = True
    range_bits: int = 0

    @property
    def parts(self) -> int:
        """Real numbers in an element."""
        return 2 if self.kind is Kind.COMPLEX else 1


DTYPES: Final = {
    "bool": Dtype(Kind.TRUTH, 1, 1, signed=False),
    "uint8": Dtype(Kind.INTEGER, 1, 8, signed=False),
    "int8": Dtype(Kind.INTEGER, 1, 7),
    "int16": Dtype(Kind.INTEGER, 2, 15),
    "int32": Dtype(Kind.INTEGER, 4, 31),
    "int64": Dtype(Kind.INTEGER, 8, 63),
    "float16": Dtype(Kind.FLOAT, 2, 11, range_bits=5),
    "bfloat16": Dtype(Kind.FLOAT, 2, 8, range_bits=8),
    "float32": Dtype(Kind.FLOAT, 4, 24, range_bits=8),
    "float64": Dtype(Kind.FLOAT, 8, 53, range_bits=11),
    "complex64": Dtype(Kind.COMPLEX, 8, 24, range_bits=8),
    "complex128": Dtype(Kind.COMPLEX, 16, 53, range_bits=11),
}
"""The dtypes that a tensor of a submission can have, narrow before wide within each kind."""

WIDE: Final = frozenset({"float64", "complex128"})
"""Floats of 64 bits: their arithmetic costs twice that of 32 bits."""

_FLOAT_OF_NUMBERS: Final = "float32"


def kind(dtype: str) -> Kind:
    """Its kind.

    Raises:
        LookupError: no tensor has such a dtype.
    """
    return DTYPES[dtype].kind


def is_integer(dtype: str) -> bool:
    """Whether it holds integers or truth values."""
    return kind(dtype) <= Kind.INTEGER


def _holds(target: Dtype, source: Dtype) -> bool:
    """Whether every value of one dtype is a value of the other."""
    if source.kind is Kind.TRUTH:
        return True
    if source.kind > target.kind or target.kind is Kind.TRUTH:
        return False
    if target.kind is Kind.INTEGER and source.signed and not target.signed:
        return False
    return source.digits <= target.digits and source.range_bits <= target.range_bits


def _cast(source: str, target: str) -> int:
    before, after = DTYPES[source], DTYPES[target]
    if source == target or _holds(after, before):
        return 0
    return min(before.parts, after.parts)


_CASTS: Final = {pair: _cast(*pair) for pair in product(DTYPES, DTYPES)}


def cast_operations(source: str, target: str) -> int:
    """Operations to cast one element: 1 if the cast can change a value, 0 if it cannot.

    Both parts of a complex number that becomes a narrower complex number change: 2.

    Raises:
        LookupError: no tensor has such a dtype.
    """
    return _CASTS[source, target]


def promoted(metas: Sequence[TensorMeta], *, with_float_number: bool = False) -> str:
    """The dtype in which PyTorch combines tensors.

    Those with dimensions decide; single numbers (without dimensions) do if they are of a higher kind.

    Args:
        metas: at least one.
        with_float_number: whether a Python float is combined with them.

    Source: the documentation of `torch.result_type`.
    """
    dimensioned = [meta.dtype for meta in metas if meta.shape]
    single = [meta.dtype for meta in metas if not meta.shape]
    found = _joined(dimensioned or single)
    if dimensioned and single and kind(_joined(single)) > kind(found):
        complex_floats = kind(found) is Kind.FLOAT
        found = _joined([found, "complex64"]) if complex_floats else _joined([found, *single])
    if with_float_number and is_integer(found):
        return _FLOAT_OF_NUMBERS
    return found


def _joined(dtypes: Iterable[str]) -> str:
    """The narrowest dtype that holds all values of these, but for the precision of integers in floats."""
    first, *others = dict.fromkeys(dtypes)
    for other in others:
        first = _JOINED[first, other]
    return first


def _join(left: str, right: str) -> str:
    one, two = DTYPES[left], DTYPES[right]
    highest = max(one.kind, two.kind)
    if one.kind is not two.kind and highest is not Kind.COMPLEX:
        return left if one.kind is highest else right
    if highest is Kind.COMPLEX:
        return "complex128" if WIDE & {left, right} else "complex64"
    able = (name for name, dtype in DTYPES.items() if dtype.kind is highest)
    return next(name for name in able if _holds(DTYPES[name], one) and _holds(DTYPES[name], two))


_JOINED: Final = {pair: _join(*pair) for pair in product(DTYPES, DTYPES)}
