"""The part of a price for dtypes: casts, the width of integers, and bits.

The prices of the families take each element for one number. An integer can hold several: three products of 16
bits fit one product of int64. So an operator on integers costs its price for each byte of the widest, and a
bitwise one for each bit. A product of two packs multiplies each byte of one by each of the other, so it costs
its price for each such pair. A cast that may change a value is an operation, explicit or not.
docs/decisions/0112-casts-and-widths.md has the reasons.
"""

from collections.abc import Iterator
from typing import Final

from haet_eval.operators.dtypes import INTEGERS, is_complex, is_double, may_change, part, width
from haet_eval.operators.pricing.integers import ceiling_division
from haet_eval.operators.signature import Signature, TensorMeta, tensors_in
from haet_eval.operators.standard import current
from haet_eval.operators.table import MOVING, kind_of

BITWISE: Final = frozenset(
    {
        *("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not", "bitwise_left_shift"),
        *("bitwise_right_shift", "__lshift__", "__rshift__", "__ilshift__", "__irshift__"),
    }
)
"""Operators on the bits of integers, each of which is one result."""

MULTIPLYING: Final = frozenset(
    {
        *("mul", "multiply", "addcmul", "square", "pow", "prod", "cumprod", "cross", "linalg_cross"),
        *("mm", "bmm", "addmm", "addbmm", "baddbmm", "mv", "addmv", "dot", "vdot", "addr", "_trilinear"),
        *("convolution", "convolution_backward", "_int_mm", "_addmm_activation", "rrelu_with_noise_backward"),
        *("mse_loss_backward", "_foreach_pow"),
        *("div", "divide", "floor_divide", "remainder", "fmod", "gcd", "lcm"),
    }
)
"""Operators that multiply or divide numbers of their tensors by one another, or by a number."""

_PRODUCTS: Final = frozenset({"prod", "multiply"})
"""What the argument `reduce` says of scatters and indexed writes that multiply."""

_SCALES: Final = ("alpha", "beta", "divisor_override")
_FACTORS: Final = (*_SCALES, "self", "other", "value")
"""Arguments that may be a number by which a call multiplies."""

INDICES: Final = frozenset(
    {
        *("index", "indices", "maximum_indices", "sorter", "offsets", "offset2bag", "bag_size", "repeats"),
        *("lengths", "batch_sizes", "input_lengths", "target_lengths", "pivots", "LU_pivots", "state_steps"),
    }
)
"""Arguments that say where, how many or which step, and are not computed with."""

LABELS: Final = frozenset({"target", "targets", "is_target"})
_LOSSES_OF_CLASSES: Final = (
    "nll_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "_ctc_loss",
    "_use_cudnn_ctc",
)

COUNTED: Final = frozenset({"bincount", "_embedding_bag", "embedding_dense_backward"})
"""Operators whose own `self`, if they have one, is an index."""

REINTERPRETING: Final = frozenset({"aten.view.dtype", "aten.view_copy.dtype", "aten.view_copy.dtype_out"})

PARTS: Final = ("aten.view_as_real", "aten.view_as_complex")
"""Views of a complex number as its two parts, and of two numbers as one."""

_OUTPUTS: Final = ("out", "grad_input")


def with_dtypes(signature: Signature, price: int) -> int:
    """The operations of a call with its dtypes. Under version 1, which has no widths, `price` as it is.

    Args:
        signature: the call.
        price: the price of its family, which takes each element for one number.
    """
    if current() == 1:
        return price
    operands = list(arithmetic_operands(signature))
    result = next(tensors_in(signature.outputs), None)
    if kind_of(signature.operator) in MOVING:
        return price + (_moved(signature, operands, result) if result else 0)
    asked = signature.arguments.get("dtype")
    if isinstance(asked, str):
        return _in_dtype(signature, operands, price, asked)
    return _computed(signature, operands, price, result)


def arithmetic_operands(signature: Signature) -> Iterator[TensorMeta]:
    """The tensors that a call computes with or moves."""
    base = signature.operator.split(".")[1]
    for name, value in signature.arguments.items():
        if name in INDICES or name.startswith(_OUTPUTS):
            continue
        if (name in LABELS and base.startswith(_LOSSES_OF_CLASSES)) or (name == "self" and base in COUNTED):
            continue
        yield from tensors_in(value)


def _casts(operands: list[TensorMeta], dtype: str) -> int:
    """One for each element that is converted to a dtype which cannot hold every value of it."""
    return sum(meta.numel for meta in operands if may_change(meta.dtype, dtype))


def _moved(signature: Signature, operands: list[TensorMeta], result: TensorMeta) -> int:
    if signature.operator.startswith(PARTS):
        return 0
    if signature.operator not in REINTERPRETING:
        return _casts(operands, result.dtype)
    source = signature.tensor("self").dtype
    if source in INTEGERS and result.dtype in INTEGERS:
        return result.numel * may_change(source, result.dtype)
    # One operation for each element would leave a gain (decision 0112): one read and two views would give
    # four numbers.
    return result.numel * width(result.dtype) * (source != result.dtype)


def _in_dtype(signature: Signature, operands: list[TensorMeta], price: int, dtype: str) -> int:
    """A reduction or scan that converts its operand first; integers keep their width in a wider sum."""
    casts = _casts([meta for meta in operands if is_complex(meta.dtype) <= is_complex(dtype)], dtype)
    if dtype not in INTEGERS:
        return price * (1 + is_double(dtype)) + casts
    kept = [meta.dtype for meta in operands if not may_change(meta.dtype, dtype)]
    widest = max(map(width, kept or [dtype]))
    # A running product fills the wider numbers, unlike a sum.
    return price * widest * (width(dtype) if _multiplies(signature) else 1) + casts


def _computed(signature: Signature, operands: list[TensorMeta], price: int, result: TensorMeta | None) -> int:
    integers = [meta for meta in operands if meta.dtype in INTEGERS]
    floats = [meta for meta in operands if meta.dtype not in INTEGERS]
    as_float = None if result is None or result.dtype in INTEGERS else part(result.dtype)
    # A comparison of floats gives truth values: it computes in the floats that go in.
    if as_float is None and floats and (not integers or result is None or result.dtype == "bool"):
        as_float = _widest(floats)
    if as_float is None:
        return price * _of_integers(signature, integers, result)
    casts = _casts(integers, as_float)
    times = 1 + is_double(as_float)
    # What is written into narrower floats is computed in the double ones, and then converted.
    if result is not None and times == 1 and floats and is_double(_widest(floats)):
        times, casts = 2, casts + result.numel
    # Integers whose result is written into floats: the kernel may compute in integers first.
    if not floats and any(name.startswith(_OUTPUTS) for name in signature.arguments):
        times = max(times, _of_integers(signature, integers, result))
    return price * times + casts


def _of_integers(signature: Signature, integers: list[TensorMeta], result: TensorMeta | None) -> int:
    """How often an operator on integers costs its price."""
    widths = [width(meta.dtype) for meta in integers] or [1]
    name = signature.operator.split(".")[1]
    base = name.removesuffix("_")
    if name in BITWISE or base in BITWISE:
        # A truth value has one bit, whatever its byte could hold.
        return max(widths) * (1 if all(meta.dtype == "bool" for meta in integers) else 8)
    if not _multiplies(signature):
        # `x + alpha * y` multiplies too, and an average divides, mostly by a number of one byte.
        return max(widths) * max([1, *_bytes_of(signature, _SCALES)])
    # A power and a running product multiply the numbers of a tensor by one another.
    if base in ("prod", "cumprod") and result is not None:
        widths.append(width(result.dtype))
    if not base.endswith("pow"):
        widths += _bytes_of(signature, _FACTORS)
    first, *others = sorted(widths, reverse=True)
    return first * (others[0] if others else first)


def _multiplies(signature: Signature) -> bool:
    base = signature.operator.split(".")[1].removesuffix("_")
    return base in MULTIPLYING or signature.arguments.get("reduce") in _PRODUCTS


def _bytes_of(signature: Signature, names: tuple[str, ...]) -> list[int]:
    """How many bytes the literal integers among these arguments take."""
    values = [signature.arguments.get(name) for name in names]
    return [max(1, ceiling_division(value.bit_length(), 8)) for value in values if isinstance(value, int)]


def _widest(floats: list[TensorMeta]) -> str:
    """The dtype of the computation on floats: as in PyTorch, tensors without dimensions do not widen it."""
    return max((part(meta.dtype) for meta in floats if meta.ndim), key=width, default=part(floats[0].dtype))
