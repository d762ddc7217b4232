"""Normalization: every vector must be as long as the channels it belongs to."""

from math import prod

from haet_eval.remote.operators.call import Call
from haet_eval.remote.operators.validators.dtypes import FLOATS
from haet_eval.remote.operators.validators.shapes import has_shape, is_contiguous, same_dtype, same_shape
from haet_eval.remote.operators.validators.table import validator

_VECTORS = ("weight", "bias", "running_mean", "running_var")
_SAVED = ("save_mean", "save_invstd", "save_var")


@validator(
    "native_batch_norm",
    "_native_batch_norm_legit",
    "_native_batch_norm_legit_no_training",
    "_batch_norm_with_update",
    "_batch_norm_no_update",
)
def batch_norm(call: Call) -> None:
    _batch_norm_vectors(call)
    if call.arguments.get("training", True) is False:
        _needs(call, "running_mean", "running_var")


@validator("native_batch_norm_backward", "batch_norm_backward")
def batch_norm_backward(call: Call) -> None:
    _batch_norm_vectors(call)
    same_shape(call, "grad_out", "input")
    same_dtype(call, "grad_out", "input")
    call.require(call.tensor("input").numel > 0, "input is empty")
    training = bool(call.arguments.get("train", call.arguments.get("update")))
    saved = [name for name in _SAVED if name in call.arguments]
    channels = call.tensor("input").shape[1]
    for name in saved:
        tensor = call.optional_tensor(name)
        if tensor is not None and (training or tensor.numel > 0):
            has_shape(call, name, (channels,))
            _is_companion(call, name)
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


@validator("native_layer_norm", "native_layer_norm_backward")
def layer_norm(call: Call) -> None:
    shown, normalized = call.tensor("input"), call.integers("normalized_shape")
    call.require(0 < len(normalized) <= shown.ndim, "normalized_shape has more dimensions than input")
    call.require(shown.shape[-len(normalized) :] == normalized, "normalized_shape is not that of input")
    call.require(shown.dtype in FLOATS, "input must be floats")
    for name in ("weight", "bias"):
        has_shape(call, name, normalized)
        _is_companion(call, name)
    same_dtype(call, "weight", "bias")


@validator("native_layer_norm_backward")
def layer_norm_backward(call: Call) -> None:
    shown = call.tensor("input")
    outer = shown.shape[: -len(call.integers("normalized_shape"))]
    same_shape(call, "grad_out", "input")
    same_dtype(call, "grad_out", "input")
    same_dtype(call, "mean", "rstd")
    for name in ("mean", "rstd"):
        call.require(call.tensor(name).numel == prod(outer), f"{name} must have one element a row")
        _is_companion(call, name)


@validator("native_group_norm", "native_group_norm_backward")
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


@validator("_weight_norm_interface")
def weight_norm(call: Call) -> None:
    _weight_norm(call, "v", "g")
    for name in ("v", "g"):
        call.require(is_contiguous(call.tensor(name)), f"{name} must be contiguous")
    same_dtype(call, "v", "g")


@validator("_weight_norm_interface_backward")
def weight_norm_backward(call: Call) -> None:
    same_shape(call, "grad_w", "saved_v")
    _weight_norm(call, "saved_v", "saved_g")
    same_shape(call, "saved_g", "saved_norms")
    same_dtype(call, "grad_w", "saved_v", "saved_g")
    allowed = {call.tensor("saved_v").dtype, "float32"}
    call.require(call.tensor("saved_norms").dtype in allowed, "saved_norms must have the dtype of saved_v")
    for name in ("grad_w", "saved_v", "saved_g", "saved_norms"):
        call.require(is_contiguous(call.tensor(name)), f"{name} must be contiguous")


def _weight_norm(call: Call, direction: str, length: str) -> None:
    weight, kept = call.tensor(direction), call.integer("dim")
    call.require(weight.ndim > 0 and weight.dtype in FLOATS, "the weight must be floats with dimensions")
    call.require(kept in {0, weight.ndim - 1}, "dim must be the first or the last")
    call.require(weight.numel > 0, "the weight is empty")
    has_shape(call, length, [size if place == kept else 1 for place, size in enumerate(weight.shape)])
