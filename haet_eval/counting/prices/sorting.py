"""Sorting, selection, search and distinct values, priced by comparisons."""

from haet_eval.counting.prices.integers import ceiling_log2, row_length, rows
from haet_eval.counting.prices.table import overloads, price
from haet_eval.counting.signature import Signature, TensorMeta


def sort_comparisons(length: int) -> int:
    """Comparisons to sort a row: L⌈log₂L⌉, the bound of merge sort (Knuth, TAOCP 3, 5.2.4)."""
    return length * ceiling_log2(length)


def selection_comparisons(length: int, kept: int) -> int:
    """Comparisons to find the k largest of a row: L⌈log₂k⌉ with a heap of k; one maximum is L − 1."""
    return max(length - 1, 0) if kept == 1 else length * ceiling_log2(kept)


def rank_comparisons(length: int, rank: int) -> int:
    """Comparisons to find the k-th of a row: L − 1 + min(k − 1, L − k), so L − 1 for either extreme.

    Floyd and Rivest 1975, Expected time bounds for selection: n + min(k, n − k) but for terms of lower order.
    """
    return max(length - 1, 0) + max(min(rank - 1, length - rank), 0)


def search_comparisons(length: int) -> int:
    """Comparisons of a binary search for one of the L + 1 gaps of a sorted row."""
    return ceiling_log2(length + 1)


@price(*overloads("sort", ".default .stable .values .values_stable"))
def _sort(s: Signature) -> int:
    """L⌈log₂L⌉ per row."""
    values, dim = s.tensor("self"), s.integers("dim")[0]
    return rows(values, dim) * sort_comparisons(row_length(values, dim))


@price(*overloads("topk", ".default .values"))
def _topk(s: Signature) -> int:
    """L⌈log₂k⌉ per row; L − 1 for k = 1."""
    values, dim = s.tensor("self"), s.integers("dim")[0]
    return rows(values, dim) * selection_comparisons(row_length(values, dim), s.integers("k")[0])


@price(*overloads("kthvalue", ".default .values"))
def _kth_value(s: Signature) -> int:
    """L − 1 + min(k − 1, L − k) per row."""
    values, dim = s.tensor("self"), s.integers("dim")[0]
    return rows(values, dim) * rank_comparisons(row_length(values, dim), s.integers("k")[0])


@price(*overloads("median", ".dim .dim_values"))
def _median_along(s: Signature) -> int:
    """L − 1 + ⌊(L − 1)/2⌋ per row: the rank of the lower median."""
    values, dim = s.tensor("self"), s.integers("dim")[0]
    return rows(values, dim) * _median_comparisons(row_length(values, dim))


def _median_comparisons(length: int) -> int:
    return rank_comparisons(length, (length + 1) // 2)


@price(*overloads("nanmedian", ".dim .dim_values"))
def _nanmedian_along(s: Signature) -> int:
    """A test for NaN per element, then the median of each row."""
    return s.tensor("self").numel + _median_along(s)


@price(*overloads("median", ".default .out"))
def _median(s: Signature) -> int:
    """One row of all elements: L − 1 + ⌊(L − 1)/2⌋."""
    return _median_comparisons(s.tensor("self").numel)


@price(*overloads("nanmedian", ".default .out"))
def _nanmedian(s: Signature) -> int:
    """A test for NaN per element, then the median."""
    return s.tensor("self").numel + _median(s)


@price(*overloads("mode", ".default .values"))
def _mode(s: Signature) -> int:
    """Sort; then at each next element compare with its neighbour, lengthen the run, keep the longest."""
    values, dim = s.tensor("self"), s.integers("dim")[0]
    length = row_length(values, dim)
    return rows(values, dim) * (sort_comparisons(length) + 3 * max(length - 1, 0))


@price(*overloads("_unique _unique2", ".default .out"))
def _unique(s: Signature) -> int:
    """Sort, compare neighbours; ranks for the inverse (a running sum, a scatter), run lengths as counts."""
    count = s.tensor("self").numel
    inverse = count if s["return_inverse"] else 0
    return sort_comparisons(count) + inverse + _runs(s, count, width=1)


@price(*overloads("unique_dim", ".default .out"))
def _unique_slices(s: Signature) -> int:
    """As `unique`, each comparison being one of whole slices."""
    values, dim = s.tensor("self"), s.integers("dim")[0]
    count, width = row_length(values, dim), rows(values, dim)
    inverse = count if s["return_inverse"] else 0
    return sort_comparisons(count) * width + inverse + _runs(s, count, width)


@price(*overloads("unique_consecutive", ".default .out"))
def _unique_consecutive(s: Signature) -> int:
    """Compare neighbours, elements or slices; the inverse is a running sum, counts are run lengths."""
    if s["dim"] is None:
        return _runs(s, s.tensor("self").numel, width=1)
    return _unique_consecutive_slices(s)


@price(*overloads("unique_dim_consecutive", ".default .out"))
def _unique_consecutive_slices(s: Signature) -> int:
    """Compare neighbouring slices."""
    values, dim = s.tensor("self"), s.integers("dim")[0]
    return _runs(s, row_length(values, dim), rows(values, dim))


def _runs(s: Signature, count: int, width: int) -> int:
    """Equality of each with its predecessor (width tests and the conjunctions), ranks, run lengths."""
    equality = max(2 * width - 1, 0)
    additions = bool(s["return_inverse"]) + bool(s.arguments.get("return_counts"))
    return max(count - 1, 0) * (equality + additions)


@price(*overloads("bucketize", ".Scalar .Scalar_out .Tensor .Tensor_out"))
def _bucketize(s: Signature) -> int:
    """⌈log₂(L + 1)⌉ comparisons per value among L boundaries."""
    return s.out.numel * search_comparisons(s.tensor("boundaries").numel)


@price(*overloads("searchsorted", ".Scalar .Scalar_out .Tensor .Tensor_out"))
def _searchsorted(s: Signature) -> int:
    """⌈log₂(L + 1)⌉ comparisons per value; a sorter adds an indexed read to each."""
    comparisons = search_comparisons(row_length(s.tensor("sorted_sequence"), -1))
    return s.out.numel * comparisons * (1 if s["sorter"] is None else 2)


@price(
    *overloads(
        "isin",
        ".Scalar_Tensor .Scalar_Tensor_out .Tensor_Scalar .Tensor_Scalar_out .Tensor_Tensor "
        ".Tensor_Tensor_out",
    )
)
def _isin(s: Signature) -> int:
    """Compare each element with each of the T others, T − 1 disjunctions; a negation if inverted."""
    others = s.arguments.get("test_elements")
    count = others.numel if isinstance(others, TensorMeta) else 1
    return s.out.numel * (max(2 * count - 1, 0) + bool(s["invert"]))
