"""Properties of dtypes: which casts may change a value, and how wide the numbers are."""

from dataclasses import dataclass
from functools import cache
from typing import Final

DTYPES: Final = (
    *("bool", "uint8", "int8", "int16", "int32", "int64"),
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
)
"""Those that a tensor of a submission may have, in the order of their numbers on the wire."""

FORMATS: Final = ("contiguous_format", "preserve_format", "channels_last", "channels_last_3d")
"""Memory formats, in the order of their numbers on the wire."""

MAX_DIMENSIONS: Final = 64
"""The most dimensions that a tensor of a submission may have."""


@dataclass(frozen=True, slots=True)
class NumberRange:
    """The finite numbers of a dtype: those of `digits` binary digits between two powers of two.

    Integers hold every whole number of that many digits, below 0 as well if `signed`. The smallest number
    of a float is 2**lowest, and all of its numbers are below 2**highest.
    """

    bytes: int
    digits: int
    signed: bool = True
    lowest: int = 0
    highest: int = 0

    @property
    def is_integer(self) -> bool:
        """Whether it holds whole numbers only; truth values count as such."""
        return not self.highest


def name_of(torchs: object) -> str:
    """The name of one of torch's dtypes, formats or layouts without the module, as in `float32`."""
    return str(torchs).removeprefix("torch.")


RANGES: Final = {
    "bool": NumberRange(1, 1, signed=False),
    "uint8": NumberRange(1, 8, signed=False),
    "uint16": NumberRange(2, 16, signed=False),
    "uint32": NumberRange(4, 32, signed=False),
    "uint64": NumberRange(8, 64, signed=False),
    "int8": NumberRange(1, 7),
    "int16": NumberRange(2, 15),
    "int32": NumberRange(4, 31),
    "int64": NumberRange(8, 63),
    "float8_e5m2": NumberRange(1, 3, lowest=-16, highest=16),
    "float8_e4m3fn": NumberRange(1, 4, lowest=-9, highest=9),
    "float8_e5m2fnuz": NumberRange(1, 3, lowest=-17, highest=16),
    "float8_e4m3fnuz": NumberRange(1, 4, lowest=-10, highest=8),
    "float16": NumberRange(2, 11, lowest=-24, highest=16),
    "bfloat16": NumberRange(2, 8, lowest=-133, highest=128),
    "float32": NumberRange(4, 24, lowest=-149, highest=128),
    "float64": NumberRange(8, 53, lowest=-1074, highest=1024),
}
"""IEEE 754-2019 gives float16 to float64; the names of the others have their exponent and fraction."""

_PARTS: Final = {"complex32": "float16", "complex64": "float32", "complex128": "float64"}

INTEGERS: Final = frozenset(name for name, held in RANGES.items() if held.is_integer)
"""Dtypes of whole numbers, and of truth values."""

# A dtype that this table does not know must not be a cheap one.
_WIDEST: Final = 8


def part(dtype: str) -> str:
    """The dtype of a complex number's two parts; a real dtype itself."""
    return _PARTS.get(dtype, dtype)


def is_complex(dtype: str) -> bool:
    """Whether a number of this dtype has two parts."""
    return dtype in _PARTS


def is_double(dtype: str) -> bool:
    """Whether it is a float of 64 bits, or a complex number of two."""
    return dtype in {"float64", "complex128"}


def width(dtype: str) -> int:
    """Bytes of one real number; an unknown dtype is taken for the widest."""
    held = RANGES.get(part(dtype))
    return held.bytes if held else _WIDEST


def item_bytes(dtype: str) -> int:
    """Bytes of one element.

    Raises:
        KeyError: there is no such dtype.
    """
    return RANGES[part(dtype)].bytes * (2 if is_complex(dtype) else 1)


@cache
def may_change(source: str, target: str) -> bool:
    """Whether a cast can change a number. For an unknown dtype the answer is yes."""
    if source == target:
        return False
    # The imaginary part is lost.
    if is_complex(source) and not is_complex(target):
        return True
    one, other = RANGES.get(part(source)), RANGES.get(part(target))
    return one is None or other is None or not _contains(other, one)


def _contains(large: NumberRange, small: NumberRange) -> bool:
    if small.digits > large.digits or (small.signed and not large.signed):
        return False
    if large.is_integer:
        return small.is_integer
    # A float holds whole numbers up to its digits, if its exponent reaches that far.
    if small.is_integer:
        return small.digits < large.highest
    return large.lowest <= small.lowest and small.highest <= large.highest
