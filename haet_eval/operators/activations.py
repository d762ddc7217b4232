"""Activations and their backward. n = elements of the output.

A choice by a threshold (x > t ? a : b) is one operation, as in `maximum`.
"""

from typing import Final

from haet_eval.operators.checking.call import Call
from haet_eval.operators.checking.shapes import broadcast, is_contiguous, same_dtype, same_shape
from haet_eval.operators.pointwise import real_or_complex
from haet_eval.operators.pricing.literals import multiplies
from haet_eval.operators.signature import Signature
from haet_eval.operators.table import BY_KERNEL, Price, operators


def log_sigmoid_backward(call: Call) -> None:
    same_shape(call, "grad_output", "self")
    same_dtype(call, "grad_output", "self")
    buffer = call.tensor("buffer")
    # The forward keeps no buffer on a GPU.
    call.require(buffer.numel in {0, call.tensor("self").numel}, "buffer has another size")
    call.require(is_contiguous(buffer), "buffer must be contiguous")


def backward(call: Call) -> None:
    # These kernels check least of all, since autograd calls them with fitting tensors only (decision 0030).
    others = [p.name for p in call.operator.parameters if p.type == "Tensor"]
    broadcast(call, [meta for name in others if (meta := call.optional_tensor(name)) is not None])
    same_dtype(call, *others)


def gelu_backward(call: Call) -> None:
    """In bfloat16 it goes to oneDNN, which does not broadcast."""
    same_shape(call, "grad_output", "self")


def noise(call: Call) -> None:
    same_shape(call, "self", "noise", "grad_output")
    same_dtype(call, "self", "noise", "grad_output")
    call.require(is_contiguous(call.tensor("noise")), "noise must be contiguous")


def _each(operations: int) -> Price:
    def each(signature: Signature) -> int:
        return signature.out.numel * real_or_complex(signature, operations, None)

    each.__doc__ = f"{operations} per element of the result."
    return each


ACTIVATIONS: Final = {
    # operations for each element
    1: """
        threshold(Tensor self, Scalar threshold, Scalar value) -> Tensor : pointwise
        threshold_(Tensor(a!) self, Scalar threshold, Scalar value) -> Tensor(a!)
    """,
    # two thresholds; min(max(x, low), high); slope · x and a choice
    2: """
        hardshrink(Tensor self, Scalar lambd=0.5) -> Tensor : pointwise
        hardtanh[_](Tensor self, Scalar min_val=-1, Scalar max_val=1) -> Tensor : pointwise
        leaky_relu[_](Tensor self, Scalar negative_slope=0.01) -> Tensor : pointwise
        _prelu_kernel(Tensor self, Tensor weight) -> Tensor
    """,
    # min(max(x + 3, 0), 6) / 6; 1 / (1 + exp(−x)); x − λ, x + λ, two thresholds
    4: """
        hardsigmoid[_] sigmoid[_](Tensor self) -> Tensor : pointwise
        softshrink(Tensor self, Scalar lambd=0.5) -> Tensor : pointwise
    """,
    # a · sigmoid(b); x · min(max(x + 3, 0), 6) / 6; −log(1 + exp(−x)); x · tanh(log(1 + exp(x)));
    # x · sigmoid(x)
    5: """
        glu(Tensor self, int dim=-1) -> Tensor
        hardswish[_](Tensor self) -> Tensor
        log_sigmoid_forward(Tensor self) -> (Tensor output, Tensor buffer)
        mish silu[_](Tensor self) -> Tensor : pointwise
        mish_(Tensor(a!) self) -> Tensor(a!)
    """,
}
BACKWARD: Final = {
    1: "threshold_backward(Tensor grad_output, Tensor self, Scalar threshold) -> Tensor : pointwise",
    2: """
        hardshrink_backward(Tensor grad_out, Tensor self, Scalar lambd) -> Tensor
        hardtanh_backward(Tensor grad_output, Tensor self, Scalar min_val, Scalar max_val) -> Tensor
        leaky_relu_backward(Tensor grad_output, Tensor self, Scalar negative_slope, bool self_is_result) ->
            Tensor
        softshrink_backward(Tensor grad_output, Tensor self, Scalar lambd) -> Tensor
    """,
    # g / 6, two thresholds; g · s · (1 − s); g · (1 − t²)
    3: """
        hardsigmoid_backward(Tensor grad_output, Tensor self) -> Tensor
        sigmoid_backward tanh_backward(Tensor grad_output, Tensor output) -> Tensor : pointwise
    """,
    # g / (1 + exp(−βx))
    4: "softplus_backward(Tensor grad_output, Tensor self, Scalar beta, Scalar threshold) -> Tensor",
    # g · (x / 3 + 0.5), two thresholds
    5: "hardswish_backward(Tensor grad_output, Tensor self) -> Tensor",
    # g · s · (1 + x · (1 − s))
    9: "silu_backward(Tensor grad_output, Tensor self) -> Tensor : pointwise",
    11: "mish_backward(Tensor grad_output, Tensor self) -> Tensor",
}

for _operations, _schemas in ACTIVATIONS.items():
    operators(check=BY_KERNEL)(_schemas)(_each(_operations))
for _operations, _schemas in BACKWARD.items():
    operators(check=backward)(_schemas)(_each(_operations))
# g / (1 + exp(x))
operators(check=log_sigmoid_backward)("""
    log_sigmoid_backward(Tensor grad_output, Tensor self, Tensor buffer) -> Tensor
""")(_each(3))


@operators(check=BY_KERNEL)("""
    gelu(Tensor self, *, str approximate="none") -> Tensor : pointwise
    gelu_(Tensor(a!) self, *, str approximate="none") -> Tensor(a!)
""")
def _gelu(signature: Signature) -> int:
    """5n: x/2 · (1 + erf(x/√2)); 9n: x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³)))."""
    return signature.out.numel * (9 if signature["approximate"] == "tanh" else 5)


@operators(check=(backward, gelu_backward))("""
    gelu_backward(Tensor grad_output, Tensor self, *, str approximate="none") -> Tensor : pointwise
""")
def _gelu_backward(signature: Signature) -> int:
    """11n: g · (Φ(x) + x · φ(x)); 18n: the chain rule through the tanh."""
    return signature.out.numel * (18 if signature["approximate"] == "tanh" else 11)


@operators(check=BY_KERNEL)("""
    softplus(Tensor self, Scalar beta=1, Scalar threshold=20) -> Tensor : pointwise
""")
def _softplus(signature: Signature) -> int:
    """log(1 + exp(β · x)) / β."""
    return signature.out.numel * (3 + 2 * multiplies(signature["beta"]))


@operators(check=BY_KERNEL)("""
    elu[_](Tensor self, Scalar alpha=1, Scalar scale=1, Scalar input_scale=1) -> Tensor : pointwise
""")
def _elu(signature: Signature) -> int:
    """scale · (x > 0 ? x : alpha · (exp(input_scale · x) − 1))."""
    return signature.out.numel * (
        3 + sum(multiplies(signature[n]) for n in ("alpha", "scale", "input_scale"))
    )


@operators(check=BY_KERNEL)("""
    celu[_](Tensor self, Scalar alpha=1.) -> Tensor : pointwise
""")
def _celu(signature: Signature) -> int:
    """x > 0 ? x : alpha · (exp(x / alpha) − 1)."""
    return signature.out.numel * (3 + 2 * multiplies(signature["alpha"]))


@operators(check=backward)("""
    elu_backward(Tensor grad_output, Scalar alpha, Scalar scale, Scalar input_scale, bool is_result, Tensor
        self_or_result) -> Tensor
""")
def _elu_backward(signature: Signature) -> int:
    """g · scale above zero; below it g · c · exp(input_scale · x), or g · input_scale · (y + c′)."""
    scale, input_scale = (multiplies(signature[name]) for name in ("scale", "input_scale"))
    if signature["is_result"]:
        return signature.out.numel * (3 + scale + input_scale)
    # Three literals make one coefficient, which is free only if all of them are ±1 (decision 0012).
    coefficient = max(multiplies(signature["alpha"]), scale, input_scale)
    return signature.out.numel * (3 + scale + input_scale + coefficient)


@operators(check=BY_KERNEL)("glu_backward(Tensor grad_output, Tensor self, int dim) -> Tensor")
def _glu_backward(signature: Signature) -> int:
    """Of a and b: g · s, and (g · s) · a · (1 − s); each is half of the output."""
    return signature.out.numel // 2 * 8


@operators(check=BY_KERNEL)("""
    _prelu_kernel_backward(Tensor grad_output, Tensor self, Tensor weight) -> (Tensor, Tensor)
""")
def _prelu_backward(signature: Signature) -> int:
    """Of the input and of the weight: a product and a choice each."""
    return 4 * signature.out.numel


@operators(check=backward)("""
    logit_backward(Tensor grad_output, Tensor self, float? eps=None) -> Tensor : pointwise
""")
def _logit_backward(signature: Signature) -> int:
    """g / (x · (1 − x)), nothing outside [eps, 1 − eps]."""
    return signature.out.numel * (3 if signature["eps"] is None else 5)


# Only negative elements draw a slope, so that the next numbers of the generator depend on the data.
@operators(check=noise, draws_by_value=True)("""
    rrelu_with_noise[_](Tensor self, Tensor(b!) noise, Scalar lower=0.125, Scalar upper=0.33333333333333331,
        bool training=False, Generator? generator=None) -> Tensor : random
""")
def _rrelu(signature: Signature) -> int:
    """A product and a choice; in training the slope is drawn."""
    return signature.out.numel * (3 if signature["training"] else 2)


@operators(check=noise)("""
    rrelu_with_noise_backward(Tensor grad_output, Tensor self, Tensor noise, Scalar lower, Scalar upper, bool
        training, bool self_is_result) -> Tensor
""")
def _rrelu_backward(signature: Signature) -> int:
    """g · noise; as leaky ReLU out of training."""
    return signature.out.numel * (1 if signature["training"] else 2)
