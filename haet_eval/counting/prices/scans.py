"""Cumulative sums, products and extrema: one step for each element after the first of its row."""

from haet_eval.counting.prices.pointwise import real_or_complex
from haet_eval.counting.prices.table import overloads, price
from haet_eval.counting.signature import Signature

_FUNCTION = ".default .out"


def _steps(signature: Signature) -> int:
    """Elements, less one for each row."""
    tensor = signature.tensor("self")
    if tensor.numel == 0 or tensor.ndim == 0:
        return 0
    (dim,) = signature.integers("dim")
    return tensor.numel - tensor.numel // tensor.shape[dim]


@price(*overloads("cumsum", f"{_FUNCTION} _.default"))
def _cumulative_sum(signature: Signature) -> int:
    """|in| − R: one addition for each element after the first of its row."""
    return _steps(signature) * real_or_complex(signature, 1, 2)


@price(*overloads("cumprod", f"{_FUNCTION} _.default"))
def _cumulative_product(signature: Signature) -> int:
    """|in| − R: one product for each element after the first of its row."""
    return _steps(signature) * real_or_complex(signature, 1, 6)


@price(*overloads("cummax cummin", _FUNCTION), *overloads("_cummax_helper _cummin_helper", ".default"))
def _cumulative_extremum(signature: Signature) -> int:
    """|in| − R: one comparison for each element after the first of its row."""
    return _steps(signature)


@price(*overloads("logcumsumexp _logcumsumexp", _FUNCTION))
def _cumulative_logsumexp(signature: Signature) -> int:
    """The logsumexp of two for each step: maximum, two differences, two exponentials, sum, logarithm, sum."""
    return _steps(signature) * real_or_complex(signature, 8, None)
