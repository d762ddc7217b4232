"""Pooling: windows that lie in the input, and indices that the matching forward call has made."""

from haet_eval.remote.operators.call import Call
from haet_eval.remote.operators.validators.dtypes import INTEGERS
from haet_eval.remote.operators.validators.shapes import fits, has_shape, same_dtype, same_shape, spread
from haet_eval.remote.operators.validators.table import validator

_FORWARD = {
    "max_pool2d_with_indices_backward": "aten.max_pool2d_with_indices.default",
    "max_pool3d_with_indices_backward": "aten.max_pool3d_with_indices.default",
    "adaptive_max_pool2d_backward": "aten.adaptive_max_pool2d.default",
    "adaptive_max_pool3d_backward": "aten.adaptive_max_pool3d.default",
}


@validator(
    "max_pool2d_with_indices",
    "max_pool3d_with_indices",
    "max_pool2d_with_indices_backward",
    "max_pool3d_with_indices_backward",
    "avg_pool2d",
    "avg_pool3d",
    "avg_pool2d_backward",
    "avg_pool3d_backward",
)
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


def pooled(call: Call, count: int) -> tuple[int, ...]:
    """The shape that pooling over `count` dimensions gives."""
    shown = call.tensor("self")
    call.require(shown.ndim in {count + 1, count + 2}, "self has the wrong number of dimensions")
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
    if ceil and (count - 1) * stride >= size + padding:
        count -= 1
    call.require(count > 0, "the window is larger than the input")
    return count


@validator(*_FORWARD)
def indices_of_the_forward(call: Call) -> None:
    call.require(call.tensor("indices").dtype == "int64", "indices must be int64")
    origin = call.origins.get("indices")
    forward = _FORWARD[call.operator.base]
    made = origin is not None and (origin.operator, origin.output) == (forward, 1) and origin.pristine
    call.require(made, "indices must be what the forward call has returned, unchanged")
    assert origin is not None
    source = origin.arguments["self"]
    shown = call.tensor("self")
    call.require(getattr(source, "shape", None) == shown.shape, "indices belong to an input of another shape")


@validator(
    "_adaptive_avg_pool2d",
    "_adaptive_avg_pool3d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
)
def adaptive(call: Call) -> None:
    count = 3 if "3d" in call.operator.base else 2
    shown = call.tensor("self")
    call.require(shown.ndim in {count + 1, count + 2}, "self has the wrong number of dimensions")
    sizes = spread(call, "output_size", count)
    call.require(all(size > 0 for size in shown.shape[1:]), "self is empty")
    fits(call, (*shown.shape[:-count], *sizes))


@validator(
    "_adaptive_avg_pool2d_backward",
    "_adaptive_avg_pool3d_backward",
    "adaptive_max_pool2d_backward",
    "adaptive_max_pool3d_backward",
)
def adaptive_backward(call: Call) -> None:
    count = 3 if "3d" in call.operator.base else 2
    shown, gradient = call.tensor("self"), call.tensor("grad_output")
    call.require(shown.ndim in {count + 1, count + 2}, "self has the wrong number of dimensions")
    call.require(gradient.ndim == shown.ndim, "grad_output and self must have as many dimensions")
    call.require(
        gradient.shape[:-count] == shown.shape[:-count], "grad_output and self must agree but for size"
    )
    call.require(all(size > 0 for size in (*shown.shape[1:], *gradient.shape[1:])), "a tensor is empty")
    same_dtype(call, "self", "grad_output")
    same_shape(call, *(("grad_output", "indices") if "indices" in call.arguments else ("grad_output",)))


@validator("max_unpool2d", "max_unpool3d")
def unpool(call: Call) -> None:
    count = 3 if "3d" in call.operator.base else 2
    shown = call.tensor("self")
    call.require(shown.ndim in {count + 1, count + 2}, "self has the wrong number of dimensions")
    call.require(call.tensor("indices").dtype == "int64", "indices must be int64")
    same_shape(call, "self", "indices")
    fits(call, (*shown.shape[:-count], *spread(call, "output_size", count)))
    for name in ("stride", "padding"):
        if name in call.arguments:
            spread(call, name, count)
