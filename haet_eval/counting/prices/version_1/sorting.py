"""Selection by rank at the price of a maximum."""

from haet_eval.counting.prices.integers import row_length, rows
from haet_eval.counting.prices.table import overloads, superseded
from haet_eval.counting.signature import Signature, TensorMeta


@superseded(1, *overloads("kthvalue", ".default .values"), *overloads("median", ".dim .dim_values"))
def _selection(s: Signature) -> int:
    """L − 1 per row."""
    return _selection_along(s.tensor("self"), s.integers("dim")[0])


@superseded(1, *overloads("nanmedian", ".dim .dim_values"))
def _selection_without_nan(s: Signature) -> int:
    """A test for NaN per element, then L − 1 per row."""
    values = s.tensor("self")
    return values.numel + _selection_along(values, s.integers("dim")[0])


def _selection_along(values: TensorMeta, dim: int) -> int:
    return rows(values, dim) * max(row_length(values, dim) - 1, 0)


@superseded(1, *overloads("median", ".default .out"))
def _median(s: Signature) -> int:
    """One row of all elements: L − 1."""
    return max(s.tensor("self").numel - 1, 0)


@superseded(1, *overloads("nanmedian", ".default .out"))
def _nanmedian(s: Signature) -> int:
    """A test for NaN per element, then L − 1."""
    return s.tensor("self").numel + _median(s)
