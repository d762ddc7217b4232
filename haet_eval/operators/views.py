"""Views and copies of them: they must stay within the storage, and may not pack several elements into one."""

from haet_eval.operators.checking.call import Call
from haet_eval.operators.checking.shapes import MAX_EXTENT, fits, has_shape, strided
from haet_eval.operators.dtypes import is_complex, item_bytes
from haet_eval.operators.movement import free
from haet_eval.operators.table import BY_KERNEL, OPTIONS, operators


def narrow(call: Call) -> None:
    fits(call, (call.integer("length"),))


def as_strided(call: Call) -> None:
    sizes, strides = strided(call)
    offset = call["storage_offset"]
    # PyTorch keeps the offset of the tensor if none is given, and a given one counts from the start of the
    # storage.
    start = call.tensor("self").offset if offset is None else call.integer("storage_offset")
    call.require(start >= 0, "the offset is negative")
    call.require(start <= MAX_EXTENT, "the offset is out of range")
    last = start + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    held = call.storage_bytes.get("self")
    # A call must not pass because the caller left the size out.
    call.require(held is not None, "the size of the storage is not known")
    # An empty view reaches no element, wherever it begins.
    end = 0 if 0 in sizes else (last + 1) * item_bytes(call.tensor("self").dtype)
    call.require(end <= (held or 0), "the view would leave its storage")
    has_shape(call, "src", sizes)


def expand(call: Call) -> None:
    shown, sizes = call.tensor("self"), call.integers("size")
    call.require(len(sizes) >= shown.ndim, "size has too few entries")
    new = len(sizes) - shown.ndim
    shape = [
        shown.shape[place - new] if size == -1 and place >= new else size for place, size in enumerate(sizes)
    ]
    fits(call, shape)


def view_dtype(call: Call) -> None:
    """The number of elements must stay: two floats seen as one would be half as many parameters."""
    old, new = call.tensor("self").dtype, str(call["dtype"])
    call.require(
        item_bytes(old) == item_bytes(new), "a view must keep the size of an element; convert with .to()"
    )
    call.require(
        is_complex(old) == is_complex(new),
        "a view must keep pairs of numbers pairs; use view_as_real or view_as_complex",
    )
    # Kernels are misled by other bytes than 0 and 1 in truth values (decision 0030).
    call.require(new != "bool" or old == "bool", "a view must not make truth values; compare with 0")


def neg_view(call: Call) -> None:
    """PyTorch makes such a view of truth values, and then can neither read it nor compute with it."""
    call.require(call.tensor("self").dtype != "bool", "truth values cannot be negated; call logical_not")


def view(call: Call) -> None:
    sizes = call.integers("size")
    if sizes or "size" in call.arguments:
        call.require(
            sum(size < 0 for size in sizes) <= 1 and min(sizes, default=0) >= -1, "a size is negative"
        )
        # One size may be -1, and PyTorch computes it.
        fits(call, [max(size, 1) for size in sizes])


def set_from_tensor(call: Call) -> None:
    shown, source = call.tensor("self"), call.tensor("source")
    # Bytes of another dtype would be several numbers in one, for nothing.
    call.require(shown.dtype == source.dtype, "self and source must have one dtype")


operators(check=BY_KERNEL, kind="view")("""
    alias _conj detach lift_fresh squeeze t(Tensor(a) self) -> Tensor(a)
    diagonal(Tensor(a) self, int offset=0, int dim1=0, int dim2=1) -> Tensor(a)
    lift(Tensor self) -> Tensor
    permute(Tensor(a) self, int[] dims) -> Tensor(a)
    select.int(Tensor(a) self, int dim, int index) -> Tensor(a)
    slice.Tensor(Tensor(a) self, int dim=0, int? start=None, int? end=None, int step=1) -> Tensor(a)
    split.Tensor(Tensor(a -> *) self, int split_size, int dim=0) -> Tensor(a)[]
    split_with_sizes(Tensor(a -> *) self, int[] split_sizes, int dim=0) -> Tensor(a)[]
    squeeze.dim(Tensor(a) self, int dim) -> Tensor(a)
    squeeze.dims(Tensor(a) self, int[] dim) -> Tensor(a)
    squeeze_ t_(Tensor(a!) self) -> Tensor(a!) : inplace_view
    squeeze_.dim(Tensor(a!) self, int dim) -> Tensor(a!) : inplace_view
    squeeze_.dims(Tensor(a!) self, int[] dim) -> Tensor(a!) : inplace_view
    transpose.int(Tensor(a) self, int dim0, int dim1) -> Tensor(a)
    transpose_(Tensor(a!) self, int dim0, int dim1) -> Tensor(a!) : inplace_view
    unbind.int(Tensor(a -> *) self, int dim=0) -> Tensor(a)[]
    unsafe_split.Tensor(Tensor self, int split_size, int dim=0) -> Tensor[]
    unsafe_split_with_sizes(Tensor self, int[] split_sizes, int dim=0) -> Tensor[]
""")(free)
operators(check=BY_KERNEL, kind="copy")(f"""
    alias_copy squeeze_copy t_copy(Tensor self) -> Tensor
    clone(Tensor self, *, MemoryFormat? memory_format=None) -> Tensor : pointwise
    copy_(Tensor(a!) self, Tensor src, bool non_blocking=False) -> Tensor(a!)
    diagonal_copy(Tensor self, int offset=0, int dim1=0, int dim2=1) -> Tensor
    permute_copy(Tensor self, int[] dims) -> Tensor
    select_copy.int(Tensor self, int dim, int index) -> Tensor
    slice_copy.Tensor(Tensor self, int dim=0, int? start=None, int? end=None, int step=1) -> Tensor
    split_with_sizes_copy(Tensor self, int[] split_sizes, int dim=0) -> Tensor[]
    squeeze_copy.dim(Tensor self, int dim) -> Tensor
    _to_copy(Tensor self, *, {OPTIONS}, bool non_blocking=False, MemoryFormat? memory_format=None) -> Tensor
    transpose_copy.int(Tensor self, int dim0, int dim1) -> Tensor
    unbind_copy.int(Tensor self, int dim=0) -> Tensor[]
""")(free)
# Exact, since the offset counts from the start of the storage and not from the input.
operators(check=as_strided, exact=True, by_origin=True, kind="view")("""
    as_strided(Tensor(a) self, int[] size, int[] stride, int? storage_offset=None) -> Tensor(a)
    as_strided_(Tensor(a!) self, int[] size, int[] stride, int? storage_offset=None) -> Tensor(a!) :
        inplace_view
""")(free)
operators(check=as_strided, by_origin=True, kind="copy")("""
    as_strided_copy(Tensor self, int[] size, int[] stride, int? storage_offset=None) -> Tensor
""")(free)
operators(check=as_strided, exact=True, by_origin=True, kind="arrangement")("""
    as_strided_scatter(Tensor self, Tensor src, int[] size, int[] stride, int? storage_offset=None) -> Tensor
""")(free)
operators(check=expand, kind="view")("""
    expand(Tensor(a) self, int[] size, *, bool implicit=False) -> Tensor(a)
""")(free)
operators(check=expand, kind="copy")("""
    expand_copy(Tensor self, int[] size, *, bool implicit=False) -> Tensor
""")(free)
operators(check=narrow, kind="copy")("narrow_copy(Tensor self, int dim, int start, int length) -> Tensor")(
    free
)
operators(check=neg_view, kind="view")("_neg_view(Tensor(a) self) -> Tensor(a)")(free)
operators(check=set_from_tensor, exact=True, kind="arrangement")("""
    set_.source_Tensor(Tensor(a!) self, Tensor source) -> Tensor(a!) : inplace_view
""")(free)
operators(check=view, kind="view")("""
    _unsafe_view(Tensor self, int[] size) -> Tensor
    view(Tensor(a) self, int[] size) -> Tensor(a)
""")(free)
operators(check=(view, view_dtype), exact=True, kind="view")("""
    view.dtype(Tensor(a) self, ScalarType dtype) -> Tensor(a)
""")(free)
operators(check=BY_KERNEL, exact=True, makes_complex=True, kind="view")(
    "view_as_complex(Tensor(a) self) -> Tensor(a)"
)(free)
operators(check=BY_KERNEL, exact=True, kind="view")("view_as_real(Tensor(a) self) -> Tensor(a)")(free)
operators(check=BY_KERNEL, dims="more", kind="view")("""
    unsqueeze(Tensor(a) self, int dim) -> Tensor(a)
    unsqueeze_(Tensor(a!) self, int dim) -> Tensor(a!) : inplace_view
""")(free)
operators(check=BY_KERNEL, dims="more", kind="copy")("unsqueeze_copy(Tensor self, int dim) -> Tensor")(free)
operators(check=view, kind="copy")("view_copy(Tensor self, int[] size) -> Tensor")(free)
