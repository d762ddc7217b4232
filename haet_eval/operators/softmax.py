"""Softmax and log-softmax. n = elements, R = rows."""

from haet_eval.operators.checking.call import Call
from haet_eval.operators.checking.shapes import same_dtype, same_shape
from haet_eval.operators.pricing.integers import rows
from haet_eval.operators.signature import Signature
from haet_eval.operators.table import BY_KERNEL, operators


def softmax_backward(call: Call) -> None:
    same_shape(call, "grad_output", "output")
    same_dtype(call, "grad_output", "output")


def _rows(signature: Signature) -> int:
    (dim,) = signature.integers("dim")
    return rows(signature.out, dim)


# The test of `_safe_softmax` for rows that are masked throughout is a guard, and guards cost nothing
# (decision 0011).
@operators(check=BY_KERNEL)("""
    _safe_softmax(Tensor self, int dim, ScalarType? dtype=None) -> Tensor
    _softmax(Tensor self, int dim, bool half_to_float) -> Tensor
""")
def _softmax(signature: Signature) -> int:
    """5n − 2R for R rows: maximum m, difference, exponential, sum, quotient."""
    return 5 * signature.out.numel - 2 * _rows(signature)


@operators(check=BY_KERNEL)("_log_softmax(Tensor self, int dim, bool half_to_float) -> Tensor")
def _log_softmax(signature: Signature) -> int:
    """5n − R for R rows: maximum, difference, exponential, sum, logarithm, difference."""
    return 5 * signature.out.numel - _rows(signature)


@operators(check=softmax_backward)("""
    _log_softmax_backward_data _softmax_backward_data(Tensor grad_output, Tensor output, int dim, ScalarType
        input_dtype) -> Tensor
""")
def _backward(signature: Signature) -> int:
    """4n − R for R rows: y · (g − Σ g · y), or g − exp(y) · Σ g."""
    return 4 * signature.out.numel - _rows(signature)


def masked_softmax(signature: Signature) -> int:
    """A selection by the mask, then the softmax."""
    tensor = signature.out
    # Without a dimension PyTorch masks along the last one.
    dim = signature["dim"]
    along = dim if isinstance(dim, int) else tensor.ndim - 1
    return 6 * tensor.numel - 2 * rows(tensor, along)
