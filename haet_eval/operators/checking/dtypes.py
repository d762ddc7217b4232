"""Groups of dtypes."""

from typing import Final

FLOATS: Final = frozenset({"float32", "float64", "bfloat16", "float16"})
COMPLEX: Final = frozenset({"complex64", "complex128"})
INDICES: Final = frozenset({"int64", "int32"})
INTEGERS: Final = frozenset({"int64", "int32", "int16", "int8", "uint8"})
