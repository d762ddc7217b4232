"""Views: they must stay within the storage, and may not pack several elements into one."""

from haet_eval.counting.signature import TensorMeta
from haet_eval.remote.operators.call import Call
from haet_eval.remote.operators.validators.shapes import MAX_EXTENT, dimension, fits, has_shape
from haet_eval.remote.operators.validators.table import validator
from haet_eval.remote.wire import ITEM_BYTES


@validator("as_strided", "as_strided_", "as_strided_copy", "as_strided_scatter")
def as_strided(call: Call) -> None:
    sizes, strides = call.integers("size"), call.integers("stride")
    call.require(len(sizes) == len(strides), "size and stride must have as many entries")
    fits(call, sizes)
    call.require(all(stride >= 0 for stride in strides), "a stride is negative")
    offset = call["storage_offset"]
    start = call.tensor("self").offset if offset is None else call.integer("storage_offset")
    call.require(start >= 0, "the offset is negative")
    call.require(start <= MAX_EXTENT, "the offset is out of range")
    last = start + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    held = call.storage_bytes.get("self")
    call.require(held is not None, "the size of the storage is not known")
    end = 0 if 0 in sizes else (last + 1) * ITEM_BYTES[call.tensor("self").dtype]
    call.require(end <= (held or 0), "the view would leave its storage")
    has_shape(call, "src", sizes)


@validator("expand", "expand_copy")
def expand(call: Call) -> None:
    shown, sizes = call.tensor("self"), call.integers("size")
    call.require(len(sizes) >= shown.ndim, "size has too few entries")
    new = len(sizes) - shown.ndim
    shape = [
        shown.shape[place - new] if size == -1 and place >= new else size for place, size in enumerate(sizes)
    ]
    fits(call, shape)


@validator("aten.view.dtype")
def view_dtype(call: Call) -> None:
    """The number of elements must stay: two floats seen as one would be half as many parameters."""
    old, new = call.tensor("self").dtype, str(call["dtype"])
    call.require(
        ITEM_BYTES[old] == ITEM_BYTES[new], "a view must keep the size of an element; convert with .to()"
    )
    call.require(
        old.startswith("complex") == new.startswith("complex"),
        "a view must keep pairs of numbers pairs; use view_as_real or view_as_complex",
    )
    call.require(new != "bool" or old == "bool", "a view must not make truth values; compare with 0")


@validator("_neg_view")
def neg_view(call: Call) -> None:
    """PyTorch makes such a view of truth values, and then can neither read it nor compute with it."""
    call.require(call.tensor("self").dtype != "bool", "truth values cannot be negated; call logical_not")


@validator("view", "_unsafe_view", "view_copy")
def view(call: Call) -> None:
    sizes = call.integers("size")
    if sizes or "size" in call.arguments:
        call.require(
            sum(size < 0 for size in sizes) <= 1 and min(sizes, default=0) >= -1, "a size is negative"
        )
        fits(call, [max(size, 1) for size in sizes])


@validator("unfold", "unfold_copy")
def unfold(call: Call) -> None:
    fits(call, _unfolded(call, call.tensor("self").shape, "dimension"))


@validator("unfold_backward")
def unfold_backward(call: Call) -> None:
    sizes = call.integers("input_sizes")
    fits(call, sizes)
    has_shape(call, "grad_in", _unfolded(call, sizes, "dim"))


def _unfolded(call: Call, shape: tuple[int, ...], name: str) -> tuple[int, ...]:
    size, step = call.integer("size"), call.integer("step")
    if not shape:
        call.require(0 <= size <= 1 and step > 0, "the window is larger than the dimension")
        return (size,)
    place = dimension(call, call.integer(name), len(shape))
    call.require(0 <= size <= shape[place] and step > 0, "the window is larger than the dimension")
    count = (shape[place] - size) // step + 1
    return (*shape[:place], count, *shape[place + 1 :], size)


@validator("masked_scatter_backward")
def into_sizes(call: Call) -> None:
    """A size of -1 would become the number of selected elements: it depends on data, and would be free."""
    fits(call, call.integers("sizes"))


@validator("select_backward", "slice_backward", "diagonal_backward")
def into_zeros(call: Call) -> None:
    fits(call, call.integers("input_sizes"))


@validator("repeat")
def repeat(call: Call) -> None:
    shown, repeats = call.tensor("self"), call.integers("repeats")
    call.require(len(repeats) >= shown.ndim, "repeats has too few entries")
    fits(call, repeats)
    sizes = (1,) * (len(repeats) - shown.ndim) + shown.shape
    fits(call, [size * times for size, times in zip(sizes, repeats, strict=True)])


@validator("set_")
def set_from_tensor(call: Call) -> None:
    shown, source = call.tensor("self"), call.tensor("source")
    call.require(shown.dtype == source.dtype, "self and source must have one dtype")


@validator("diag_embed")
def diag_embed(call: Call) -> None:
    shown, offset = call.tensor("self"), call.integer("offset")
    call.require(abs(offset) < 2**31 and shown.ndim > 0, "the offset is out of range")
    side = shown.shape[-1] + abs(offset)
    fits(call, (*shown.shape[:-1], side, side))


@validator("median", "nanmedian")
def median(call: Call) -> None:
    shown: TensorMeta = call.tensor("self")
    if "dim" in call.arguments:
        pairs = zip(shown.shape, shown.stride, strict=True)
        repeated = any(size > 1 and stride == 0 for size, stride in pairs)
        call.require(not repeated, "its kernel cannot take an expanded tensor; call .contiguous() first")
