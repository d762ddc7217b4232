"""Sorting, selection, search and distinct values, priced by comparisons."""

from haet_eval.operators.checking.call import Call
from haet_eval.operators.checking.shapes import overlaps_itself
from haet_eval.operators.pricing.integers import ceiling_log2, row_length, rows
from haet_eval.operators.signature import Signature, TensorMeta
from haet_eval.operators.table import BY_KERNEL, operators


def median(call: Call) -> None:
    if "dim" in call.arguments:
        repeated = overlaps_itself(call.tensor("self"))
        call.require(not repeated, "its kernel cannot take an expanded tensor; call .contiguous() first")


def sort_comparisons(length: int) -> int:
    """Comparisons to sort a row: L⌈log₂L⌉, the bound of merge sort (Knuth, TAOCP 3, 5.2.4)."""
    return length * ceiling_log2(length)


def selection_comparisons(length: int, kept: int) -> int:
    """Comparisons to find the k largest of a row: L⌈log₂k⌉ with a heap of k; one maximum is L − 1."""
    # The formula of the heap would give 0 for one maximum.
    return max(length - 1, 0) if kept == 1 else length * ceiling_log2(kept)


def rank_comparisons(length: int, rank: int) -> int:
    """Comparisons to find the k-th of a row: L − 1 + min(k − 1, L − k), so L − 1 for either extreme.

    Floyd and Rivest 1975, Expected time bounds for selection: n + min(k, n − k) but for terms of lower order.
    """
    return max(length - 1, 0) + max(min(rank - 1, length - rank), 0)


def search_comparisons(length: int) -> int:
    """Comparisons of a binary search for one of the L + 1 gaps of a sorted row."""
    return ceiling_log2(length + 1)


@operators(check=BY_KERNEL)("""
    sort(Tensor self, int dim=-1, bool descending=False) -> (Tensor values, Tensor indices)
    sort.stable(Tensor self, *, bool? stable, int dim=-1, bool descending=False) -> (Tensor values, Tensor
        indices)
""")
def _sort(s: Signature) -> int:
    """L⌈log₂L⌉ per row."""
    values, dim = s.tensor("self"), s.integers("dim")[0]
    return rows(values, dim) * sort_comparisons(row_length(values, dim))


@operators(check=BY_KERNEL)("""
    topk(Tensor self, int k, int dim=-1, bool largest=True, bool sorted=True) -> (Tensor values, Tensor
        indices)
""")
def _topk(s: Signature) -> int:
    """L⌈log₂k⌉ per row; L − 1 for k = 1."""
    values, dim = s.tensor("self"), s.integers("dim")[0]
    return rows(values, dim) * selection_comparisons(row_length(values, dim), s.integers("k")[0])


@operators(check=BY_KERNEL)("""
    kthvalue(Tensor self, int k, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor indices)
""")
def _kth_value(s: Signature) -> int:
    """L − 1 + min(k − 1, L − k) per row."""
    values, dim = s.tensor("self"), s.integers("dim")[0]
    return rows(values, dim) * rank_comparisons(row_length(values, dim), s.integers("k")[0])


@operators(check=median)("""
    median.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)
""")
def _median_along(s: Signature) -> int:
    """L − 1 + ⌊(L − 1)/2⌋ per row: the rank of the lower median."""
    values, dim = s.tensor("self"), s.integers("dim")[0]
    return rows(values, dim) * _median_comparisons(row_length(values, dim))


def _median_comparisons(length: int) -> int:
    return rank_comparisons(length, (length + 1) // 2)


@operators(check=median)("""
    nanmedian.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)
""")
def _nanmedian_along(s: Signature) -> int:
    """A test for NaN per element, then the median of each row."""
    return s.tensor("self").numel + _median_along(s)


@operators(check=median)("median(Tensor self) -> Tensor")
def _median(s: Signature) -> int:
    """One row of all elements: L − 1 + ⌊(L − 1)/2⌋."""
    return _median_comparisons(s.tensor("self").numel)


@operators(check=median)("nanmedian(Tensor self) -> Tensor")
def _nanmedian(s: Signature) -> int:
    """A test for NaN per element, then the median."""
    return s.tensor("self").numel + _median(s)


@operators(check=BY_KERNEL)("""
    mode(Tensor self, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor indices)
""")
def _mode(s: Signature) -> int:
    """Sort; then at each next element compare with its neighbour, lengthen the run, keep the longest."""
    values, dim = s.tensor("self"), s.integers("dim")[0]
    length = row_length(values, dim)
    return rows(values, dim) * (sort_comparisons(length) + 3 * max(length - 1, 0))


@operators(check=BY_KERNEL)("""
    _unique(Tensor self, bool sorted=True, bool return_inverse=False) -> (Tensor, Tensor) : dynamic
    _unique2(Tensor self, bool sorted=True, bool return_inverse=False, bool return_counts=False) -> (Tensor,
        Tensor, Tensor) : dynamic
""")
def _unique(s: Signature) -> int:
    """Sort, compare neighbours; ranks for the inverse (a running sum, a scatter), run lengths as counts."""
    count = s.tensor("self").numel
    inverse = count if s["return_inverse"] else 0
    return sort_comparisons(count) + inverse + _runs(s, count, width=1)


@operators(check=BY_KERNEL)("""
    unique_dim(Tensor self, int dim, bool sorted=True, bool return_inverse=False, bool return_counts=False) ->
        (Tensor, Tensor, Tensor) : dynamic
""")
def _unique_slices(s: Signature) -> int:
    """As `unique`, each comparison being one of whole slices."""
    values, dim = s.tensor("self"), s.integers("dim")[0]
    count, width = row_length(values, dim), rows(values, dim)
    inverse = count if s["return_inverse"] else 0
    return sort_comparisons(count) * width + inverse + _runs(s, count, width)


@operators(check=BY_KERNEL)("""
    unique_consecutive(Tensor self, bool return_inverse=False, bool return_counts=False, int? dim=None) ->
        (Tensor, Tensor, Tensor) : dynamic
""")
def _unique_consecutive(s: Signature) -> int:
    """Compare neighbours, elements or slices; the inverse is a running sum, counts are run lengths."""
    if s["dim"] is None:
        return _runs(s, s.tensor("self").numel, width=1)
    return _unique_consecutive_slices(s)


@operators(check=BY_KERNEL)("""
    unique_dim_consecutive(Tensor self, int dim, bool return_inverse=False, bool return_counts=False) ->
        (Tensor, Tensor, Tensor) : dynamic
""")
def _unique_consecutive_slices(s: Signature) -> int:
    """Compare neighbouring slices."""
    values, dim = s.tensor("self"), s.integers("dim")[0]
    return _runs(s, row_length(values, dim), rows(values, dim))


def _runs(s: Signature, count: int, width: int) -> int:
    """Equality of each with its predecessor (width tests and the conjunctions), ranks, run lengths."""
    equality = max(2 * width - 1, 0)
    additions = bool(s["return_inverse"]) + bool(s.arguments.get("return_counts"))
    return max(count - 1, 0) * (equality + additions)


@operators(check=BY_KERNEL)("""
    bucketize.Scalar(Scalar self, Tensor boundaries, *, bool out_int32=False, bool right=False) -> Tensor
    bucketize.Tensor(Tensor self, Tensor boundaries, *, bool out_int32=False, bool right=False) -> Tensor
""")
def _bucketize(s: Signature) -> int:
    """⌈log₂(L + 1)⌉ comparisons per value among L boundaries."""
    return s.out.numel * search_comparisons(s.tensor("boundaries").numel)


@operators(check=BY_KERNEL)("""
    searchsorted.Scalar(Tensor sorted_sequence, Scalar self, *, bool out_int32=False, bool right=False, str?
        side=None, Tensor? sorter=None) -> Tensor
    searchsorted.Tensor(Tensor sorted_sequence, Tensor self, *, bool out_int32=False, bool right=False, str?
        side=None, Tensor? sorter=None) -> Tensor
""")
def _searchsorted(s: Signature) -> int:
    """⌈log₂(L + 1)⌉ comparisons per value; a sorter adds an indexed read to each."""
    comparisons = search_comparisons(row_length(s.tensor("sorted_sequence"), -1))
    return s.out.numel * comparisons * (1 if s["sorter"] is None else 2)


@operators(check=BY_KERNEL)("""
    isin.Scalar_Tensor(Scalar element, Tensor test_elements, *, bool assume_unique=False, bool invert=False)
        -> Tensor
    isin.Tensor_Scalar(Tensor elements, Scalar test_element, *, bool assume_unique=False, bool invert=False)
        -> Tensor
    isin.Tensor_Tensor(Tensor elements, Tensor test_elements, *, bool assume_unique=False, bool invert=False)
        -> Tensor
""")
def _isin(s: Signature) -> int:
    """Compare each element with each of the T others, T − 1 disjunctions; a negation if inverted."""
    others = s.arguments.get("test_elements")
    count = others.numel if isinstance(others, TensorMeta) else 1
    return s.out.numel * (max(2 * count - 1, 0) + bool(s["invert"]))
