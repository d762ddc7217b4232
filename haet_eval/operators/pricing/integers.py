"""Exact integer arithmetic that several prices share."""

from haet_eval.operators.dtypes import is_complex
from haet_eval.operators.signature import TensorMeta


def ceiling_log2(number: int) -> int:
    """⌈log₂ number⌉; 0 below 2."""
    return (number - 1).bit_length() if number > 1 else 0


def ceiling_division(dividend: int, divisor: int) -> int:
    """⌈dividend / divisor⌉."""
    return -(-dividend // divisor)


def real_scalars(meta: TensorMeta) -> int:
    """Real numbers that a tensor holds: its elements, complex ones twice."""
    return meta.numel * (2 if is_complex(meta.dtype) else 1)


def row_length(meta: TensorMeta, dim: int) -> int:
    """Elements of a row along a dimension; a scalar is a row of one."""
    return meta.shape[dim] if meta.shape else 1


def rows(meta: TensorMeta, dim: int) -> int:
    """Rows along a dimension."""
    return meta.numel // length if (length := row_length(meta, dim)) else 0
