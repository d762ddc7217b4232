"""Fused optimizers: the sum of the operators that the unfused ones run, with the flags they were given.

The step counters are advanced by operators of their own, in every variant.
"""

from haet_eval.counting.prices.literals import multiplies
from haet_eval.counting.prices.table import overloads, price
from haet_eval.counting.signature import Signature, TensorMeta

_FUSED = ".default .out .tensor_lr .tensor_lr_out"
_FUSED_IN_PLACE = ".default .tensor_lr"


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


@price(*overloads("_fused_sgd", _FUSED), *overloads("_fused_sgd_", _FUSED_IN_PLACE))
def _sgd(signature: Signature) -> int:
    """buf = momentum · buf + (1 − dampening) · grad; grad + momentum · buf for Nesterov; p − lr · grad."""
    momentum, dampening = signature["momentum"], signature["dampening"]
    each = _gradient(signature) + _decay(signature) + 1 + _scaled_by_rate(signature)
    if momentum != 0:
        if not signature["is_first_step"]:
            each += 2 + int(dampening not in (0, 2))
        if signature["nesterov"]:
            each += 1 + multiplies(momentum)
    return each * _parameters(signature)


def _moments(signature: Signature) -> int:
    """Both moments, the denominator and the step of Adam."""
    beta1, beta2 = signature["beta1"], signature["beta2"]
    first = 2 + int(beta1 not in (0, 2))
    second = 1 + 2 + int(beta2 not in (0, 2))
    denominator = 3 + int(bool(signature["amsgrad"]))
    step = 2 + int(beta1 != 0 or bool(_scaled_by_rate(signature)))
    return first + second + denominator + step


@price(*overloads("_fused_adam", _FUSED), *overloads("_fused_adam_", _FUSED_IN_PLACE))
def _adam(signature: Signature) -> int:
    """Two moments 3 + 4, denominator 3, step 3: 13 per parameter; decay 2, AMSGrad 1, maximize 1 more."""
    return (_gradient(signature) + _decay(signature) + _moments(signature)) * _parameters(signature)


@price(*overloads("_fused_adamw", _FUSED), *overloads("_fused_adamw_", _FUSED_IN_PLACE))
def _adamw(signature: Signature) -> int:
    """As Adam; the decay is one product with 1 − lr · weight_decay."""
    decay = int(signature["weight_decay"] != 0)
    return (_gradient(signature) + decay + _moments(signature)) * _parameters(signature)


@price(*overloads("_fused_adagrad", _FUSED), *overloads("_fused_adagrad_", _FUSED_IN_PLACE))
def _adagrad(signature: Signature) -> int:
    """sum + grad²; p − lr · grad / (√sum + eps)."""
    step = 2 + int(signature["lr_decay"] != 0 or bool(_scaled_by_rate(signature)))
    return (_gradient(signature) + _decay(signature) + 2 + 2 + step) * _parameters(signature)


@price(
    *overloads("_amp_foreach_non_finite_check_and_unscale", ".default .out"),
    "aten._amp_foreach_non_finite_check_and_unscale_.default",
)
def _unscale(signature: Signature) -> int:
    """A test and a product for each element of each gradient, and the tests joined into one flag."""
    return sum(3 * meta.numel for meta in signature.tensors("self"))


@price(*overloads("_amp_update_scale", ".default .out"), "aten._amp_update_scale_.default")
def _update_scale(signature: Signature) -> int:  # noqa: ARG001
    """Test the flag, count the step, compare with the interval, scale and choose; count again."""
    return 5
