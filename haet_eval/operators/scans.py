"""Cumulative sums, products and extrema: one step for each element after the first of its row."""

from haet_eval.operators.pointwise import real_or_complex
from haet_eval.operators.signature import Signature
from haet_eval.operators.table import BY_KERNEL, operators


def _steps(signature: Signature) -> int:
    """Elements, less one for each row."""
    tensor = signature.tensor("self")
    # A scalar has no dimension to look up, and a row of no elements no first one.
    if tensor.numel == 0 or tensor.ndim == 0:
        return 0
    (dim,) = signature.integers("dim")
    return tensor.numel - tensor.numel // tensor.shape[dim]


@operators(check=BY_KERNEL)("""
    cumsum[_](Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor
""")
def _cumulative_sum(signature: Signature) -> int:
    """|in| − R: one addition for each element after the first of its row."""
    return _steps(signature) * real_or_complex(signature, 1, 2)


@operators(check=BY_KERNEL)("""
    cumprod[_](Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor
""")
def _cumulative_product(signature: Signature) -> int:
    """|in| − R: one product for each element after the first of its row."""
    return _steps(signature) * real_or_complex(signature, 1, 6)


@operators(check=BY_KERNEL)("cummax cummin(Tensor self, int dim) -> (Tensor values, Tensor indices)")
def _cumulative_extremum(signature: Signature) -> int:
    """|in| − R: one comparison for each element after the first of its row."""
    return _steps(signature)


@operators(check=BY_KERNEL)("logcumsumexp(Tensor self, int dim) -> Tensor")
def _cumulative_logsumexp(signature: Signature) -> int:
    """The logsumexp of two for each step: maximum, two differences, two exponentials, sum, logarithm, sum."""
    return _steps(signature) * real_or_complex(signature, 8, None)
