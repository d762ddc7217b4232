"""Activations and their backward. n = elements of the output.

A choice by a threshold (x > t ? a : b) is one operation, as in `maximum`.
"""

from haet_eval.counting.prices.literals import multiplies
from haet_eval.counting.prices.pointwise import real_or_complex
from haet_eval.counting.prices.table import Price, overloads, price
from haet_eval.counting.signature import Signature

_IN_PLACE = ".default .out _.default"
_FUNCTION = ".default .out"
_BACKWARD = ".default .grad_input"

ACTIVATIONS: tuple[tuple[int, str, str], ...] = (
    # operations per element, suffixes, operators
    (4, _IN_PLACE, "sigmoid"),  # 1 / (1 + exp(−x))
    (5, _IN_PLACE, "silu"),  # x · sigmoid(x)
    (5, _IN_PLACE, "mish"),  # x · tanh(log(1 + exp(x)))
    (5, _IN_PLACE, "hardswish"),  # x · min(max(x + 3, 0), 6) / 6
    (4, _IN_PLACE, "hardsigmoid"),  # min(max(x + 3, 0), 6) / 6
    (2, _IN_PLACE, "hardtanh"),  # min(max(x, low), high)
    (1, _IN_PLACE, "threshold"),
    (2, _IN_PLACE, "leaky_relu"),  # slope · x, choice
    (2, ".default", "_prelu_kernel"),
    (2, _FUNCTION, "hardshrink"),  # two thresholds
    (4, _FUNCTION, "softshrink"),  # x − λ, x + λ, two thresholds
    (5, ".default .output", "log_sigmoid_forward"),  # −log(1 + exp(−x))
    (5, _FUNCTION, "glu"),  # a · sigmoid(b)
    (3, _BACKWARD, "sigmoid_backward tanh_backward"),  # g · s · (1 − s);  g · (1 − t²)
    (9, _BACKWARD, "silu_backward"),  # g · s · (1 + x · (1 − s))
    (11, ".default", "mish_backward"),
    (5, _FUNCTION, "hardswish_backward"),  # g · (x / 3 + 0.5), two thresholds
    (3, _BACKWARD, "hardsigmoid_backward"),  # g / 6, two thresholds
    (2, _BACKWARD, "hardtanh_backward hardshrink_backward softshrink_backward"),
    (1, _BACKWARD, "threshold_backward"),
    (2, _BACKWARD, "leaky_relu_backward"),
    (3, _BACKWARD, "log_sigmoid_backward"),  # g / (1 + exp(x))
    (4, _BACKWARD, "softplus_backward"),  # g / (1 + exp(−βx))
)


def _each(operations: int) -> Price:
    def each(signature: Signature) -> int:
        return signature.out.numel * real_or_complex(signature, operations, None)

    each.__doc__ = f"{operations} per element of the result."
    return each


for _operations, _suffixes, _operators in ACTIVATIONS:
    price(*overloads(_operators, _suffixes))(_each(_operations))


@price(*overloads("gelu", _IN_PLACE))
def _gelu(signature: Signature) -> int:
    """5n: x/2 · (1 + erf(x/√2)); 9n: x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³)))."""
    return signature.out.numel * (9 if signature["approximate"] == "tanh" else 5)


@price(*overloads("gelu_backward", _BACKWARD))
def _gelu_backward(signature: Signature) -> int:
    """11n: g · (Φ(x) + x · φ(x)); 18n: the chain rule through the tanh."""
    return signature.out.numel * (18 if signature["approximate"] == "tanh" else 11)


@price(*overloads("softplus", _FUNCTION))
def _softplus(signature: Signature) -> int:
    """log(1 + exp(β · x)) / β."""
    return signature.out.numel * (3 + 2 * multiplies(signature["beta"]))


@price(*overloads("elu", _IN_PLACE))
def _elu(signature: Signature) -> int:
    """scale · (x > 0 ? x : alpha · (exp(input_scale · x) − 1))."""
    return signature.out.numel * (
        3 + sum(multiplies(signature[n]) for n in ("alpha", "scale", "input_scale"))
    )


@price(*overloads("celu", _IN_PLACE))
def _celu(signature: Signature) -> int:
    """x > 0 ? x : alpha · (exp(x / alpha) − 1)."""
    return signature.out.numel * (3 + 2 * multiplies(signature["alpha"]))


@price(*overloads("elu_backward", _BACKWARD))
def _elu_backward(signature: Signature) -> int:
    """g · scale above zero; below it g · c · exp(input_scale · x), or g · input_scale · (y + c′)."""
    scale, input_scale = (multiplies(signature[name]) for name in ("scale", "input_scale"))
    if signature["is_result"]:
        return signature.out.numel * (3 + scale + input_scale)
    coefficient = max(multiplies(signature["alpha"]), scale, input_scale)
    return signature.out.numel * (3 + scale + input_scale + coefficient)


@price(*overloads("glu_backward", _FUNCTION.replace(".out", ".grad_input")))
def _glu_backward(signature: Signature) -> int:
    """Of a and b: g · s, and (g · s) · a · (1 − s); each is half of the output."""
    return signature.out.numel // 2 * 8


@price("aten._prelu_kernel_backward.default")
def _prelu_backward(signature: Signature) -> int:
    """Of the input and of the weight: a product and a choice each."""
    return 4 * signature.out.numel


@price(*overloads("logit_backward", _BACKWARD))
def _logit_backward(signature: Signature) -> int:
    """g / (x · (1 − x)), nothing outside [eps, 1 − eps]."""
    return signature.out.numel * (3 if signature["eps"] is None else 5)


@price(*overloads("rrelu_with_noise", _IN_PLACE), "aten.rrelu_with_noise_functional.default")
def _rrelu(signature: Signature) -> int:
    """A product and a choice; in training the slope is drawn."""
    return signature.out.numel * (3 if signature["training"] else 2)


@price(*overloads("rrelu_with_noise_backward", _FUNCTION))
def _rrelu_backward(signature: Signature) -> int:
    """g · noise; as leaky ReLU out of training."""
    return signature.out.numel * (1 if signature["training"] else 2)
