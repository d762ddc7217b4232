"""Fused optimizers: the sum of the operators that the unfused ones run, with the flags they were given.

The step counters are advanced by operators of their own, in every variant.

Checks: the kernels walk through memory by parameter, so all state must have the parameter's layout.
"""

from haet_eval.operators.checking.call import Call
from haet_eval.operators.checking.dtypes import FLOATS
from haet_eval.operators.checking.shapes import is_dense, overlaps_itself
from haet_eval.operators.pricing.literals import multiplies
from haet_eval.operators.signature import Signature, TensorMeta
from haet_eval.operators.table import operators


def fused_sgd(call: Call) -> None:
    momentum = call["momentum"]
    buffers = call.tensors("momentum_buffer_list")
    lists = ["grads"]
    # Without momentum the list may be empty, but a list that is given is read.
    if buffers or momentum != 0.0:
        lists.append("momentum_buffer_list")
    _beside_parameters(call, *lists)


def fused_adam(call: Call) -> None:
    lists = ["grads", "exp_avgs", "exp_avg_sqs"]
    if call["amsgrad"] or call.tensors("max_exp_avg_sqs"):
        lists.append("max_exp_avg_sqs")
    _beside_parameters(call, *lists)
    _steps(call)


def fused_adagrad(call: Call) -> None:
    _beside_parameters(call, "grads", "state_sums")
    _steps(call)


def _beside_parameters(call: Call, *names: str) -> None:
    parameters = call.tensors("self")
    call.require(len(parameters) > 0, "there are no parameters")
    for parameter in parameters:
        call.require(parameter.dtype in FLOATS, "parameters must be floats")
        # The kernel takes the memory of a parameter for one row of numbers. With a gap it would write what is
        # not the parameter's, and with a stride of 0 beyond its memory.
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


def unscale(call: Call) -> None:
    for tensor in call.tensors("self"):
        call.require(tensor.dtype in FLOATS and not overlaps_itself(tensor), "gradients must be plain floats")
    for name in ("found_inf", "inv_scale"):
        _is_number(call, call.tensor(name), name)


def update_scale(call: Call) -> None:
    for name in ("self", "growth_tracker", "found_inf"):
        call.require(call.tensor(name).numel == 1, f"{name} must have one element")
    call.require(call.tensor("growth_tracker").dtype == "int32", "growth_tracker must be int32")
    for name in ("self", "found_inf"):
        call.require(call.tensor(name).dtype == "float32", f"{name} must be float32")


def _parameters(signature: Signature) -> int:
    return sum(meta.numel for meta in signature.tensors("self"))


def _gradient(signature: Signature) -> int:
    """Operations for each parameter before the update: unscale, negate."""
    return int(signature["grad_scale"] is not None) + int(bool(signature["maximize"]))


def _decay(signature: Signature) -> int:
    """grad + weight_decay · parameter."""
    return 0 if signature["weight_decay"] == 0 else 1 + multiplies(signature["weight_decay"])


def _scaled_by_rate(signature: Signature) -> int:
    """The product with the learning rate: it is a tensor, or a number."""
    rate = signature["lr"]
    return 1 if isinstance(rate, TensorMeta) else multiplies(rate)


@operators(check=fused_sgd)("""
    _fused_sgd_(Tensor(a!)[] self, Tensor(b!)[] grads, Tensor(c!)[] momentum_buffer_list, *, float
        weight_decay, float momentum, float lr, float dampening, bool nesterov, bool maximize, bool
        is_first_step, Tensor? grad_scale=None, Tensor? found_inf=None) -> ()
    _fused_sgd_.tensor_lr(Tensor(a!)[] self, Tensor(b!)[] grads, Tensor(c!)[] momentum_buffer_list, *, float
        weight_decay, float momentum, Tensor lr, float dampening, bool nesterov, bool maximize, bool
        is_first_step, Tensor? grad_scale=None, Tensor? found_inf=None) -> ()
""")
def _sgd(signature: Signature) -> int:
    """buf = momentum · buf + (1 − dampening) · grad; grad + momentum · buf for Nesterov; p − lr · grad."""
    momentum, dampening = signature["momentum"], signature["dampening"]
    each = _gradient(signature) + _decay(signature) + 1 + _scaled_by_rate(signature)
    if momentum != 0:
        # In the first step the buffer becomes a copy of the gradient, which is movement.
        if not signature["is_first_step"]:
            # For a dampening of 0 and of 2 the coefficient 1 − dampening is ±1, which is free (decision
            # 0012).
            each += 2 + int(dampening not in (0, 2))
        if signature["nesterov"]:
            each += 1 + multiplies(momentum)
    return each * _parameters(signature)


def _moments(signature: Signature) -> int:
    """Both moments, the denominator and the step of Adam."""
    beta1, beta2 = signature["beta1"], signature["beta2"]
    # As with dampening: 1 − β is ±1 for 0 and for 2.
    first = 2 + int(beta1 not in (0, 2))
    second = 1 + 2 + int(beta2 not in (0, 2))
    denominator = 3 + int(bool(signature["amsgrad"]))
    # The coefficient is −lr / (1 − β₁ᵗ). Only with β₁ = 0 can the signature show that it is ±1 (decision
    # 0013).
    step = 2 + int(beta1 != 0 or bool(_scaled_by_rate(signature)))
    return first + second + denominator + step


@operators(check=fused_adam)("""
    _fused_adam_(Tensor(a!)[] self, Tensor(b!)[] grads, Tensor(c!)[] exp_avgs, Tensor(d!)[] exp_avg_sqs,
        Tensor(e!)[] max_exp_avg_sqs, Tensor[] state_steps, *, float lr, float beta1, float beta2, float
        weight_decay, float eps, bool amsgrad, bool maximize, Tensor? grad_scale=None, Tensor? found_inf=None)
        -> ()
    _fused_adam_.tensor_lr(Tensor(a!)[] self, Tensor(b!)[] grads, Tensor(c!)[] exp_avgs, Tensor(d!)[]
        exp_avg_sqs, Tensor(e!)[] max_exp_avg_sqs, Tensor[] state_steps, *, Tensor lr, float beta1, float
        beta2, float weight_decay, float eps, bool amsgrad, bool maximize, Tensor? grad_scale=None, Tensor?
        found_inf=None) -> ()
""")
def _adam(signature: Signature) -> int:
    """Two moments 3 + 4, denominator 3, step 3: 13 per parameter; decay 2, AMSGrad 1, maximize 1 more."""
    return (_gradient(signature) + _decay(signature) + _moments(signature)) * _parameters(signature)


@operators(check=fused_adam)("""
    _fused_adamw_(Tensor(a!)[] self, Tensor(b!)[] grads, Tensor(c!)[] exp_avgs, Tensor(d!)[] exp_avg_sqs,
        Tensor(e!)[] max_exp_avg_sqs, Tensor[] state_steps, *, float lr, float beta1, float beta2, float
        weight_decay, float eps, bool amsgrad, bool maximize, Tensor? grad_scale=None, Tensor? found_inf=None)
        -> ()
    _fused_adamw_.tensor_lr(Tensor(a!)[] self, Tensor(b!)[] grads, Tensor(c!)[] exp_avgs, Tensor(d!)[]
        exp_avg_sqs, Tensor(e!)[] max_exp_avg_sqs, Tensor[] state_steps, *, Tensor lr, float beta1, float
        beta2, float weight_decay, float eps, bool amsgrad, bool maximize, Tensor? grad_scale=None, Tensor?
        found_inf=None) -> ()
""")
def _adamw(signature: Signature) -> int:
    """As Adam; the decay is one product with 1 − lr · weight_decay."""
    decay = int(signature["weight_decay"] != 0)
    return (_gradient(signature) + decay + _moments(signature)) * _parameters(signature)


@operators(check=fused_adagrad)("""
    _fused_adagrad_(Tensor(a!)[] self, Tensor(b!)[] grads, Tensor(c!)[] state_sums, Tensor(d!)[] state_steps,
        *, float lr, float lr_decay, float weight_decay, float eps, bool maximize, Tensor? grad_scale=None,
        Tensor? found_inf=None) -> ()
    _fused_adagrad_.tensor_lr(Tensor(a!)[] self, Tensor(b!)[] grads, Tensor(c!)[] state_sums, Tensor[]
        state_steps, *, Tensor lr, float lr_decay, float weight_decay, float eps, bool maximize, Tensor?
        grad_scale=None, Tensor? found_inf=None) -> ()
""")
def _adagrad(signature: Signature) -> int:
    """sum + grad²; p − lr · grad / (√sum + eps)."""
    step = 2 + int(signature["lr_decay"] != 0 or bool(_scaled_by_rate(signature)))
    return (_gradient(signature) + _decay(signature) + 2 + 2 + step) * _parameters(signature)


@operators(check=unscale)("""
    _amp_foreach_non_finite_check_and_unscale_(Tensor(a!)[] self, Tensor(b!) found_inf, Tensor inv_scale) ->
        ()
""")
def _unscale(signature: Signature) -> int:
    """A test and a product for each element of each gradient, and the tests joined into one flag."""
    return sum(3 * meta.numel for meta in signature.tensors("self"))


@operators(check=update_scale)("""
    _amp_update_scale_(Tensor(a!) self, Tensor(b!) growth_tracker, Tensor found_inf, float
        scale_growth_factor, float scale_backoff_factor, int growth_interval) -> Tensor(a!)
""")
def _update_scale(signature: Signature) -> int:  # noqa: ARG001
    """Test the flag, count the step, compare with the interval, scale and choose; count again."""
    return 5
