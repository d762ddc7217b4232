"""Operations by the dtype that they are computed in, and the same weighted by its width.

The dtype of a call is that of its widest arithmetic operand. Indices, labels and masks are not arithmetic
operands, and neither are Python numbers. A tensor without dimensions does not widen others of its kind, as in
PyTorch's promotion (https://docs.pytorch.org/docs/stable/tensor_attributes.html#type-promotion-doc). An
operator that makes floats of integers computes in these floats: PyTorch converts its operands to them first.
Products of integers count as their operands, whatever they are summed in. A draw has no operand: it has the
dtype of what it draws.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from haet_eval.counting.histogram import HistogramEntry
from haet_eval.operators.dtypes import INTEGERS, is_complex, part, width
from haet_eval.operators.foreach import parts_of
from haet_eval.operators.pricing.evaluate import price_of
from haet_eval.operators.pricing.width import arithmetic_operands
from haet_eval.operators.signature import Signature, TensorMeta, tensors_in

_BITS: Final = 8
_NOTHING: Final = "float32"
"""The dtype of a call without any tensor, which no priced operator is."""


def bits(dtype: str) -> int:
    """Width in bits of one real number of this dtype: 8 of a truth value, a part's of a complex number."""
    return _BITS * width(dtype)


def operations_by_dtype(entries: Iterable[HistogramEntry]) -> dict[str, int]:
    """Priced operations of a histogram by dtype, in the order of their names; the unpriced are left out.

    They add up to the total of the bill under the same version of the standard.
    """
    found: Counter[str] = Counter()
    for entry in entries:
        price = price_of(entry.signature)
        for dtype, operations in _shares(entry.signature, price or 0):
            found[dtype] += operations * entry.total_calls
    return {dtype: found[dtype] for dtype in sorted(found) if found[dtype]}


def bit_operations(by_dtype: Mapping[str, int]) -> int:
    """The sum of operations times width in bits."""
    return sum(operations * bits(dtype) for dtype, operations in by_dtype.items())


def computed_in(signature: Signature) -> str:
    """The dtype that a call is computed in, as in `float32`."""
    taken = list(arithmetic_operands(signature)) or list(tensors_in(signature.outputs))
    result = next(tensors_in(signature.outputs), None)
    if not taken:
        return _NOTHING
    dtype = _widest(taken)
    floats = result is not None and result.dtype not in INTEGERS
    return part(result.dtype) if result and floats and dtype in INTEGERS else dtype


def _shares(signature: Signature, price: int) -> Iterator[tuple[str, int]]:
    """The operations of one call by dtype: those of a list tensor by tensor, and the rest as a whole."""
    # Only with a price: `parts_of` raises for a list of complex numbers that has none.
    for one, operations in parts_of(signature) if price else ():
        yield computed_in(one), operations
        price -= operations
    if price:
        yield computed_in(signature), price


def _widest(taken: list[TensorMeta]) -> str:
    """The widest dtype of tensors with dimensions, and of those without that are of a higher kind."""
    extended = [meta.dtype for meta in taken if meta.ndim]
    single = [meta.dtype for meta in taken if not meta.ndim]
    highest = max(map(_kind, extended), default=-1)
    counted = extended + [dtype for dtype in single if _kind(dtype) > highest]
    return max(counted, key=lambda dtype: (width(dtype), _kind(dtype), dtype))


def _kind(dtype: str) -> int:
    """PyTorch's categories in the order of promotion: truth values, integers, floats, complex numbers."""
    if dtype in INTEGERS:
        return int(dtype != "bool")
    return 2 + is_complex(dtype)
