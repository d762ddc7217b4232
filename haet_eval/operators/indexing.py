"""Reading and writing at places that data decides: one operation per element read or written.

Accumulating at such a place is two. A complex element is two real numbers. A boolean mask is searched:
one operation per element of the mask, and then its reads. A write through a mask is priced as if every
element of the mask were set, because a price must not depend on values.

Checks: kernels check most indices themselves; these cover the others.
"""

from collections.abc import Mapping
from math import inf, prod

from haet_eval.operators.checking.call import Call
from haet_eval.operators.checking.dtypes import INDICES
from haet_eval.operators.checking.shapes import fits, has_shape
from haet_eval.operators.checking.sizes import counted
from haet_eval.operators.pointwise import broadcast_elements, has_complex
from haet_eval.operators.pricing.integers import ceiling_log2, real_scalars, row_length
from haet_eval.operators.pricing.literals import multiplies
from haet_eval.operators.signature import Argument, Signature, TensorMeta
from haet_eval.operators.standard import current
from haet_eval.operators.table import BY_KERNEL, operators


def has_mask(arguments: Mapping[str, Argument]) -> bool:
    """An index by a mask selects as many elements as the mask has."""
    indices = arguments["indices"]
    items = indices if isinstance(indices, tuple) else ()
    return any(isinstance(item, TensorMeta) and _is_mask(item) for item in items)


def is_open(arguments: Mapping[str, Argument]) -> bool:
    """Whether the number of repetitions is not told."""
    return arguments.get("output_size") is None


def embedding_backward(call: Call) -> None:
    gradient, indices = call.tensor("grad_output"), call.tensor("indices")
    call.require(indices.dtype in INDICES, "indices must be int32 or int64")
    call.require(gradient.ndim > 0, "grad_output has no dimensions")
    has_shape(call, "grad_output", (*indices.shape, gradient.shape[-1]))
    fits(call, (call.integer("num_weights"), gradient.shape[-1]))


def embedding(call: Call) -> None:
    weight, indices = call.tensor("weight"), call.tensor("indices")
    call.require(weight.ndim == 2 and indices.dtype in INDICES, "weight must be a matrix, indices int64")
    fits(call, (*indices.shape, weight.shape[1]))


def embedding_renorm(call: Call) -> None:
    call.require(call.tensor("self").ndim == 2, "self must be a matrix")
    call.require(call.tensor("indices").dtype in INDICES, "indices must be int64")


def into_sizes(call: Call) -> None:
    """A size of -1 would become the number of selected elements: it depends on data, and would be free."""
    fits(call, call.integers("sizes"))


@operators(check=embedding)("""
    embedding(Tensor weight, Tensor indices, int padding_idx=-1, bool scale_grad_by_freq=False, bool
        sparse=False) -> Tensor
""")
@operators(check=BY_KERNEL)("""
    gather(Tensor self, int dim, Tensor index, *, bool sparse_grad=False) -> Tensor
    index_select(Tensor self, int dim, Tensor index) -> Tensor
    take(Tensor self, Tensor index) -> Tensor
""")
def _reads(s: Signature) -> int:
    """One per element read."""
    return real_scalars(s.out)


@operators(check=BY_KERNEL, dynamic_if=has_mask)("""
    index.Tensor(Tensor self, Tensor?[] indices) -> Tensor : dynamic
""")
def _index(s: Signature) -> int:
    """One per element read, after the search of boolean masks, and the places that several indices name."""
    return real_scalars(s.out) + _searched(s) + _places(s)


def _places(s: Signature) -> int:
    """Where elements lie: all indices but one times their strides, and the sums of them, the smallest first.

    In a table of 0, 1, 2, … an element is its place, so a read by d indices is a weighted sum of d numbers.
    Version 1 sold it at the price of one.
    """
    numbers = sorted(
        (index for index in s.tensors("indices") if not _is_mask(index)), key=lambda index: index.numel
    )
    if current() == 1 or len(numbers) < 2:
        return 0
    sums = sum(broadcast_elements(numbers[:count]) for count in range(2, len(numbers) + 1))
    return sum(index.numel for index in numbers[:-1]) + sums


def _masks(s: Signature) -> list[TensorMeta]:
    return [index for index in s.tensors("indices") if _is_mask(index)]


def _is_mask(index: TensorMeta) -> bool:
    # PyTorch still takes uint8 for a mask.
    return index.dtype in ("bool", "uint8")


def _searched(s: Signature) -> int:
    return sum(mask.numel for mask in _masks(s))


@operators(check=BY_KERNEL)("""
    index_put[_](Tensor self, Tensor?[] indices, Tensor values, bool accumulate=False) -> Tensor
""")
def _index_put(s: Signature) -> int:
    """One per element written, two with accumulate; a mask is searched unless one value fills it.

    Filling by a mask is what masked_fill does, and costs the same.
    """
    values = s.tensor("values")
    searched = 0 if values.numel == 1 and not s["accumulate"] else _searched(s)
    return indexed_elements(s) * _width(s) * (2 if s["accumulate"] else 1) + searched + _places(s)


def _width(s: Signature) -> int:
    """Real numbers in an element."""
    return 2 if has_complex(s) else 1


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
    # Beside a mask, a longer last dimension of the other indices must have as many elements as the mask
    # selects.
    told = any(index.shape[-1:] not in ((), (1,)) for index in numbers)
    # The one place that a mask of one element selects is broadcast to all others; version 1 forgot that.
    sizes = [mask.numel for mask in masks if mask.numel != 1 or current() == 1]
    # Masks that are searched together select equally many, so the smallest bounds them all.
    found = 1 if told else min(sizes, default=1)
    return kept * broadcast_elements(numbers) * found


def _slots(s: Signature) -> list[TensorMeta | None]:
    """For each dimension of self that the list reaches, its index; a mask of k dimensions takes k of them."""
    slots: list[TensorMeta | None] = []
    indices = s["indices"]
    if not isinstance(indices, tuple):
        raise TypeError(f"{s.operator}: argument 'indices' is no list")
    for index in indices:
        meta = index if isinstance(index, TensorMeta) else None
        slots += [meta] * (meta.ndim if meta is not None and _is_mask(meta) else 1)
    return slots


def masked_index(s: Signature) -> int:
    """One read and one selection per element."""
    return 2 * real_scalars(s.out)


def masked_index_put_accumulate(s: Signature) -> int:
    """A selection and an accumulation per value."""
    return 3 * real_scalars(s.tensor("values"))


@operators(check=BY_KERNEL)("""
    put[_](Tensor self, Tensor index, Tensor source, bool accumulate=False) -> Tensor
""")
def _put(s: Signature) -> int:
    """One per element written, two with accumulate."""
    return s.tensor("index").numel * _width(s) * (2 if s["accumulate"] else 1)


@operators(check=BY_KERNEL)("masked_select(Tensor self, Tensor mask) -> Tensor : dynamic")
def _masked_select(s: Signature) -> int:
    """The search of the mask, then one per element read."""
    return broadcast_elements([s.tensor("self"), s.tensor("mask")]) + real_scalars(s.out)


@operators(check=BY_KERNEL)("""
    masked_scatter[_](Tensor self, Tensor mask, Tensor source) -> Tensor
""")
def _masked_scatter(s: Signature) -> int:
    """Per element: the rank within the mask, the read at that rank, the selection."""
    return s.out.numel * (1 + 2 * _width(s))


@operators(check=into_sizes)("""
    masked_scatter_backward(Tensor grad_output, Tensor mask, int[] sizes) -> Tensor
""")
def _masked_scatter_backward(s: Signature) -> int:
    """The search of the mask, then one per element read."""
    return s.tensor("mask").numel + real_scalars(s.out)


@operators(check=BY_KERNEL)("nonzero(Tensor self) -> Tensor : dynamic")
@operators(check=counted)("nonzero_static(Tensor self, *, int size, int fill_value=-1) -> Tensor")
def _nonzero(s: Signature) -> int:
    """One test per element."""
    return real_scalars(s.tensor("self"))


@operators(check=BY_KERNEL)("""
    scatter[_].src(Tensor self, int dim, Tensor index, Tensor src) -> Tensor
    scatter[_].value(Tensor self, int dim, Tensor index, Scalar value) -> Tensor
""")
def _scatter(s: Signature) -> int:
    """One per element written."""
    return s.tensor("index").numel * _width(s)


@operators(check=BY_KERNEL)("""
    scatter[_].reduce(Tensor self, int dim, Tensor index, Tensor src, *, str reduce) -> Tensor
    scatter[_].value_reduce(Tensor self, int dim, Tensor index, Scalar value, *, str reduce) -> Tensor
    scatter_add[_](Tensor self, int dim, Tensor index, Tensor src) -> Tensor
""")
def _scatter_accumulate(s: Signature) -> int:
    """Two per element: combine, write."""
    # A complex product takes 6 real operations and a complex sum 2 (decision 0014).
    combine = 6 if s.arguments.get("reduce") == "multiply" else 2
    return s.tensor("index").numel * (combine + 2 if has_complex(s) else 2)


@operators(check=BY_KERNEL)("""
    scatter_reduce[_].two(Tensor self, int dim, Tensor index, Tensor src, str reduce, *, bool
        include_self=True) -> Tensor
""")
def _scatter_reduce(s: Signature) -> int:
    """Two per element; a mean also counts and divides; without self its place is written first."""
    return _reduction(s, s.tensor("index").numel)


@operators(check=BY_KERNEL)("""
    index_reduce[_](Tensor self, int dim, Tensor index, Tensor source, str reduce, *, bool include_self=True)
        -> Tensor
""")
def _index_reduce(s: Signature) -> int:
    """As scatter_reduce, for each element of the source."""
    return _reduction(s, s.tensor("source").numel)


def _reduction(s: Signature, count: int) -> int:
    mean = 2 * count + s.out.numel if s["reduce"] == "mean" else 0
    return 2 * count + mean + (0 if s["include_self"] else count)


@operators(check=BY_KERNEL)("""
    index_add[_](Tensor self, int dim, Tensor index, Tensor source, *, Scalar alpha=1) -> Tensor
""")
def _index_add(s: Signature) -> int:
    """Two per element of the source: add, write; three when `alpha` is not ±1."""
    complex_elements, scaled = has_complex(s), multiplies(s["alpha"])
    return s.tensor("source").numel * (4 + 6 * scaled if complex_elements else 2 + scaled)


@operators(check=BY_KERNEL)("""
    index_copy[_](Tensor self, int dim, Tensor index, Tensor source) -> Tensor
""")
def _index_copy(s: Signature) -> int:
    """One per element written."""
    return real_scalars(s.tensor("source"))


@operators(check=BY_KERNEL)("""
    index_fill[_].int_Scalar(Tensor self, int dim, Tensor index, Scalar value) -> Tensor
    index_fill[_].int_Tensor(Tensor self, int dim, Tensor index, Tensor value) -> Tensor
""")
def _index_fill(s: Signature) -> int:
    """One per element written."""
    values, dim = s.tensor("self"), s.integers("dim")[0]
    return real_scalars(values) // max(row_length(values, dim), 1) * s.tensor("index").numel


# The kernel for CPUs takes the indices for addresses.
@operators(check=embedding_backward, guard="embedded")("""
    embedding_dense_backward(Tensor grad_output, Tensor indices, int num_weights, int padding_idx, bool
        scale_grad_by_freq) -> Tensor
""")
def _embedding_backward(s: Signature) -> int:
    """Two per element of the gradient; scaling by frequency counts the indices, reads, divides."""
    gradient, indices = s.tensor("grad_output").numel, s.tensor("indices").numel
    return 2 * gradient + (3 * indices + gradient if s["scale_grad_by_freq"] else 0)


@operators(check=embedding_renorm)("""
    embedding_renorm_(Tensor(a!) self, Tensor indices, float max_norm, float norm_type) -> Tensor(a!)
""")
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


def embedding_bag(s: Signature) -> int:
    """Read and add (or compare) each element of each row; scale by sample weights; divide a mean."""
    gathered = s.tensor("indices").numel * row_length(s.tensor("weight"), -1)
    weighted = 0 if s["per_sample_weights"] is None else gathered
    return 2 * gathered + weighted + (s.out.numel if s["mode"] == _MEAN else 0)


def embedding_bag_backward(s: Signature) -> int:
    """Two per element accumulated; a mean divides its gradient first, sample weights scale each row."""
    gradient = s.tensor("grad")
    width, indices = row_length(gradient, -1), s.tensor("indices").numel
    if s["mode"] == _MAX:
        return 2 * gradient.numel
    weighted = 0 if s["per_sample_weights"] is None else indices * width
    frequency = indices * (3 + width) if s["scale_grad_by_freq"] else 0
    return 2 * indices * width + weighted + frequency + (gradient.numel if s["mode"] == _MEAN else 0)


def sample_weights_backward(s: Signature) -> int:
    """For each index the inner product of a row that is read with its bag's gradient."""
    return s.tensor("indices").numel * max(3 * row_length(s.tensor("weight"), -1) - 1, 0)


@operators(check=BY_KERNEL, guard="repeats", dynamic_if=is_open)("""
    repeat_interleave.Tensor(Tensor repeats, *, int? output_size=None) -> Tensor : dynamic
""")
def _repeat_interleave(s: Signature) -> int:
    """Running sum of the repetitions, then one per index written."""
    return max(s.tensor("repeats").numel - 1, 0) + s.out.numel


def segment_reduce(s: Signature) -> int:
    """Two per element: combine, write; a mean divides."""
    return 2 * s.tensor("data").numel + (s.out.numel if s["reduce"] == "mean" else 0)


def segment_reduce_backward(s: Signature) -> int:
    """Read the gradient for each element (1); divided for a mean; spread over the ties of an extreme (6)."""
    data, segments = s.tensor("data").numel, s.tensor("grad").numel
    match s["reduce"]:
        case "sum":
            return data
        case "mean" | "prod":
            return data * (1 if s["reduce"] == "mean" else 2) + segments
        case _:
            return 6 * data + segments


@operators(check=counted)("""
    bincount(Tensor self, Tensor? weights=None, int minlength=0) -> Tensor : dynamic
""")
def _bincount(s: Signature) -> int:
    """Two per element: add, write."""
    return 2 * s.tensor("self").numel


_RANGE_TEST = 3
_UNIFORM_BIN = 4
_ACCUMULATE = 2


@operators(check=counted)("histc(Tensor self, int bins=100, Scalar min=0, Scalar max=0) -> Tensor")
def _histc(s: Signature) -> int:
    """Per element: within the range (3), which bin (subtract, scale, floor, minimum), accumulate (2)."""
    # PyTorch's way to ask for the range of the data.
    automatic = s["min"] == s["max"] == 0
    count = s.tensor("self").numel
    return count * (_RANGE_TEST + _UNIFORM_BIN + _ACCUMULATE) + (_extent(count) + 2 if automatic else 0)


def _extent(count: int) -> int:
    """The minimum and the maximum of a row."""
    return 2 * max(count - 1, 0)


def histogram(s: Signature) -> int:
    """As histc; edges from a range that is searched for are start + i · width."""
    count, bins = s.tensor("self").numel, s.integers("bins")[0]
    binned = count * (_RANGE_TEST + _UNIFORM_BIN + _ACCUMULATE)
    return binned + _edges(s, count, bins) + _density(s, bins)


def histogram_with_edges(s: Signature) -> int:
    """A binary search among the edges for each element, and the accumulation."""
    edges = s.tensor("bins").numel
    count = s.tensor("self").numel
    return count * (_RANGE_TEST + ceiling_log2(edges) + _ACCUMULATE) + _density(s, edges - 1, widths=True)


def histogramdd_edges(s: Signature) -> int:
    """Per dimension the extent and the edges; nothing if the range is given."""
    points = prod(s.tensor("self").shape[:-1])
    return sum(_edges(s, points, bins) for bins in s.integers("bins"))


def histogramdd(s: Signature) -> int:
    """Per point and dimension the range and the bin; the flat index; the accumulation."""
    points, bins = prod(s.tensor("self").shape[:-1]), s.integers("bins")
    place = len(bins) * (_RANGE_TEST + _UNIFORM_BIN) + 2 * (len(bins) - 1)
    edges = sum(_edges(s, points, count) for count in bins)
    return points * (place + _ACCUMULATE) + edges + _density(s, prod(bins))


def histogramdd_with_edges(s: Signature) -> int:
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
