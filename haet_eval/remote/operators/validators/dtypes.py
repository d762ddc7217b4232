"""Groups of dtypes."""

from typing import Final

FLOATS: Final = frozenset({"float32", "float64", "bfloat16", "float16"})
COMPLEX: Final = frozenset({"complex64", "complex128"})
INDICES: Final = frozenset({"int64", "int32"})
INTEGERS: Final = frozenset({"int64", "int32", "int16", "int8", "uint8"})
ITEM_BYTES: Final = {
    "float32": 4,
    "float64": 8,
    "bfloat16": 2,
    "float16": 2,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
    "complex64": 8,
    "complex128": 16,
}
