"""Normalisations: the price of their definition. |in| = elements of the input.

Forward: mean, centre, square, sum, scale by 1/σ, multiply by γ, add β: 7|in|, and for each statistic
add eps and take the reciprocal root.

Checks: every vector must be as long as the channels that it belongs to.
"""

from math import prod

from haet_eval.operators.checking.call import Call
from haet_eval.operators.checking.dtypes import FLOATS
from haet_eval.operators.checking.shapes import has_shape, is_contiguous, same_dtype, same_shape
from haet_eval.operators.pricing.output_mask import output_mask
from haet_eval.operators.reductions import folding
from haet_eval.operators.signature import Signature, TensorMeta
from haet_eval.operators.table import operators

_RUNNING = 3
"""(1 − momentum) · running + momentum · new; the coefficient of the new variance makes it unbiased."""
_VECTORS = ("weight", "bias", "running_mean", "running_var")
_SAVED = ("save_mean", "save_invstd", "save_var")


def batch_norm(call: Call) -> None:
    _batch_norm_vectors(call)
    # Operators without this argument do not train, but for those whose schema demands the statistics.
    if not call.arguments.get("training", False):
        _needs(call, "running_mean", "running_var")


def batch_norm_backward(call: Call) -> None:
    _batch_norm_vectors(call)
    same_shape(call, "grad_out", "input")
    same_dtype(call, "grad_out", "input")
    call.require(call.tensor("input").numel > 0, "input is empty")
    # `batch_norm_backward` calls it `update`.
    training = bool(call.arguments.get("train", call.arguments.get("update")))
    saved = [name for name in _SAVED if name in call.arguments]
    channels = call.tensor("input").shape[1]
    for name in saved:
        tensor = call.optional_tensor(name)
        # The forward returns empty statistics in evaluation.
        if tensor is not None and (training or tensor.numel > 0):
            has_shape(call, name, (channels,))
            _is_companion(call, name)
    # The schema lets all statistics be absent, and which of them the kernel reads depends on the mode.
    _needs(call, *(saved if training else ("running_mean", "running_var")))


def _batch_norm_vectors(call: Call) -> None:
    shown = call.tensor("input")
    call.require(shown.ndim >= 2 and shown.dtype in FLOATS, "input must be floats with channels")
    call.require(shown.shape[1] > 0, "input has no channels")
    for name in _VECTORS:
        has_shape(call, name, shown.shape[1:2])
        _is_companion(call, name)
    same_dtype(call, *(name for name in _VECTORS if name in call.arguments))
    one, other = (call.optional_tensor(name) for name in ("running_mean", "running_var"))
    # A kernel that is given one without the other can end the process (`test_known_crashers.py`).
    call.require((one is None) == (other is None), "running_mean and running_var go together")


def _is_companion(call: Call, name: str) -> None:
    """A vector that goes with the input has the input's dtype, or float32 if the input has shorter floats."""
    tensor = call.optional_tensor(name)
    if tensor is not None:
        allowed = {call.tensor("input").dtype, "float32"}
        call.require(tensor.dtype in allowed, f"{name} must have the dtype of input, or float32")
        call.require(is_contiguous(tensor), f"{name} must be contiguous")


def _needs(call: Call, *names: str) -> None:
    for name in names:
        call.tensor(name)


def layer_norm(call: Call) -> None:
    shown, normalized = call.tensor("input"), call.integers("normalized_shape")
    call.require(0 < len(normalized) <= shown.ndim, "normalized_shape has more dimensions than input")
    call.require(shown.shape[-len(normalized) :] == normalized, "normalized_shape is not that of input")
    call.require(shown.dtype in FLOATS, "input must be floats")
    for name in ("weight", "bias"):
        has_shape(call, name, normalized)
        _is_companion(call, name)
    same_dtype(call, "weight", "bias")


def layer_norm_backward(call: Call) -> None:
    shown = call.tensor("input")
    outer = shown.shape[: -len(call.integers("normalized_shape"))]
    same_shape(call, "grad_out", "input")
    same_dtype(call, "grad_out", "input")
    same_dtype(call, "mean", "rstd")
    for name in ("mean", "rstd"):
        call.require(call.tensor(name).numel == prod(outer), f"{name} must have one element a row")
        _is_companion(call, name)


def group_norm(call: Call) -> None:
    shown = call.tensor("input")
    samples, channels, groups = (call.integer(name) for name in ("N", "C", "group"))
    call.require(shown.ndim >= 2 and shown.shape[:2] == (samples, channels), "N and C are not those of input")
    call.require(call.integer("HxW") == prod(shown.shape[2:]), "HxW is not that of input")
    call.require(0 < groups <= channels and channels % groups == 0, "groups must divide the channels")
    call.require(shown.dtype in FLOATS, "input must be floats")
    for name in ("weight", "bias"):
        has_shape(call, name, (channels,))
        _is_companion(call, name)
    for name in ("mean", "rstd"):
        has_shape(call, name, (samples, groups))
        _is_companion(call, name)
    same_dtype(call, "weight", "bias")
    if "grad_out" in call.arguments:
        same_shape(call, "grad_out", "input")
        same_dtype(call, "grad_out", "input")
        same_dtype(call, "mean", "rstd")


def weight_norm(call: Call) -> None:
    _direction_and_length(call, "v", "g")
    for name in ("v", "g"):
        call.require(is_contiguous(call.tensor(name)), f"{name} must be contiguous")
    same_dtype(call, "v", "g")


def weight_norm_backward(call: Call) -> None:
    same_shape(call, "grad_w", "saved_v")
    _direction_and_length(call, "saved_v", "saved_g")
    same_shape(call, "saved_g", "saved_norms")
    same_dtype(call, "grad_w", "saved_v", "saved_g")
    allowed = {call.tensor("saved_v").dtype, "float32"}
    call.require(call.tensor("saved_norms").dtype in allowed, "saved_norms must have the dtype of saved_v")
    for name in ("grad_w", "saved_v", "saved_g", "saved_norms"):
        call.require(is_contiguous(call.tensor(name)), f"{name} must be contiguous")


def _direction_and_length(call: Call, direction: str, length: str) -> None:
    weight, kept = call.tensor(direction), call.integer("dim")
    call.require(weight.ndim > 0 and weight.dtype in FLOATS, "the weight must be floats with dimensions")
    # The fused kernels know these two dimensions only; PyTorch writes the others out.
    call.require(kept in {0, weight.ndim - 1}, "dim must be the first or the last")
    call.require(weight.numel > 0, "the weight is empty")
    has_shape(call, length, [size if place == kept else 1 for place, size in enumerate(weight.shape)])


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
    # 1/σ has to be formed here too (decision 0010).
    return (2 + _affine(signature)) * data.numel + 2 * _channels(data)


# The schema of this overload does not say that the running statistics are written, as those of the later ones
# do.
@operators(check=batch_norm, writes="running_mean running_var")("""
    native_batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var,
        bool training, float momentum, float eps) -> (Tensor, Tensor, Tensor)
""")
@operators(check=batch_norm)("""
    _native_batch_norm_legit(Tensor input, Tensor? weight, Tensor? bias, Tensor(a!) running_mean, Tensor(b!)
        running_var, bool training, float momentum, float eps) -> (Tensor, Tensor, Tensor)
    _native_batch_norm_legit.no_stats(Tensor input, Tensor? weight, Tensor? bias, bool training, float
        momentum, float eps) -> (Tensor, Tensor, Tensor)
""")
def _batch_norm(signature: Signature) -> int:
    """In training 7|in| + 2C and 3C for each running statistic; in evaluation 4|in| + 2C."""
    return _batch_norm_training(signature) if signature["training"] else _batch_norm_evaluation(signature)


def _batch_norm_gradients(data: TensorMeta, mask: tuple[bool, ...], weighted: bool, training: bool) -> int:
    """x̂ again (2|in|); Σ g; Σ g · x̂; then γ/σ · (g − Σ g/N − x̂ · Σ g · x̂/N), or g · γ/σ in evaluation."""
    inputs, channels = data.numel, _channels(data)
    of_input, of_weight, of_bias = mask
    operations = 0
    # Both sums over a channel are needed for γ and β, and in training for the input as well.
    if of_weight or (of_input and training):
        operations += 2 * inputs + inputs + folding(inputs, channels)
    if of_bias or (of_input and training):
        operations += folding(inputs, channels)
    if of_input:
        operations += (4 * inputs + 2 * channels if training else inputs) + weighted * channels
    if not training and (of_weight or of_input):
        operations += 2 * channels
    return operations


@operators(check=batch_norm_backward)("""
    native_batch_norm_backward(Tensor grad_out, Tensor input, Tensor? weight, Tensor? running_mean, Tensor?
        running_var, Tensor? save_mean, Tensor? save_invstd, bool train, float eps, bool[3] output_mask) ->
        (Tensor, Tensor, Tensor)
""")
def _native_batch_norm_backward(signature: Signature) -> int:
    """9|in| + C for all three gradients; 6|in| + C in evaluation."""
    return _batch_norm_gradients(
        signature.tensor("input"),
        output_mask(signature),
        signature["weight"] is not None,
        bool(signature["train"]),
    )


@operators(check=batch_norm_backward)("""
    batch_norm_backward(Tensor grad_out, Tensor input, Tensor weight, Tensor? running_mean, Tensor?
        running_var, Tensor? save_mean, Tensor? save_var, bool update, float eps, bool[3] output_mask, Tensor
        reserve) -> (Tensor, Tensor, Tensor)
""")
def _batch_norm_backward(signature: Signature) -> int:
    """9|in| + C for all three gradients; 6|in| + C in evaluation."""
    return _batch_norm_gradients(
        signature.tensor("input"), output_mask(signature), weighted=True, training=bool(signature["update"])
    )


def cudnn_batch_norm_backward(signature: Signature) -> int:
    """9|in| + C."""
    return _batch_norm_gradients(signature.tensor("input"), (True, True, True), weighted=True, training=True)


@operators(check=layer_norm)("""
    native_layer_norm(Tensor input, int[] normalized_shape, Tensor? weight, Tensor? bias, float eps) ->
        (Tensor, Tensor, Tensor)
""")
def _layer_norm(signature: Signature) -> int:
    """7|in| + 2R for R rows: mean, centre, square, mean; eps, 1/σ; scale, γ, β."""
    data = signature.tensor("input")
    return _normalised(data.numel, _rows(signature, data), _affine(signature))


def _rows(signature: Signature, data: TensorMeta) -> int:
    """How many rows of `normalized_shape` there are."""
    return data.numel // max(1, prod(signature.integers("normalized_shape")))


@operators(check=group_norm)("""
    native_group_norm(Tensor input, Tensor? weight, Tensor? bias, int N, int C, int HxW, int group, float eps)
        -> (Tensor, Tensor, Tensor)
""")
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


@operators(check=(layer_norm, layer_norm_backward))("""
    native_layer_norm_backward(Tensor grad_out, Tensor input, int[] normalized_shape, Tensor mean, Tensor
        rstd, Tensor? weight, Tensor? bias, bool[3] output_mask) -> (Tensor, Tensor, Tensor)
""")
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


@operators(check=group_norm)("""
    native_group_norm_backward(Tensor grad_out, Tensor input, Tensor mean, Tensor rstd, Tensor? weight, int N,
        int C, int HxW, int group, bool[3] output_mask) -> (Tensor, Tensor, Tensor)
""")
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


def rms_norm_backward(signature: Signature) -> int:
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


@operators(check=weight_norm)("_weight_norm_interface(Tensor v, Tensor g, int dim=0) -> (Tensor, Tensor)")
def _weight_norm(signature: Signature) -> int:
    """v · (g / ‖v‖), with a norm for each element of g."""
    direction, norms = signature.tensor("v").numel, signature.tensor("g").numel
    norm = direction + folding(direction, norms) + norms
    return norm + norms + direction


@operators(check=weight_norm_backward)("""
    _weight_norm_interface_backward(Tensor grad_w, Tensor saved_v, Tensor saved_g, Tensor saved_norms, int
        dim) -> (Tensor, Tensor)
""")
def _weight_norm_backward(signature: Signature) -> int:
    """Of g: Σ w′ · v / ‖v‖. Of v: g/‖v‖ · (w′ − v · (g′ / ‖v‖))."""
    direction, norms = signature.tensor("saved_v").numel, signature.tensor("saved_g").numel
    of_norm = direction + folding(direction, norms) + norms
    return of_norm + 2 * norms + 3 * direction


operators(check=batch_norm)("""
    _batch_norm_no_update(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor?
        running_var, float momentum, float eps) -> (Tensor, Tensor, Tensor, Tensor)
    _native_batch_norm_legit_no_training(Tensor input, Tensor? weight, Tensor? bias, Tensor running_mean,
        Tensor running_var, float momentum, float eps) -> (Tensor, Tensor, Tensor)
""")(_batch_norm_evaluation)


operators(check=batch_norm)("""
    _batch_norm_with_update(Tensor input, Tensor? weight, Tensor? bias, Tensor(a!) running_mean, Tensor(b!)
        running_var, float momentum, float eps) -> (Tensor, Tensor, Tensor, Tensor)
""")(_batch_norm_training)
