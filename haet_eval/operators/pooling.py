"""Pooling over windows of k elements; padding is dense, so every window is full.

Checks: windows that lie in the input, and indices that the matching forward call has made.
"""

from collections.abc import Sequence
from math import gcd, prod

from haet_eval.operators.checking.call import Call
from haet_eval.operators.checking.dtypes import INTEGERS
from haet_eval.operators.checking.shapes import fits, has_shape, same_dtype, same_shape, spread
from haet_eval.operators.pricing.coverage import Axis, per_axis
from haet_eval.operators.signature import Signature, TensorMeta
from haet_eval.operators.table import operators

# The kernels of these gradients write where the indices say. To check millions of them at each call would
# cost a pass, so they must come from the forward call, unchanged (decision 0030).
_FORWARD = {
    "max_pool2d_with_indices_backward": "aten.max_pool2d_with_indices.default",
    "max_pool3d_with_indices_backward": "aten.max_pool3d_with_indices.default",
    "adaptive_max_pool2d_backward": "aten.adaptive_max_pool2d.default",
    "adaptive_max_pool3d_backward": "aten.adaptive_max_pool3d.default",
}


def windows(call: Call) -> None:
    shape = pooled(call, 3 if "3d" in call.operator.base else 2)
    has_shape(call, "grad_output", shape)
    has_shape(call, "indices", shape)
    same_dtype(call, "self", "grad_output")
    divisor = call.arguments.get("divisor_override")
    call.require(divisor != 0, "the divisor is zero")
    # A sum of integers may be the least one, and its quotient by -1 is a trap of the processor.
    whole = call.tensor("self").dtype in INTEGERS
    call.require(not (whole and divisor == -1), "the divisor of integers is -1; pool without it and negate")


def _shown(call: Call, count: int) -> TensorMeta:
    """The tensor to pool: one image, or a batch of them, with its channels."""
    shown = call.tensor("self")
    call.require(shown.ndim in {count + 1, count + 2}, "self has the wrong number of dimensions")
    return shown


def pooled(call: Call, count: int) -> tuple[int, ...]:
    """The shape that pooling over `count` dimensions gives."""
    shown = _shown(call, count)
    kernel = spread(call, "kernel_size", count)
    stride = spread(call, "stride", count, default=kernel)
    padding = spread(call, "padding", count)
    dilation = spread(call, "dilation", count) if "dilation" in call.arguments else (1,) * count
    ceil = call.integer("ceil_mode") == 1
    lead = shown.shape[:-count]
    call.require(all(size > 0 for size in shown.shape[-count - 1 :]), "self is empty")
    sizes = tuple(
        _pooled(call, *numbers, ceil)
        for numbers in zip(shown.shape[-count:], kernel, stride, padding, dilation, strict=True)
    )
    fits(call, (*lead, *sizes))
    return (*lead, *sizes)


def _pooled(call: Call, size: int, kernel: int, stride: int, padding: int, dilation: int, ceil: bool) -> int:
    call.require(kernel > 0 and stride > 0 and dilation > 0, "kernel, stride and dilation must be positive")
    call.require(max(kernel, stride, padding, dilation) < 2**31, "the window is too large")
    call.require(0 <= 2 * padding <= kernel, "padding must be at most half the kernel")
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    count = (room + (stride - 1 if ceil else 0)) // stride + 1
    # PyTorch drops a last window that would begin in the padding behind the input.
    if ceil and (count - 1) * stride >= size + padding:
        count -= 1
    call.require(count > 0, "the window is larger than the input")
    return count


def indices_of_the_forward(call: Call) -> None:
    call.require(call.tensor("indices").dtype == "int64", "indices must be int64")
    origin = call.origins.get("indices")
    forward = _FORWARD[call.operator.base]
    # Output 1 has the indices, output 0 the maxima. A tensor that was written since may hold any place.
    made = origin is not None and (origin.operator, origin.output) == (forward, 1) and origin.pristine
    call.require(made, "indices must be what the forward call has returned, unchanged")
    # For the type checker: `made` says so already.
    assert origin is not None
    source = origin.arguments["self"]
    shown = call.tensor("self")
    # Indices of a larger input are places outside of this one.
    call.require(getattr(source, "shape", None) == shown.shape, "indices belong to an input of another shape")


def adaptive(call: Call) -> None:
    count = 3 if "3d" in call.operator.base else 2
    shown = _shown(call, count)
    sizes = spread(call, "output_size", count)
    call.require(all(size > 0 for size in shown.shape[1:]), "self is empty")
    fits(call, (*shown.shape[:-count], *sizes))


def adaptive_backward(call: Call) -> None:
    count = 3 if "3d" in call.operator.base else 2
    shown, gradient = _shown(call, count), call.tensor("grad_output")
    call.require(gradient.ndim == shown.ndim, "grad_output and self must have as many dimensions")
    call.require(
        gradient.shape[:-count] == shown.shape[:-count], "grad_output and self must agree but for size"
    )
    call.require(all(size > 0 for size in (*shown.shape[1:], *gradient.shape[1:])), "a tensor is empty")
    same_dtype(call, "self", "grad_output")
    same_shape(call, *(("grad_output", "indices") if "indices" in call.arguments else ("grad_output",)))


def unpool(call: Call) -> None:
    count = 3 if "3d" in call.operator.base else 2
    shown = _shown(call, count)
    call.require(call.tensor("indices").dtype == "int64", "indices must be int64")
    same_shape(call, "self", "indices")
    fits(call, (*shown.shape[:-count], *spread(call, "output_size", count)))
    for name in ("stride", "padding"):
        if name in call.arguments:
            spread(call, name, count)


@operators(check=windows)("""
    max_pool2d_with_indices(Tensor self, int[2] kernel_size, int[2] stride=[], int[2] padding=0, int[2]
        dilation=1, bool ceil_mode=False) -> (Tensor, Tensor)
    max_pool3d_with_indices(Tensor self, int[3] kernel_size, int[3] stride=[], int[3] padding=0, int[3]
        dilation=1, bool ceil_mode=False) -> (Tensor, Tensor)
""")
def _max_pool(s: Signature) -> int:
    """k − 1 comparisons per output."""
    return s.out.numel * (_window(s) - 1)


@operators(check=(windows, indices_of_the_forward), guard="chosen_in_plane", by_origin=True)("""
    max_pool2d_with_indices_backward(Tensor grad_output, Tensor self, int[2] kernel_size, int[2] stride,
        int[2] padding, int[2] dilation, bool ceil_mode, Tensor indices) -> Tensor
""")
@operators(check=(windows, indices_of_the_forward), guard="chosen_in_space", by_origin=True)("""
    max_pool3d_with_indices_backward(Tensor grad_output, Tensor self, int[3] kernel_size, int[3] stride,
        int[3] padding, int[3] dilation, bool ceil_mode, Tensor indices) -> Tensor
""")
def _max_pool_backward(s: Signature) -> int:
    """Each gradient is written to the place of its maximum; windows that overlap add it: 2 each."""
    return s.tensor("grad_output").numel * (2 if _overlap(s) else 1)


def _overlap(s: Signature) -> bool:
    """Whether some element is in two windows."""
    dimensions = _dimensions(s)
    lengths, windows = s.out.shape[-dimensions:], s.tensor("grad_output").shape[-dimensions:]
    names = ("kernel_size", "stride", "padding", "dilation")
    kernel, stride, padding, dilation = (per_axis(s.integers(name), dimensions) for name in names)
    axes = map(Axis, lengths, windows, kernel, stride or kernel, padding, dilation)
    return any(axis.landed() != axis.touched() for axis in axes)


@operators(check=(indices_of_the_forward, adaptive_backward), guard="chosen_in_plane", by_origin=True)("""
    adaptive_max_pool2d_backward(Tensor grad_output, Tensor self, Tensor indices) -> Tensor
""")
@operators(check=(indices_of_the_forward, adaptive_backward), guard="chosen_in_space", by_origin=True)("""
    adaptive_max_pool3d_backward(Tensor grad_output, Tensor self, Tensor indices) -> Tensor
""")
def _adaptive_max_pool_backward(s: Signature) -> int:
    """As for fixed windows: 1 each if no two overlap, 2 if they may overlap. Windows at random places may."""
    gradient, dimensions = s.tensor("grad_output"), _dimensions(s)
    sizes = zip(s.out.shape[-dimensions:], gradient.shape[-dimensions:], strict=True)
    apart = "fractional" not in s.operator and all(_spans(length, count) <= length for length, count in sizes)
    return gradient.numel * (1 if apart else 2)


@operators(check=windows)("""
    avg_pool2d(Tensor self, int[2] kernel_size, int[2] stride=[], int[2] padding=0, bool ceil_mode=False, bool
        count_include_pad=True, int? divisor_override=None) -> Tensor
    avg_pool3d(Tensor self, int[3] kernel_size, int[3] stride=[], int[3] padding=0, bool ceil_mode=False, bool
        count_include_pad=True, int? divisor_override=None) -> Tensor
""")
def _avg_pool(s: Signature) -> int:
    """k − 1 additions and a division per output."""
    return s.out.numel * (_window(s) - 1 + _divides(s))


@operators(check=windows)("""
    avg_pool2d_backward(Tensor grad_output, Tensor self, int[2] kernel_size, int[2] stride, int[2] padding,
        bool ceil_mode, bool count_include_pad, int? divisor_override) -> Tensor
    avg_pool3d_backward(Tensor grad_output, Tensor self, int[3] kernel_size, int[3] stride, int[3] padding,
        bool ceil_mode, bool count_include_pad, int? divisor_override) -> Tensor
""")
def _avg_pool_backward(s: Signature) -> int:
    """Divide each gradient and add it to k places."""
    return s.tensor("grad_output").numel * (_window(s) + _divides(s))


def _divides(s: Signature) -> bool:
    return s.arguments.get("divisor_override") != 1


def _window(s: Signature) -> int:
    """Elements of a window; one kernel size stands for all dimensions."""
    return prod(per_axis(s.integers("kernel_size"), _dimensions(s)))


def _dimensions(s: Signature) -> int:
    return next(d for d in (1, 2, 3) if f"pool{d}d" in s.operator)


@operators(check=adaptive)("""
    adaptive_max_pool2d(Tensor self, int[2] output_size) -> (Tensor, Tensor)
    adaptive_max_pool3d(Tensor self, int[3] output_size) -> (Tensor, Tensor)
""")
def _adaptive_max_pool(s: Signature) -> int:
    """k − 1 comparisons per output, k being the size of its own window."""
    return _adaptive_elements(s, s.tensor("self"), s.out) - s.out.numel


@operators(check=adaptive)("""
    _adaptive_avg_pool2d(Tensor self, int[2] output_size) -> Tensor
    _adaptive_avg_pool3d(Tensor self, int[3] output_size) -> Tensor
""")
def _adaptive_avg_pool(s: Signature) -> int:
    """k − 1 additions and a division per output, k being the size of its own window."""
    return _adaptive_elements(s, s.tensor("self"), s.out)


@operators(check=adaptive_backward)("""
    _adaptive_avg_pool2d_backward _adaptive_avg_pool3d_backward(Tensor grad_output, Tensor self) -> Tensor
""")
def _adaptive_avg_pool_backward(s: Signature) -> int:
    """Divide each gradient and add it to every place of its window."""
    gradient = s.tensor("grad_output")
    return gradient.numel + _adaptive_elements(s, s.tensor("self"), gradient)


def _adaptive_elements(s: Signature, larger: TensorMeta, smaller: TensorMeta) -> int:
    """Elements in all windows together; window i of n spans ⌊i·L/n⌋ to ⌈(i + 1)·L/n⌉."""
    dimensions = _dimensions(s)
    planes = prod(larger.shape[:-dimensions])
    return planes * prod(
        _spans(length, count)
        for length, count in zip(larger.shape[-dimensions:], smaller.shape[-dimensions:], strict=True)
    )


def _spans(length: int, count: int) -> int:
    """Of the borders between neighbouring windows all but gcd − 1 cut an element, which lies in both."""
    return length + count - gcd(length, count) if count else 0


def fractional_max_pool(s: Signature) -> int:
    """Windows begin at random places: k indexed reads and k − 1 comparisons per output, and the places.

    The i-th of n places is ⌊(i + u)·α⌋ − ⌊u·α⌋ (Graham 2014, Fractional Max-Pooling), the last is fixed.
    """
    window = _window(s)
    planes = prod(s.tensor("random_samples").shape[:2])
    # Read by index, since n(k − 1) would make windows of one element a free gather (decision 0021).
    return s.out.numel * (2 * window - 1) + planes * _places(s.integers("output_size"))


def _places(counts: Sequence[int]) -> int:
    return sum(2 + 4 * (count - 1) for count in counts if count > 1)


@operators(check=unpool)("""
    max_unpool2d(Tensor self, Tensor indices, int[2] output_size) -> Tensor
    max_unpool3d(Tensor self, Tensor indices, int[3] output_size, int[3] stride, int[3] padding) -> Tensor
""")
def _max_unpool(s: Signature) -> int:
    """One indexed write per input."""
    return s.tensor("self").numel
