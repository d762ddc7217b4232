"""Convolutions of every dimension: M products summed into n elements take 2M − n operations.

Padding is dense: a product with a padded zero counts as any other. If the stride passes over an element of
the input, no product falls on it, and it counts neither as a sum nor as an addition.

Checks: the sizes follow from the geometry, and gradients must have these sizes.
"""

from math import prod

from haet_eval.operators.checking.call import Call
from haet_eval.operators.checking.shapes import MAX_EXTENT, fits, has_shape, same_dtype, shrunk, spread
from haet_eval.operators.pointwise import has_complex
from haet_eval.operators.pricing.coverage import Axis, per_axis
from haet_eval.operators.pricing.output_mask import output_mask
from haet_eval.operators.reductions import folding
from haet_eval.operators.signature import Signature, TensorMeta
from haet_eval.operators.table import NoPrice, operators


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
    axes = zip(shown.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True)
    sizes = (
        [_grown(*axis, more) for axis, more in zip(axes, extra, strict=True)]
        if call["transposed"]
        else [shrunk(*axis) for axis in axes]
    )
    call.require(all(0 < size <= MAX_EXTENT for size in sizes), "the kernel is larger than the input")
    shape = (shown.shape[0], channels, *sizes)
    fits(call, shape)
    has_shape(call, "bias", (channels,))
    has_shape(call, "grad_output", shape)
    # Autograd sends (0,) for a convolution without a bias.
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


def _grown(size: int, kernel: int, stride: int, padding: int, dilation: int, extra: int) -> int:
    return (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + extra + 1


def _products(gathering: TensorMeta, weight: TensorMeta) -> int:
    """Products of a convolution, of its transpose and of their backward.

    Args:
        gathering: the output of a convolution, or the input of a transposed one: each of its elements
            meets a whole filter.
        weight: filters first: [C_out, C_in / groups, …], transposed [C_in, C_out / groups, …].
    """
    return gathering.numel * prod(weight.shape[1:])


def _summed(products: int, sums: int) -> int:
    """The multiplications, and the additions that fold them into so many sums."""
    return products + folding(products, sums)


def _reached(signature: Signature, scattered: TensorMeta, gathering: TensorMeta, weight: TensorMeta) -> int:
    """Elements of `scattered` on which at least one product falls."""
    spatial = weight.ndim - 2
    lengths, windows = scattered.shape[-spatial:], gathering.shape[-spatial:]
    # An operator without one of these steps by 1.
    steps = (
        signature.integers(name) if name in signature.arguments else (1,)
        for name in ("stride", "padding", "dilation")
    )
    geometry = (per_axis(values, spatial) for values in steps)
    # No product reaches some elements if the stride is above the kernel, and these save no addition (decision
    # 0010). They are counted in closed form, since a submission chooses the sizes.
    axes = map(Axis, lengths, windows, weight.shape[2:], *geometry)
    # A spatial size may be 0.
    return scattered.numel // max(1, prod(lengths)) * prod(axis.touched() for axis in axes)


def _filtered(signature: Signature) -> int:
    """A convolution without its bias."""
    _refuse_complex(signature)
    return _summed(_products(signature.out, signature.tensor("weight")), signature.out.numel)


def _transposed(signature: Signature, tensor: str) -> int:
    """A transposed convolution without its bias."""
    _refuse_complex(signature)
    scattering, weight = signature.tensor(tensor), signature.tensor("weight")
    return _summed(_products(scattering, weight), _reached(signature, signature.out, scattering, weight))


# The standard has no price for complex convolutions, and the real one would undercharge them.
def _refuse_complex(signature: Signature) -> None:
    if has_complex(signature):
        raise NoPrice(signature.operator)


def _bias(signature: Signature) -> int:
    return 0 if signature.arguments.get("bias") is None else signature.out.numel


@operators(check=convolution)("""
    convolution(Tensor input, Tensor weight, Tensor? bias, int[] stride, int[] padding, int[] dilation, bool
        transposed, int[] output_padding, int groups) -> Tensor
""")
def _convolution(signature: Signature) -> int:
    """With K = C_in / groups · kernel: n(2K − 1), and n with a bias."""
    filtered = _transposed(signature, "input") if signature["transposed"] else _filtered(signature)
    return filtered + _bias(signature)


def backend_convolution(signature: Signature) -> int:
    """With K = C_in / groups · kernel: n(2K − 1), and n with a bias."""
    return _filtered(signature) + _bias(signature)


def backend_transposed_convolution(signature: Signature) -> int:
    """2M − n for M products, and n with a bias."""
    return _transposed(signature, "self") + _bias(signature)


def convolution_relu(signature: Signature) -> int:
    """Convolution, bias, ReLU."""
    return _filtered(signature) + _bias(signature) + signature.out.numel


def convolution_add_relu(signature: Signature) -> int:
    """Convolution, bias, alpha · z added, ReLU."""
    scaled = signature["alpha"] not in (None, 1, -1)
    return _filtered(signature) + _bias(signature) + signature.out.numel * (2 + scaled)


def convolution_tbc(signature: Signature) -> int:
    """Weight [kernel, C_in, C_out]; the bias is always there."""
    kernel, channels, _ = signature.tensor("weight").shape
    return 2 * signature.out.numel * kernel * channels


@operators(check=convolution)("""
    convolution_backward(Tensor grad_output, Tensor input, Tensor weight, int[]? bias_sizes, int[] stride,
        int[] padding, int[] dilation, bool transposed, int[] output_padding, int groups, bool[3] output_mask)
        -> (Tensor, Tensor, Tensor)
""")
def _convolution_backward(signature: Signature) -> int:
    """With M products: 2M − |x| for the input, 2M − |w| for the weight, |g| − C for the bias."""
    return _backward(signature, signature.tensor("input"), bool(signature["transposed"]))


def slow_convolution_backward(signature: Signature) -> int:
    """With M products: 2M − |x| for the input, 2M − |w| for the weight, |g| − C for the bias."""
    return _backward(signature, signature.tensor("self"), False)


def _backward(signature: Signature, data: TensorMeta, transposed: bool) -> int:
    _refuse_complex(signature)
    gradient, weight = signature.tensor("grad_output"), signature.tensor("weight")
    products = _products(data if transposed else gradient, weight)
    of_input, of_weight, of_bias = output_mask(signature)
    operations = 0
    if of_input:
        sums = data.numel if transposed else _reached(signature, data, gradient, weight)
        operations += _summed(products, sums)
    if of_weight:
        operations += _summed(products, weight.numel)
    if of_bias:
        operations += folding(gradient.numel, gradient.shape[1])
    return operations
