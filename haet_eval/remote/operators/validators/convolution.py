"""Convolution: the sizes follow from its geometry, and gradients must have these sizes."""

from haet_eval.remote.operators.call import Call
from haet_eval.remote.operators.validators.shapes import MAX_EXTENT, fits, has_shape, same_dtype, spread
from haet_eval.remote.operators.validators.table import validator


@validator("convolution", "convolution_backward")
def convolution(call: Call) -> None:
    shown, weight = call.tensor("input"), call.tensor("weight")
    count = shown.ndim - 2
    call.require(
        1 <= count <= 3 and weight.ndim == shown.ndim, "input and weight must have 3, 4 or 5 dimensions"
    )
    same_dtype(call, "input", "weight", "bias", "grad_output")
    channels = _channels(call)
    stride, padding, dilation, extra = (
        spread(call, name, count) for name in ("stride", "padding", "dilation", "output_padding")
    )
    call.require(all(value > 0 for value in (*stride, *dilation)), "stride and dilation must be positive")
    call.require(all(value >= 0 for value in (*padding, *extra)), "padding must not be negative")
    call.require(max((*stride, *padding, *dilation, *extra)) < 2**31, "the geometry is too large")
    resize = _grown if call["transposed"] else _shrunk
    sizes = tuple(
        resize(*numbers)
        for numbers in zip(shown.shape[2:], weight.shape[2:], stride, padding, dilation, extra, strict=True)
    )
    call.require(all(0 < size <= MAX_EXTENT for size in sizes), "the kernel is larger than the input")
    shape = (shown.shape[0], channels, *sizes)
    fits(call, shape)
    has_shape(call, "bias", (channels,))
    has_shape(call, "grad_output", shape)
    if "bias_sizes" in call.arguments and call.arguments["bias_sizes"] is not None:
        call.require(
            call.integers("bias_sizes") in {(channels,), (0,)}, "bias_sizes is not that of the output"
        )


def _channels(call: Call) -> int:
    """Channels of the output."""
    shown, weight, groups = call.tensor("input"), call.tensor("weight"), call.integer("groups")
    first, second = weight.shape[:2]
    call.require(groups > 0 and first > 0 and second > 0, "weight is empty, or groups not positive")
    call.require(all(size > 0 for size in weight.shape[2:]), "the kernel is empty")
    inputs, outputs = (first, second * groups) if call["transposed"] else (second * groups, first)
    call.require(shown.shape[1] == inputs, "input has other channels than weight asks for")
    call.require(first % groups == 0, "groups must divide the channels")
    return outputs


def _shrunk(size: int, kernel: int, stride: int, padding: int, dilation: int, _extra: int) -> int:
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def _grown(size: int, kernel: int, stride: int, padding: int, dilation: int, extra: int) -> int:
    return (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + extra + 1


@validator("im2col", "col2im")
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
        max(0, _shrunk(*numbers, 0)) for numbers in zip(image, kernel, stride, padding, dilation, strict=True)
    ]
    fits(call, (*shown.shape[:-2], *image))
    fits(call, (*shown.shape[:-2], *kernel, *places))
