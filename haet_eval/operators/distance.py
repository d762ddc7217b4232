"""Distances between rows of M numbers, by the definition of the p-norm of their difference."""

from dataclasses import replace
from math import inf

from haet_eval.operators.checking.call import Call
from haet_eval.operators.checking.dtypes import FLOATS
from haet_eval.operators.checking.shapes import broadcast, has_shape, same_dtype
from haet_eval.operators.signature import Argument, Signature
from haet_eval.operators.table import BY_KERNEL, operators


def cdist_backward(call: Call) -> None:
    one, two = call.tensor("x1"), call.tensor("x2")
    call.require(one.ndim >= 2 and two.ndim >= 2, "x1 and x2 must be matrices")
    call.require(one.dtype in FLOATS, "x1 must be floats")
    call.require(one.shape[-1] == two.shape[-1], "x1 and x2 must have as many columns")
    same_dtype(call, "x1", "x2", "grad_output", "cdist")
    # Only the batches broadcast: the last two dimensions are rows and columns.
    batches = broadcast(call, [replace(tensor, shape=tensor.shape[:-2]) for tensor in (one, two)])
    for name in ("grad_output", "cdist"):
        has_shape(call, name, (*batches, one.shape[-2], two.shape[-2]))


def pdist(call: Call) -> None:
    rows = call.tensor("self")
    call.require(rows.ndim == 2, "self must be a matrix")
    # The backward of no rows ends the process.
    call.require(rows.shape[0] > 0 or "pdist" not in call.arguments, "self is empty")
    pairs = rows.shape[0] * (rows.shape[0] - 1) // 2
    same_dtype(call, "self", "grad", "grad_output", "pdist")
    for name in ("grad", "grad_output", "pdist"):
        has_shape(call, name, (pairs,))


@operators(check=BY_KERNEL)("_cdist_forward(Tensor x1, Tensor x2, float p, int? compute_mode) -> Tensor")
def _cdist(s: Signature) -> int:
    """For each pair: differences, powers, their sum, the root."""
    return s.out.numel * _distance(s["p"], s.tensor("x1").shape[-1])


@operators(check=BY_KERNEL)("_euclidean_dist(Tensor x1, Tensor x2) -> Tensor")
def _euclidean(s: Signature) -> int:
    """As `_cdist_forward` with p = 2."""
    return s.out.numel * _distance(2.0, s.tensor("x1").shape[-1])


@operators(check=pdist)("_pdist_forward(Tensor self, float p=2.) -> Tensor")
def _pdist(s: Signature) -> int:
    """Each pair of rows once."""
    return s.out.numel * _distance(s["p"], s.tensor("self").shape[-1])


def _distance(p: Argument, width: int) -> int:
    """M differences, |x|ᵖ of each, M − 1 additions or maxima, a root."""
    # The root of no sum is a constant, and M − 1 would be negative.
    if not width:
        return 0
    if p == 0:
        return 2 * width - 1
    if p in (1, inf):
        return 3 * width - 1
    return 3 * width if p == 2 else 4 * width


@operators(check=cdist_backward)("""
    _cdist_backward(Tensor grad_output, Tensor x1, Tensor x2, float p, Tensor cdist) -> Tensor
""")
def _cdist_backward(s: Signature) -> int:
    """For each pair its gradient by the elements of the row of x1, summed over the rows of x2."""
    width, others = s.tensor("x1").shape[-1], s.tensor("x2").shape[-2]
    pairs = s.tensor("cdist").numel
    # The norm of order 0 is a count, whose derivative is 0. Without pairs `others` may be 0.
    if s["p"] == 0 or not pairs:
        return 0
    summed = (pairs - pairs // others) * width
    return pairs * _gradient(s["p"], width) + summed


@operators(check=pdist)("_pdist_backward(Tensor grad_output, Tensor self, float p, Tensor pdist) -> Tensor")
def _pdist_backward(s: Signature) -> int:
    """For each pair its gradient; it is added to one row and subtracted from the other."""
    pairs, width = s.tensor("pdist").numel, s.tensor("self").shape[-1]
    return 0 if s["p"] == 0 else pairs * (_gradient(s["p"], width) + 2 * width)


def _gradient(p: Argument, width: int) -> int:
    """Operations for g · ∂‖d‖ₚ/∂d, where d is the difference of two rows of M.

    p = 1: g·sign(d). 2: (g/‖d‖)·d. ∞: g·sign(d) if |d| is the norm. Else (g/‖d‖ᵖ⁻¹)·sign(d)·|d|ᵖ⁻¹.
    A zero norm has zero gradient: if the formula divides by the norm, this takes one selection.
    """
    if p == 1:
        return 3 * width
    if p == 2:
        return 2 + 2 * width
    return 6 * width if p == inf else 3 + 6 * width
