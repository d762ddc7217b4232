"""Normalisations: the price of their definition. |in| = elements of the input.

Forward: mean, centre, square, sum, scale by 1/σ, multiply by γ, add β: 7|in|, and for each statistic
add eps and take the reciprocal root.
"""

from math import prod

from haet_eval.counting.prices.output_mask import output_mask
from haet_eval.counting.prices.reductions import folding
from haet_eval.counting.prices.table import overloads, price
from haet_eval.counting.signature import Signature, TensorMeta

_FUNCTION = ".default .out"
_RUNNING = 3
"""(1 − momentum) · running + momentum · new; the coefficient of the new variance makes it unbiased."""


def _normalised(inputs: int, statistics: int, affine: int) -> int:
    """Mean, centre, square, mean; eps, reciprocal root; scale; γ and β if present."""
    means = 2 * (folding(inputs, statistics) + statistics)
    return means + (3 + affine) * inputs + 2 * statistics


def _affine(signature: Signature) -> int:
    """How many of γ and β are present: 0, 1 or 2."""
    return sum(signature.arguments.get(name) is not None for name in ("weight", "bias"))


def _channels(data: TensorMeta) -> int:
    return data.shape[1]


def _batch_norm_training(signature: Signature) -> int:
    """7|in| + 2C: mean, centre, square, mean; eps, 1/σ; scale, γ, β. Running statistics 3C each."""
    data = signature.tensor("input")
    running = sum(signature.arguments.get(name) is not None for name in ("running_mean", "running_var"))
    channels = _channels(data)
    return _normalised(data.numel, channels, _affine(signature)) + _RUNNING * running * channels


def _batch_norm_evaluation(signature: Signature) -> int:
    """Centre, scale, γ, β, with 1/σ from the running variance."""
    data = signature.tensor("input")
    return (2 + _affine(signature)) * data.numel + 2 * _channels(data)


@price(
    *overloads("native_batch_norm cudnn_batch_norm miopen_batch_norm", _FUNCTION),
    *overloads("_native_batch_norm_legit", ".default .out .no_stats .no_stats_out"),
    "aten._native_batch_norm_legit_functional.default",
)
def _batch_norm(signature: Signature) -> int:
    """In training 7|in| + 2C and 3C for each running statistic; in evaluation 4|in| + 2C."""
    return _batch_norm_training(signature) if signature["training"] else _batch_norm_evaluation(signature)


price(*overloads("_batch_norm_with_update", _FUNCTION), "aten._batch_norm_with_update_functional.default")(
    _batch_norm_training
)
price(*overloads("_native_batch_norm_legit_no_training _batch_norm_no_update", _FUNCTION))(
    _batch_norm_evaluation
)


def _batch_norm_gradients(data: TensorMeta, mask: tuple[bool, ...], weighted: bool, training: bool) -> int:
    """x̂ again (2|in|); Σ g; Σ g · x̂; then γ/σ · (g − Σ g/N − x̂ · Σ g · x̂/N), or g · γ/σ in evaluation."""
    inputs, channels = data.numel, _channels(data)
    of_input, of_weight, of_bias = mask
    operations = 0
    if of_weight or (of_input and training):
        operations += 2 * inputs + inputs + folding(inputs, channels)
    if of_bias or (of_input and training):
        operations += folding(inputs, channels)
    if of_input:
        operations += (4 * inputs + 2 * channels if training else inputs) + weighted * channels
    if not training and (of_weight or of_input):
        operations += 2 * channels
    return operations


@price(*overloads("native_batch_norm_backward", _FUNCTION))
def _native_batch_norm_backward(signature: Signature) -> int:
    """9|in| + C for all three gradients; 6|in| + C in evaluation."""
    return _batch_norm_gradients(
        signature.tensor("input"),
        output_mask(signature),
        signature["weight"] is not None,
        bool(signature["train"]),
    )


@price("aten.batch_norm_backward.default")
def _batch_norm_backward(signature: Signature) -> int:
    """9|in| + C for all three gradients; 6|in| + C in evaluation."""
    return _batch_norm_gradients(
        signature.tensor("input"), output_mask(signature), weighted=True, training=bool(signature["update"])
    )


@price(*overloads("cudnn_batch_norm_backward miopen_batch_norm_backward", _FUNCTION))
def _cudnn_batch_norm_backward(signature: Signature) -> int:
    """9|in| + C."""
    return _batch_norm_gradients(signature.tensor("input"), (True, True, True), weighted=True, training=True)


@price(*overloads("native_layer_norm", _FUNCTION))
def _layer_norm(signature: Signature) -> int:
    """7|in| + 2R for R rows: mean, centre, square, mean; eps, 1/σ; scale, γ, β."""
    data = signature.tensor("input")
    return _normalised(data.numel, _rows(signature, data), _affine(signature))


def _rows(signature: Signature, data: TensorMeta) -> int:
    """How many rows of `normalized_shape` there are."""
    return data.numel // max(1, prod(signature.integers("normalized_shape")))


@price(*overloads("native_group_norm", _FUNCTION))
def _group_norm(signature: Signature) -> int:
    """7|in| + 2S for S groups of all samples: mean, centre, square, mean; eps, 1/σ; scale, γ, β."""
    data = signature.tensor("input")
    return _normalised(data.numel, _groups(signature), _affine(signature))


def _groups(signature: Signature) -> int:
    (samples,), (groups,) = signature.integers("N"), signature.integers("group")
    return samples * groups


def _gradients(inputs: int, statistics: int, parameters: int, mask: tuple[bool, ...], weighted: bool) -> int:
    """x̂ again; g · γ; Σ g · x̂ and Σ g; two means over each row; 1/σ · (g′ − a − x̂ · b)."""
    of_input, of_weight, of_bias = mask
    operations = 0
    if of_input or of_weight:
        operations += 2 * inputs
    if of_input:
        means = 2 * (folding(inputs, statistics) + statistics)
        operations += weighted * inputs + inputs + means + 4 * inputs
    if of_weight:
        operations += inputs + folding(inputs, parameters)
    if of_bias:
        operations += folding(inputs, parameters)
    return operations


@price(*overloads("native_layer_norm_backward", _FUNCTION))
def _layer_norm_backward(signature: Signature) -> int:
    """13|in| − 2D for all three gradients, with D elements of γ."""
    data = signature.tensor("input")
    return _gradients(
        data.numel,
        _rows(signature, data),
        prod(signature.integers("normalized_shape")),
        output_mask(signature),
        signature["weight"] is not None,
    )


@price(*overloads("native_group_norm_backward", _FUNCTION))
def _group_norm_backward(signature: Signature) -> int:
    """13|in| − 2C for all three gradients."""
    (channels,) = signature.integers("C")
    return _gradients(
        signature.tensor("input").numel,
        _groups(signature),
        channels,
        output_mask(signature),
        signature["weight"] is not None,
    )


@price("aten._fused_rms_norm.default")
def _rms_norm(signature: Signature) -> int:
    """x / √(mean(x²) + eps), times γ."""
    data = signature.tensor("input")
    statistics = _rows(signature, data)
    mean = folding(data.numel, statistics) + statistics
    return mean + (2 + _affine(signature)) * data.numel + 2 * statistics


@price("aten._fused_rms_norm_backward.default")
def _rms_norm_backward(signature: Signature) -> int:
    """x̂ again; g · γ; Σ g · x̂; the mean of g′ · x̂ over each row; 1/σ · (g′ − x̂ · b)."""
    data = signature.tensor("input")
    inputs, statistics = data.numel, _rows(signature, data)
    of_input, of_weight = output_mask(signature)
    weighted = signature["weight"] is not None
    operations = inputs if of_input or of_weight else 0
    if of_input:
        operations += weighted * inputs + inputs + folding(inputs, statistics) + statistics + 3 * inputs
    if of_weight:
        operations += inputs + folding(inputs, prod(signature.integers("normalized_shape")))
    return operations


@price(*overloads("_weight_norm_interface", _FUNCTION))
def _weight_norm(signature: Signature) -> int:
    """v · (g / ‖v‖), with a norm for each element of g."""
    direction, norms = signature.tensor("v").numel, signature.tensor("g").numel
    norm = direction + folding(direction, norms) + norms
    return norm + norms + direction


@price(*overloads("_weight_norm_interface_backward", _FUNCTION))
def _weight_norm_backward(signature: Signature) -> int:
    """Of g: Σ w′ · v / ‖v‖. Of v: g/‖v‖ · (w′ − v · (g′ / ‖v‖))."""
    direction, norms = signature.tensor("saved_v").numel, signature.tensor("saved_g").numel
    of_norm = direction + folding(direction, norms) + norms
    return of_norm + 2 * norms + 3 * direction
