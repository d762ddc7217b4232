"""Distances between rows of M numbers, by the definition of the p-norm of their difference."""

from math import inf

from haet_eval.counting.prices.table import overloads, price
from haet_eval.counting.signature import Argument, Signature


@price(*overloads("_cdist_forward", ".default .out"))
def _cdist(s: Signature) -> int:
    """For each pair: differences, powers, their sum, the root."""
    return s.out.numel * _distance(s["p"], s.tensor("x1").shape[-1])


@price(*overloads("_euclidean_dist", ".default .out"))
def _euclidean(s: Signature) -> int:
    """As `_cdist_forward` with p = 2."""
    return s.out.numel * _distance(2.0, s.tensor("x1").shape[-1])


@price(*overloads("_pdist_forward", ".default .out"))
def _pdist(s: Signature) -> int:
    """Each pair of rows once."""
    return s.out.numel * _distance(s["p"], s.tensor("self").shape[-1])


def _distance(p: Argument, width: int) -> int:
    """M differences, |x|ᵖ of each, M − 1 additions or maxima, a root."""
    if not width:
        return 0
    if p == 0:
        return 2 * width - 1
    if p in (1, inf):
        return 3 * width - 1
    return 3 * width if p == 2 else 4 * width


@price(*overloads("_cdist_backward", ".default .out"))
def _cdist_backward(s: Signature) -> int:
    """For each pair its gradient by the elements of the row of x1, summed over the rows of x2."""
    width, others = s.tensor("x1").shape[-1], s.tensor("x2").shape[-2]
    pairs = s.tensor("cdist").numel
    if s["p"] == 0 or not pairs:
        return 0
    summed = (pairs - pairs // others) * width
    return pairs * _gradient(s["p"], width) + summed


@price(*overloads("_pdist_backward", ".default .out"))
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
