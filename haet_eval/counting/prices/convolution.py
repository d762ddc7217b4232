"""Convolutions of every dimension: M products summed into n elements take 2M − n operations.

Padding is dense: a product with a padded zero counts as any other. If the stride passes over an element of
the input, no product falls on it, and it counts neither as a sum nor as an addition.
"""

from math import prod

from haet_eval.counting.prices.coverage import Axis
from haet_eval.counting.prices.output_mask import output_mask
from haet_eval.counting.prices.pointwise import is_complex
from haet_eval.counting.prices.reductions import folding
from haet_eval.counting.prices.table import NoPrice, overloads, price
from haet_eval.counting.signature import Signature, TensorMeta

_FUNCTION = ".default .out"


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
    geometry = (_per_axis(signature, name, spatial) for name in ("stride", "padding", "dilation"))
    axes = map(Axis, lengths, windows, weight.shape[2:], *geometry)
    return scattered.numel // max(1, prod(lengths)) * prod(axis.touched() for axis in axes)


def _per_axis(signature: Signature, name: str, spatial: int) -> tuple[int, ...]:
    """A value for each spatial axis; 1 if the operator has no such argument."""
    values = signature.integers(name) if name in signature.arguments else (1,)
    return values if len(values) == spatial else (values[0],) * spatial


def _filtered(signature: Signature) -> int:
    """A convolution without its bias."""
    _refuse_complex(signature)
    return _summed(_products(signature.out, signature.tensor("weight")), signature.out.numel)


def _transposed(signature: Signature, tensor: str) -> int:
    """A transposed convolution without its bias."""
    _refuse_complex(signature)
    scattering, weight = signature.tensor(tensor), signature.tensor("weight")
    return _summed(_products(scattering, weight), _reached(signature, signature.out, scattering, weight))


def _refuse_complex(signature: Signature) -> None:
    if is_complex(signature):
        raise NoPrice(signature.operator)


def _bias(signature: Signature) -> int:
    return 0 if signature.arguments.get("bias") is None else signature.out.numel


@price(*overloads("convolution _convolution convolution_overrideable", _FUNCTION))
def _convolution(signature: Signature) -> int:
    """With K = C_in / groups · kernel: n(2K − 1), and n with a bias."""
    filtered = _transposed(signature, "input") if signature["transposed"] else _filtered(signature)
    return filtered + _bias(signature)


@price(
    *overloads(
        "cudnn_convolution mkldnn_convolution miopen_convolution miopen_depthwise_convolution "
        "conv_depthwise3d _conv_depthwise2d slow_conv_dilated2d slow_conv_dilated3d "
        "_nnpack_spatial_convolution",
        _FUNCTION,
    ),
    *overloads("_slow_conv2d_forward slow_conv3d_forward", ".default .output"),
)
def _backend_convolution(signature: Signature) -> int:
    """With K = C_in / groups · kernel: n(2K − 1), and n with a bias."""
    return _filtered(signature) + _bias(signature)


@price(
    *overloads(
        "cudnn_convolution_transpose miopen_convolution_transpose slow_conv_transpose2d "
        "slow_conv_transpose3d",
        _FUNCTION,
    )
)
def _backend_transposed_convolution(signature: Signature) -> int:
    """2M − n for M products, and n with a bias."""
    return _transposed(signature, "self") + _bias(signature)


@price(*overloads("cudnn_convolution_relu", _FUNCTION))
def _convolution_relu(signature: Signature) -> int:
    """Convolution, bias, ReLU."""
    return _filtered(signature) + _bias(signature) + signature.out.numel


@price(*overloads("cudnn_convolution_add_relu", _FUNCTION))
def _convolution_add_relu(signature: Signature) -> int:
    """Convolution, bias, alpha · z added, ReLU."""
    scaled = signature["alpha"] not in (None, 1, -1)
    return _filtered(signature) + _bias(signature) + signature.out.numel * (2 + scaled)


@price(*overloads("conv_tbc", _FUNCTION))
def _convolution_tbc(signature: Signature) -> int:
    """Weight [kernel, C_in, C_out]; the bias is always there."""
    kernel, channels, _ = signature.tensor("weight").shape
    return 2 * signature.out.numel * kernel * channels


@price(*overloads("convolution_backward convolution_backward_overrideable", _FUNCTION))
def _convolution_backward(signature: Signature) -> int:
    """With M products: 2M − |x| for the input, 2M − |w| for the weight, |g| − C for the bias."""
    return _backward(signature, signature.tensor("input"), bool(signature["transposed"]))


@price("aten._slow_conv2d_backward.output_mask", "aten._slow_conv2d_backward.output_mask_out")
def _slow_convolution_backward(signature: Signature) -> int:
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
