"""Softmax and log-softmax. n = elements, R = rows."""

from haet_eval.counting.prices.table import overloads, price
from haet_eval.counting.signature import Signature, TensorMeta

_FUNCTION = ".default .out"


def rows(tensor: TensorMeta, dim: int) -> int:
    """How many rows run along that dimension; a scalar is one row."""
    return tensor.numel // max(1, tensor.shape[dim]) if tensor.ndim else 1


def _rows(signature: Signature) -> int:
    (dim,) = signature.integers("dim")
    return rows(signature.out, dim)


@price(*overloads("_softmax", _FUNCTION), "aten._safe_softmax.default", "aten.softmax.int_out")
def _softmax(signature: Signature) -> int:
    """5n − 2R for R rows: maximum m, difference, exponential, sum, quotient."""
    return 5 * signature.out.numel - 2 * _rows(signature)


@price(*overloads("_log_softmax", _FUNCTION), "aten.log_softmax.int_out")
def _log_softmax(signature: Signature) -> int:
    """5n − R for R rows: maximum, difference, exponential, sum, logarithm, difference."""
    return 5 * signature.out.numel - _rows(signature)


@price(
    *overloads("_softmax_backward_data", ".default .out"),
    *overloads("_log_softmax_backward_data", ".default .out"),
)
def _backward(signature: Signature) -> int:
    """4n − R for R rows: y · (g − Σ g · y), or g − exp(y) · Σ g."""
    return 4 * signature.out.numel - _rows(signature)


@price(*overloads("_masked_softmax", _FUNCTION))
def _masked_softmax(signature: Signature) -> int:
    """A selection by the mask, then the softmax."""
    tensor = signature.out
    dim = signature["dim"]
    along = dim if isinstance(dim, int) else tensor.ndim - 1
    return 6 * tensor.numel - 2 * rows(tensor, along)
