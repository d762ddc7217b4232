"""Fused optimizers: they walk through memory by parameter, so all state must have the parameter's layout."""

from haet_eval.counting.signature import TensorMeta
from haet_eval.remote.operators.call import Call
from haet_eval.remote.operators.validators.dtypes import FLOATS
from haet_eval.remote.operators.validators.shapes import is_dense, overlaps_itself
from haet_eval.remote.operators.validators.table import validator


@validator("_fused_sgd_")
def fused_sgd(call: Call) -> None:
    momentum = call["momentum"]
    buffers = call.tensors("momentum_buffer_list")
    lists = ["grads"]
    if buffers or momentum != 0.0:
        lists.append("momentum_buffer_list")
    _beside_parameters(call, *lists)


@validator("_fused_adam_", "_fused_adamw_")
def fused_adam(call: Call) -> None:
    lists = ["grads", "exp_avgs", "exp_avg_sqs"]
    if call["amsgrad"] or call.tensors("max_exp_avg_sqs"):
        lists.append("max_exp_avg_sqs")
    _beside_parameters(call, *lists)
    _steps(call)


@validator("_fused_adagrad_")
def fused_adagrad(call: Call) -> None:
    _beside_parameters(call, "grads", "state_sums")
    _steps(call)


def _beside_parameters(call: Call, *names: str) -> None:
    parameters = call.tensors("self")
    call.require(len(parameters) > 0, "there are no parameters")
    for parameter in parameters:
        call.require(parameter.dtype in FLOATS, "parameters must be floats")
        call.require(is_dense(parameter), "parameters must fill their memory")
    for name in names:
        tensors = call.tensors(name)
        call.require(len(tensors) == len(parameters), f"{name} must have a tensor for each parameter")
        for parameter, tensor in zip(parameters, tensors, strict=True):
            call.require(_alike(parameter, tensor), f"{name} must lie in memory as the parameters do")
    for name in ("grad_scale", "found_inf", "lr"):
        _is_number(call, call.optional_tensor(name), name)


def _alike(one: TensorMeta, other: TensorMeta) -> bool:
    pairs = zip(one.shape, one.stride, other.stride, strict=True) if one.shape == other.shape else ()
    strides = all(size <= 1 or first == second for size, first, second in pairs)
    return (one.shape, one.dtype) == (other.shape, other.dtype) and strides


def _steps(call: Call) -> None:
    steps = call.tensors("state_steps")
    call.require(len(steps) == len(call.tensors("self")), "state_steps must have one for each parameter")
    for step in steps:
        _is_number(call, step, "state_steps")


def _is_number(call: Call, tensor: TensorMeta | None, name: str) -> None:
    call.require(tensor is None or tensor.numel == 1, f"{name} must have one element")
    call.require(tensor is None or tensor.dtype in {"float32", "float64"}, f"{name} must be float32")


@validator("_amp_foreach_non_finite_check_and_unscale_")
def unscale(call: Call) -> None:
    for tensor in call.tensors("self"):
        call.require(tensor.dtype in FLOATS and not overlaps_itself(tensor), "gradients must be plain floats")
    for name in ("found_inf", "inv_scale"):
        _is_number(call, call.tensor(name), name)


@validator("_amp_update_scale_")
def update_scale(call: Call) -> None:
    for name in ("self", "growth_tracker", "found_inf"):
        call.require(call.tensor(name).numel == 1, f"{name} must have one element")
    call.require(call.tensor("growth_tracker").dtype == "int32", "growth_tracker must be int32")
    for name in ("self", "found_inf"):
        call.require(call.tensor(name).dtype == "float32", f"{name} must be float32")
