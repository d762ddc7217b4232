"""Reading and writing at places that data decides: one operation per element read or written.

Accumulating at such a place is two. A complex element is two real numbers. A boolean mask is searched:
one operation per element of the mask, and then its reads. A write through a mask is priced as if every
element of the mask were set, because a price must not depend on values.
"""

from math import inf, prod

from haet_eval.counting.prices.integers import ceiling_log2, real_scalars, row_length
from haet_eval.counting.prices.literals import multiplies
from haet_eval.counting.prices.pointwise import broadcast_elements, is_complex
from haet_eval.counting.prices.table import overloads, price
from haet_eval.counting.signature import Signature, TensorMeta
from haet_eval.counting.standard import current

_FUNCTION = ".default .out"
_IN_PLACE = ".default .out _.default"


@price(*overloads("embedding gather index_select take", _FUNCTION))
def _reads(s: Signature) -> int:
    """One per element read."""
    return real_scalars(s.out)


@price("aten._unsafe_index.Tensor", *overloads("index", ".Tensor .Tensor_out"))
def _index(s: Signature) -> int:
    """One per element read, after the search of boolean masks."""
    return real_scalars(s.out) + _searched(s)


def _masks(s: Signature) -> list[TensorMeta]:
    return [index for index in s.tensors("indices") if _is_mask(index)]


def _is_mask(index: TensorMeta) -> bool:
    return index.dtype in ("bool", "uint8")


def _searched(s: Signature) -> int:
    return sum(mask.numel for mask in _masks(s))


@price(
    *overloads("index_put _index_put_impl", _IN_PLACE),
    "aten._unsafe_index_put.default",
)
def _index_put(s: Signature) -> int:
    """One per element written, two with accumulate; a mask is searched unless one value fills it.

    Filling by a mask is what masked_fill does, and costs the same.
    """
    values = s.tensor("values")
    searched = 0 if values.numel == 1 and not s["accumulate"] else _searched(s)
    return indexed_elements(s) * _width(s) * (2 if s["accumulate"] else 1) + searched


def _width(s: Signature) -> int:
    """Real numbers in an element."""
    return 2 if is_complex(s) else 1


def indexed_elements(s: Signature) -> int:
    """Elements of self[indices]. All elements of a mask count as set, unless other indices give the number.

    The elements that a mask selects are one dimension, the last of those that the indices broadcast to.
    """
    masks = _masks(s)
    indexed = sum(index.ndim if _is_mask(index) else 1 for index in s.tensors("indices"))
    skipped = [axis for axis, index in enumerate(_slots(s)) if index is None]
    shape = s.tensor("self").shape
    kept = prod(shape[axis] for axis in skipped) * prod(shape[indexed + len(skipped) :])
    numbers = [index for index in s.tensors("indices") if not _is_mask(index)]
    told = any(index.shape[-1:] not in ((), (1,)) for index in numbers)
    # The one place that a mask of one element selects is broadcast to all others; version 1 forgot that.
    sizes = [mask.numel for mask in masks if mask.numel != 1 or current() == 1]
    found = 1 if told else min(sizes, default=1)
    return kept * broadcast_elements(numbers) * found


def _slots(s: Signature) -> list[TensorMeta | None]:
    """For each dimension of self that the list reaches, its index; a mask of k dimensions takes k of them."""
    slots: list[TensorMeta | None] = []
    indices = s["indices"]
    assert isinstance(indices, tuple)
    for index in indices:
        meta = index if isinstance(index, TensorMeta) else None
        slots += [meta] * (meta.ndim if meta is not None and _is_mask(meta) else 1)
    return slots


@price("aten._unsafe_masked_index.default")
def _masked_index(s: Signature) -> int:
    """One read and one selection per element."""
    return 2 * real_scalars(s.out)


@price("aten._unsafe_masked_index_put_accumulate.default")
def _masked_index_put_accumulate(s: Signature) -> int:
    """A selection and an accumulation per value."""
    return 3 * real_scalars(s.tensor("values"))


@price(*overloads("put", _IN_PLACE))
def _put(s: Signature) -> int:
    """One per element written, two with accumulate."""
    return s.tensor("index").numel * _width(s) * (2 if s["accumulate"] else 1)


@price(*overloads("masked_select", _FUNCTION))
def _masked_select(s: Signature) -> int:
    """The search of the mask, then one per element read."""
    return broadcast_elements([s.tensor("self"), s.tensor("mask")]) + real_scalars(s.out)


@price(*overloads("masked_scatter", _IN_PLACE))
def _masked_scatter(s: Signature) -> int:
    """Per element: the rank within the mask, the read at that rank, the selection."""
    return s.out.numel * (1 + 2 * _width(s))


@price("aten.masked_scatter_backward.default")
def _masked_scatter_backward(s: Signature) -> int:
    """The search of the mask, then one per element read."""
    return s.tensor("mask").numel + real_scalars(s.out)


@price(*overloads("nonzero nonzero_static", _FUNCTION))
def _nonzero(s: Signature) -> int:
    """One test per element."""
    return real_scalars(s.tensor("self"))


@price(
    *overloads("scatter", ".src .src_out .value .value_out _.src _.value"),
)
def _scatter(s: Signature) -> int:
    """One per element written."""
    return s.tensor("index").numel * _width(s)


@price(
    *overloads("scatter_add", _IN_PLACE),
    *overloads("scatter", ".reduce .reduce_out .value_reduce .value_reduce_out _.reduce _.value_reduce"),
)
def _scatter_accumulate(s: Signature) -> int:
    """Two per element: combine, write."""
    combine = 6 if s.arguments.get("reduce") == "multiply" else 2
    return s.tensor("index").numel * (combine + 2 if is_complex(s) else 2)


@price(*overloads("scatter_reduce", ".two .two_out _.two"))
def _scatter_reduce(s: Signature) -> int:
    """Two per element; a mean also counts and divides; without self its place is written first."""
    return _reduction(s, s.tensor("index").numel)


@price(*overloads("index_reduce", _IN_PLACE))
def _index_reduce(s: Signature) -> int:
    """As scatter_reduce, for each element of the source."""
    return _reduction(s, s.tensor("source").numel)


def _reduction(s: Signature, count: int) -> int:
    mean = 2 * count + s.out.numel if s["reduce"] == "mean" else 0
    return 2 * count + mean + (0 if s["include_self"] else count)


@price(*overloads("index_add", _IN_PLACE))
def _index_add(s: Signature) -> int:
    """Two per element of the source: add, write; three when `alpha` is not ±1."""
    complex_elements, scaled = is_complex(s), multiplies(s["alpha"])
    return s.tensor("source").numel * (4 + 6 * scaled if complex_elements else 2 + scaled)


@price(*overloads("index_copy", _IN_PLACE))
def _index_copy(s: Signature) -> int:
    """One per element written."""
    return real_scalars(s.tensor("source"))


@price(
    *overloads(
        "index_fill", ".int_Scalar .int_Scalar_out .int_Tensor .int_Tensor_out _.int_Scalar _.int_Tensor"
    )
)
def _index_fill(s: Signature) -> int:
    """One per element written."""
    values, dim = s.tensor("self"), s.integers("dim")[0]
    return real_scalars(values) // max(row_length(values, dim), 1) * s.tensor("index").numel


@price(*overloads("embedding_dense_backward", _FUNCTION))
def _embedding_backward(s: Signature) -> int:
    """Two per element of the gradient; scaling by frequency counts the indices, reads, divides."""
    gradient, indices = s.tensor("grad_output").numel, s.tensor("indices").numel
    return 2 * gradient + (3 * indices + gradient if s["scale_grad_by_freq"] else 0)


@price(*overloads("embedding_renorm", _IN_PLACE))
def _embedding_renorm(s: Signature) -> int:
    """Per index: read a row of D, its norm, compare; add eps, divide, scale, write, as for a row too long.

    The norm takes D powers (an absolute value first for an order other than 1, 2 or ∞), D − 1 additions
    and a root (none for 1 and ∞).
    """
    width, order = row_length(s.tensor("self"), -1), s["norm_type"]
    powers = width if order in (1, 2, inf) else 2 * width
    root = 0 if order in (1, inf) else 1
    return s.tensor("indices").numel * (4 * width + powers + root + 2)


_MEAN, _MAX = 1, 2


@price(*overloads("_embedding_bag _embedding_bag_forward_only", _FUNCTION))
def _embedding_bag(s: Signature) -> int:
    """Read and add (or compare) each element of each row; scale by sample weights; divide a mean."""
    gathered = s.tensor("indices").numel * row_length(s.tensor("weight"), -1)
    weighted = 0 if s["per_sample_weights"] is None else gathered
    return 2 * gathered + weighted + (s.out.numel if s["mode"] == _MEAN else 0)


@price("aten._embedding_bag_backward.default", *overloads("_embedding_bag_dense_backward", _FUNCTION))
def _embedding_bag_backward(s: Signature) -> int:
    """Two per element accumulated; a mean divides its gradient first, sample weights scale each row."""
    gradient = s.tensor("grad")
    width, indices = row_length(gradient, -1), s.tensor("indices").numel
    if s["mode"] == _MAX:
        return 2 * gradient.numel
    weighted = 0 if s["per_sample_weights"] is None else indices * width
    frequency = indices * (3 + width) if s["scale_grad_by_freq"] else 0
    return 2 * indices * width + weighted + frequency + (gradient.numel if s["mode"] == _MEAN else 0)


@price(*overloads("_embedding_bag_per_sample_weights_backward", _FUNCTION))
def _sample_weights_backward(s: Signature) -> int:
    """For each index the inner product of a row that is read with its bag's gradient."""
    return s.tensor("indices").numel * max(3 * row_length(s.tensor("weight"), -1) - 1, 0)


@price(*overloads("repeat_interleave", ".Tensor .Tensor_out"))
def _repeat_interleave(s: Signature) -> int:
    """Running sum of the repetitions, then one per index written."""
    return max(s.tensor("repeats").numel - 1, 0) + s.out.numel


@price(*overloads("segment_reduce", _FUNCTION))
def _segment_reduce(s: Signature) -> int:
    """Two per element: combine, write; a mean divides."""
    return 2 * s.tensor("data").numel + (s.out.numel if s["reduce"] == "mean" else 0)


@price(*overloads("_segment_reduce_backward", _FUNCTION))
def _segment_reduce_backward(s: Signature) -> int:
    """Read the gradient for each element (1); divided for a mean; spread over the ties of an extreme (6)."""
    data, segments = s.tensor("data").numel, s.tensor("grad").numel
    match s["reduce"]:
        case "sum":
            return data
        case "mean" | "prod":
            return data * (1 if s["reduce"] == "mean" else 2) + segments
        case _:
            return 6 * data + segments


@price(*overloads("bincount", _FUNCTION))
def _bincount(s: Signature) -> int:
    """Two per element: add, write."""
    return 2 * s.tensor("self").numel


_RANGE_TEST = 3
_UNIFORM_BIN = 4
_ACCUMULATE = 2


@price(*overloads("histc", _FUNCTION))
def _histc(s: Signature) -> int:
    """Per element: within the range (3), which bin (subtract, scale, floor, minimum), accumulate (2)."""
    automatic = s["min"] == s["max"] == 0
    count = s.tensor("self").numel
    return count * (_RANGE_TEST + _UNIFORM_BIN + _ACCUMULATE) + (_extent(count) + 2 if automatic else 0)


def _extent(count: int) -> int:
    """The minimum and the maximum of a row."""
    return 2 * max(count - 1, 0)


@price(*overloads("histogram", ".bin_ct .bin_ct_out"))
def _histogram(s: Signature) -> int:
    """As histc; edges from a range that is searched for are start + i · width."""
    count, bins = s.tensor("self").numel, s.integers("bins")[0]
    binned = count * (_RANGE_TEST + _UNIFORM_BIN + _ACCUMULATE)
    return binned + _edges(s, count, bins) + _density(s, bins)


@price(*overloads("histogram", ".bins_tensor .bins_tensor_out"))
def _histogram_with_edges(s: Signature) -> int:
    """A binary search among the edges for each element, and the accumulation."""
    edges = s.tensor("bins").numel
    count = s.tensor("self").numel
    return count * (_RANGE_TEST + ceiling_log2(edges) + _ACCUMULATE) + _density(s, edges - 1, widths=True)


@price(*overloads("_histogramdd_bin_edges", _FUNCTION))
def _histogramdd_edges(s: Signature) -> int:
    """Per dimension the extent and the edges; nothing if the range is given."""
    points = prod(s.tensor("self").shape[:-1])
    return sum(_edges(s, points, bins) for bins in s.integers("bins"))


@price(*overloads("_histogramdd_from_bin_cts", _FUNCTION))
def _histogramdd(s: Signature) -> int:
    """Per point and dimension the range and the bin; the flat index; the accumulation."""
    points, bins = prod(s.tensor("self").shape[:-1]), s.integers("bins")
    place = len(bins) * (_RANGE_TEST + _UNIFORM_BIN) + 2 * (len(bins) - 1)
    edges = sum(_edges(s, points, count) for count in bins)
    return points * (place + _ACCUMULATE) + edges + _density(s, prod(bins))


@price(*overloads("_histogramdd_from_bin_tensors", _FUNCTION))
def _histogramdd_with_edges(s: Signature) -> int:
    """Per point and dimension a binary search; the flat index; the accumulation."""
    points, edges = prod(s.tensor("self").shape[:-1]), [meta.numel for meta in s.tensors("bins")]
    place = sum(_RANGE_TEST + ceiling_log2(count) for count in edges) + 2 * (len(edges) - 1)
    return points * (place + _ACCUMULATE) + _density(s, prod(count - 1 for count in edges), widths=True)


def _edges(s: Signature, count: int, bins: int) -> int:
    """Extent, bin width (2) and interior edges; nothing if the range is given."""
    return 0 if s["range"] is not None else _extent(count) + 2 + 2 * (bins - 1)


def _density(s: Signature, bins: int, *, widths: bool = False) -> int:
    """Divide each bin by the total times its width."""
    return max(bins - 1, 0) + (3 if widths else 2) * bins if s["density"] else 0
