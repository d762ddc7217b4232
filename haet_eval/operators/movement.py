"""Moving data: views, copies, joining, padding, filling, factories are free.

Some operators look like movement but add, so they have a price: the backward of a padding or of an unfolding
sums the gradients that fall on one element.
"""

from math import prod

from haet_eval.operators.checking.call import Call
from haet_eval.operators.checking.shapes import dimension, fits, has_shape, same_dtype, shrunk, spread
from haet_eval.operators.checking.sizes import steps
from haet_eval.operators.pointwise import has_complex
from haet_eval.operators.pricing.coverage import Axis, union_length
from haet_eval.operators.signature import Signature
from haet_eval.operators.table import BY_KERNEL, OPTIONS, operators


def columns(call: Call) -> None:
    kernel, dilation, padding, stride = (
        spread(call, name, 2) for name in ("kernel_size", "dilation", "padding", "stride")
    )
    call.require(all(value > 0 for value in (*kernel, *dilation, *stride)), "the window must be positive")
    call.require(all(value >= 0 for value in padding), "padding must not be negative")
    call.require(max((*kernel, *dilation, *stride, *padding)) < 2**20, "the window is too large")
    shown = call.tensor("self")
    call.require(shown.ndim >= 2, "self has too few dimensions")
    image = spread(call, "output_size", 2) if "output_size" in call.arguments else shown.shape[-2:]
    places = [
        max(0, shrunk(*numbers)) for numbers in zip(image, kernel, stride, padding, dilation, strict=True)
    ]
    fits(call, (*shown.shape[:-2], *image))
    fits(call, (*shown.shape[:-2], *kernel, *places))


def constant_pad(call: Call) -> None:
    shown, pad = call.tensor("self"), call.integers("pad")
    call.require(len(pad) % 2 == 0 and len(pad) // 2 <= shown.ndim, "pad has the wrong number of entries")
    _padded(call, shown.shape, pad)


def _padded(call: Call, shape: tuple[int, ...], pad: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with `pad` added in pairs, the last dimension first."""
    sizes = list(shape)
    for place in range(len(pad) // 2):
        sizes[-1 - place] += pad[2 * place] + pad[2 * place + 1]
    # A crop and a pad that cancel give a small result, so each must be possible by itself.
    call.require(all(abs(amount) < 2**33 for amount in pad), "pad is out of range")
    fits(call, sizes)
    return tuple(sizes)


def border_pad(call: Call) -> None:
    count = int(call.operator.base.partition("_pad")[2][0])
    shown, pad = call.tensor("self"), call.integers("padding")
    call.require(shown.ndim in {count + 1, count + 2}, "self has the wrong number of dimensions")
    call.require(len(pad) == 2 * count, f"padding must have {2 * count} entries")
    call.require(all(size > 0 for size in shown.shape[1:]), "self is empty")
    call.require(shown.ndim == count + 2 or shown.numel > 0, "self is empty")
    shape = _padded(call, shown.shape, pad)
    call.require(all(size > 0 for size in shape[1:]), "nothing would be left")
    if call.operator.base.startswith("reflection"):
        pairs = zip(reversed(shown.shape), pad[::2], pad[1::2], strict=False)
        call.require(
            all(max(before, after) < size for size, before, after in pairs), "padding exceeds the size"
        )
    has_shape(call, "grad_output", shape)
    same_dtype(call, "self", "grad_output")


def pixel_shuffle(call: Call) -> None:
    factor = call.integer("upscale_factor" if "upscale_factor" in call.arguments else "downscale_factor")
    call.require(0 < factor < 2**16, "the factor is out of range")


def channel_shuffle(call: Call) -> None:
    shown, groups = call.tensor("self"), call.integer("groups")
    call.require(shown.ndim >= 3 and shown.numel > 0, "self must have channels and pixels")
    call.require(groups > 0 and shown.shape[1] % groups == 0, "groups must divide the channels")


def unfold(call: Call) -> None:
    fits(call, _unfolded(call, call.tensor("self").shape, "dimension"))


def unfold_backward(call: Call) -> None:
    sizes = call.integers("input_sizes")
    fits(call, sizes)
    has_shape(call, "grad_in", _unfolded(call, sizes, "dim"))


def _unfolded(call: Call, shape: tuple[int, ...], name: str) -> tuple[int, ...]:
    size, step = call.integer("size"), call.integer("step")
    # PyTorch unfolds a number as a row of one element.
    if not shape:
        call.require(0 <= size <= 1 and step > 0, "the window is larger than the dimension")
        return (size,)
    place = dimension(call, call.integer(name), len(shape))
    call.require(0 <= size <= shape[place] and step > 0, "the window is larger than the dimension")
    count = (shape[place] - size) // step + 1
    return (*shape[:place], count, *shape[place + 1 :], size)


def into_zeros(call: Call) -> None:
    fits(call, call.integers("input_sizes"))


def repeat(call: Call) -> None:
    shown, repeats = call.tensor("self"), call.integers("repeats")
    call.require(len(repeats) >= shown.ndim, "repeats has too few entries")
    # By themselves as well: a size of 0 would hide any number of repetitions.
    fits(call, repeats)
    sizes = (1,) * (len(repeats) - shown.ndim) + shown.shape
    fits(call, [size * times for size, times in zip(sizes, repeats, strict=True)])


def diag_embed(call: Call) -> None:
    shown, offset = call.tensor("self"), call.integer("offset")
    call.require(abs(offset) < 2**31 and shown.ndim > 0, "the offset is out of range")
    side = shown.shape[-1] + abs(offset)
    fits(call, (*shown.shape[:-1], side, side))


def free(signature: Signature) -> int:  # noqa: ARG001
    """No operation: the call computes nothing from the data."""
    return 0


operators(check=BY_KERNEL, kind="arrangement")("""
    block_diag(Tensor[] tensors) -> Tensor
    cat(Tensor[] tensors, int dim=0) -> Tensor
    diagonal_scatter(Tensor self, Tensor src, int offset=0, int dim1=0, int dim2=1) -> Tensor
    fill[_].Scalar(Tensor self, Scalar value) -> Tensor
    fill[_].Tensor(Tensor self, Tensor value) -> Tensor
    flip(Tensor self, int[] dims) -> Tensor
    roll(Tensor self, int[1] shifts, int[1] dims=[]) -> Tensor
    rot90(Tensor self, int k=1, int[] dims=[0, 1]) -> Tensor
    select_scatter(Tensor self, Tensor src, int dim, int index) -> Tensor
    slice_scatter(Tensor self, Tensor src, int dim=0, int? start=None, int? end=None, int step=1) -> Tensor
    tril[_] triu[_](Tensor self, int diagonal=0) -> Tensor
    zero_(Tensor(a!) self) -> Tensor(a!)
""")(free)
operators(check=channel_shuffle, kind="arrangement")("channel_shuffle(Tensor self, int groups) -> Tensor")(
    free
)
operators(check=constant_pad, kind="arrangement")("""
    constant_pad_nd(Tensor self, int[] pad, Scalar value=0) -> Tensor
""")(free)
operators(check=BY_KERNEL, makes_complex=True, kind="arrangement")(
    "complex(Tensor real, Tensor imag) -> Tensor"
)(free)
operators(check=BY_KERNEL, dims="more", kind="arrangement")("stack(Tensor[] tensors, int dim=0) -> Tensor")(
    free
)
operators(check=diag_embed, dims="more", kind="arrangement")("""
    diag_embed(Tensor self, int offset=0, int dim1=-2, int dim2=-1) -> Tensor
""")(free)
operators(check=into_zeros, dims="others", kind="arrangement")("""
    diagonal_backward(Tensor grad_output, int[] input_sizes, int offset, int dim1, int dim2) -> Tensor
    select_backward(Tensor grad_output, int[] input_sizes, int dim, int index) -> Tensor
    slice_backward(Tensor grad_output, int[] input_sizes, int dim, int start, int end, int step) -> Tensor
""")(free)
operators(check=BY_KERNEL, kind="bookkeeping")("""
    _has_same_storage_numel is_same_size(Tensor self, Tensor other) -> bool
    _linalg_check_errors(Tensor info, str api_name, *, bool is_matrix) -> ()
    _local_scalar_dense(Tensor self) -> Scalar : dynamic
""")(free)
operators(check=columns, kind="arrangement")("""
    im2col(Tensor self, int[2] kernel_size, int[2] dilation, int[2] padding, int[2] stride) -> Tensor
""")(free)
operators(check=pixel_shuffle, kind="arrangement")("""
    pixel_shuffle(Tensor self, int upscale_factor) -> Tensor
    pixel_unshuffle(Tensor self, int downscale_factor) -> Tensor
""")(free)
operators(check=border_pad, kind="arrangement")("""
    reflection_pad1d replication_pad1d(Tensor self, int[2] padding) -> Tensor
    reflection_pad2d replication_pad2d(Tensor self, int[4] padding) -> Tensor
    reflection_pad3d replication_pad3d(Tensor self, int[6] padding) -> Tensor
""")(free)
operators(check=repeat, kind="arrangement")("repeat(Tensor self, int[] repeats) -> Tensor")(free)
operators(check=unfold, kind="view")("""
    unfold(Tensor(a) self, int dimension, int size, int step) -> Tensor(a)
""")(free)
operators(check=unfold, kind="copy")("""
    unfold_copy(Tensor self, int dimension, int size, int step) -> Tensor
""")(free)


def sign_change(signature: Signature) -> int:
    """One negation of each element; none for the conjugate of real numbers."""
    # A negation changes both parts of a complex number, a conjugate one.
    parts = 2 if "_neg_view" in signature.operator and has_complex(signature) else 1
    return signature.out.numel * parts if has_complex(signature) or "_neg_view" in signature.operator else 0


@operators(check=steps)(f"""
    linspace.Scalar_Tensor(Scalar start, Tensor end, int steps, *, {OPTIONS}) -> Tensor
    linspace.Tensor_Scalar(Tensor start, Scalar end, int steps, *, {OPTIONS}) -> Tensor
    linspace.Tensor_Tensor(Tensor start, Tensor end, int steps, *, {OPTIONS}) -> Tensor
""")
def _spaced(signature: Signature) -> int:
    """Between ends that are data: start + i · step, and a power for logspace; the step is two more."""
    each = 3 if "logspace" in signature.operator else 2
    return signature.out.numel * each + 2


@operators(check=border_pad)("""
    reflection_pad1d_backward replication_pad1d_backward(Tensor grad_output, Tensor self, int[2] padding) ->
        Tensor
    reflection_pad2d_backward replication_pad2d_backward(Tensor grad_output, Tensor self, int[4] padding) ->
        Tensor
    reflection_pad3d_backward replication_pad3d_backward(Tensor grad_output, Tensor self, int[6] padding) ->
        Tensor
""")
def _pad_backward(signature: Signature) -> int:
    """Sums the gradients of an element and of its images in the padding."""
    padding = signature.integers("padding")
    padded = len(padding) // 2
    axes = reversed(signature.out.shape[-padded:])
    kept = prod(signature.out.shape[:-padded])
    for axis, length in enumerate(axes):
        left, right = padding[2 * axis : 2 * axis + 2]
        kept *= _kept(length, left, right, reflected="reflection" in signature.operator)
    # Of the gradients that fall on one element all but the first are added.
    return signature.tensor("grad_output").numel - kept


def _kept(length: int, left: int, right: int, *, reflected: bool) -> int:
    """Positions of an axis that its padding leaves in the result; negative padding crops.

    The result shows the places from −left to length + right − 1 of the axis. One outside of the axis repeats
    its first or last position, or is the mirror image of a place within it. A crop may go beyond the axis and
    leave some of the images only.
    """
    last, end = length - 1, length + right
    if reflected:
        shown = (max(0, -left), min(length, end))
        before = (1 - min(0, end), left + 1)
        behind = (last - right, 2 * last - max(length, -left) + 1)
        # As a union: a crop on one side cuts the images on the other, and simple sums once gave a negative
        # price, which paid back the cost of other calls.
        return union_length(sorted((shown, before, behind)), length)
    return union_length([(min(last, max(0, -left)), max(1, min(length, end)))], length)


@operators(check=unfold_backward, dims="others")("""
    unfold_backward(Tensor grad_in, int[] input_sizes, int dim, int size, int step) -> Tensor
""")
def _unfold_backward(signature: Signature) -> int:
    """Sums the gradients of the windows that share an element."""
    sizes, gradient = signature.integers("input_sizes"), signature.tensor("grad_in")
    if not sizes:
        return 0
    (dim,), (size,), (step,) = (signature.integers(name) for name in ("dim", "size", "step"))
    axis = dim % len(sizes)
    touched = Axis(sizes[axis], gradient.shape[axis], size, step).touched()
    return gradient.numel - prod(sizes[:axis]) * prod(sizes[axis + 1 :]) * touched


@operators(check=columns)("""
    col2im(Tensor self, int[2] output_size, int[2] kernel_size, int[2] dilation, int[2] padding, int[2]
        stride) -> Tensor
""")
def _col2im(signature: Signature) -> int:
    """Sums the columns' values that fall on one pixel; those that fall on padding are dropped."""
    names = ("output_size", "kernel_size", "stride", "padding", "dilation")
    axes = [_axis(*values) for values in zip(*map(signature.integers, names), strict=True)]
    landed, touched = prod(axis.landed() for axis in axes), prod(axis.touched() for axis in axes)
    columns = signature.tensor("self")
    planes = columns.numel // max(1, prod(signature.integers("kernel_size")) * columns.shape[-1])
    return planes * (landed - touched)


def _axis(length: int, kernel: int, stride: int, padding: int, dilation: int) -> Axis:
    windows = (length + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    return Axis(length, windows, kernel, stride, padding, dilation)
