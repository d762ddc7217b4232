"""Losses and their backward. n = elements of the broadcast input; a mean divides, a sum does not.

Checks: targets that are class numbers, and gradients of the size that the reduction leaves.
"""

from haet_eval.operators.checking.call import Call
from haet_eval.operators.checking.dtypes import FLOATS
from haet_eval.operators.checking.shapes import broadcast, has_shape, same_dtype, same_shape
from haet_eval.operators.pointwise import broadcast_elements
from haet_eval.operators.pricing.literals import multiplies
from haet_eval.operators.reductions import folding
from haet_eval.operators.signature import Signature
from haet_eval.operators.table import BY_KERNEL, operators

MEAN = 1


_NONE = 0


def classes(call: Call) -> None:
    scores, target = call.tensor("self"), call.tensor("target")
    call.require(scores.ndim <= 2, "self must have one or two dimensions")
    call.require(target.dtype in {"int64", "uint8"} and target.ndim <= 1, "target must be class numbers")
    rows = scores.shape[0] if scores.ndim == 2 else 1
    call.require(target.numel == rows, "target must have one class for each row")
    count = scores.shape[-1] if scores.ndim else 1
    call.require(count > 0, "there are no classes")
    # For no rows the kernel writes no loss, so its result would be the old contents of the memory.
    call.require(rows > 0 or not call.operator.base.startswith("multi"), "there are no rows")
    _weight(call, count)
    loss_gradient(call, target.shape if call.operator.base.startswith("multi") else scores.shape[:-1])


def probabilities(call: Call) -> None:
    """Shapes that broadcast to fewer elements would make the kernel leave a part of the loss unwritten."""
    scores = call.tensor("self")
    same_shape(call, "self", "target")
    given = [tensor for name in ("self", "weight") if (tensor := call.optional_tensor(name)) is not None]
    call.require(broadcast(call, given) == scores.shape, "weight has another shape")
    loss_gradient(call, scores.shape)


def classes_of_pixels(call: Call) -> None:
    scores, target = call.tensor("self"), call.tensor("target")
    call.require(scores.ndim == 4 and scores.shape[1] > 0, "self must have four dimensions")
    call.require(target.dtype in {"int64", "uint8"}, "target must be class numbers")
    has_shape(call, "target", (scores.shape[0], *scores.shape[2:]))
    _weight(call, scores.shape[1])
    loss_gradient(call, target.shape)


def _weight(call: Call, classes_count: int) -> None:
    weight = call.optional_tensor("weight")
    call.require(weight is None or weight.numel == classes_count, "weight must have one element a class")
    call.require(weight is None or weight.ndim <= 1, "weight must be a vector")
    same_dtype(call, "self", "weight", "grad_output", "total_weight")


def loss_gradient(call: Call, shape: tuple[int, ...]) -> None:
    gradient = call.optional_tensor("grad_output")
    if gradient is not None:
        reduced = call.integer("reduction") != _NONE
        call.require(
            gradient.numel == 1 if reduced else gradient.shape == shape, "grad_output has another size"
        )
    weight = call.optional_tensor("total_weight")
    call.require(weight is None or weight.numel == 1, "total_weight must have one element")


def smooth_loss_of_floats(call: Call) -> None:
    """Its kernel divides by beta as a number of that dtype: as an integer, 0.5 is 0, and the process ends."""
    for name in ("grad_output", "self", "target"):
        call.require(call.tensor(name).dtype in FLOATS, f"{name} must be floats")


def reduction_operations(signature: Signature, elements: int) -> int:
    """The sum of the elements and, for a mean, one division."""
    match signature["reduction"]:
        case 0:
            return 0
        case 1:
            return folding(elements, 1) + 1
        case _:
            return folding(elements, 1)


def incoming_operations(signature: Signature) -> int:
    """The incoming gradient is one number for a mean or a sum; a mean divides it by the count."""
    return int(signature["reduction"] == MEAN)


def _elements(signature: Signature) -> int:
    """Elements of the loss before its reduction."""
    return broadcast_elements([signature.tensor("self"), signature.tensor("target")])


@operators(check=classes_of_pixels)("""
    nll_loss2d_forward(Tensor self, Tensor target, Tensor? weight, int reduction, int ignore_index) -> (Tensor
        output, Tensor total_weight)
""")
@operators(check=classes)("""
    nll_loss_forward(Tensor self, Tensor target, Tensor? weight, int reduction, int ignore_index) -> (Tensor
        output, Tensor total_weight)
""")
def _nll(signature: Signature) -> int:
    """For each sample read and negate; with class weights read the weight and multiply. Σw for a mean."""
    samples = signature.tensor("target").numel
    # Samples with `ignore_index` count too: only values say which they are, and no price depends on values
    # (decision 0011).
    if signature["weight"] is None:
        return 2 * samples + reduction_operations(signature, samples)
    total_weight = folding(samples, 1) if signature["reduction"] == MEAN else 0
    return 4 * samples + total_weight + reduction_operations(signature, samples)


@operators(check=classes_of_pixels, guard="class_numbers")("""
    nll_loss2d_backward(Tensor grad_output, Tensor self, Tensor target, Tensor? weight, int reduction, int
        ignore_index, Tensor total_weight) -> Tensor
""")
@operators(check=classes, guard="class_numbers")("""
    nll_loss_backward(Tensor grad_output, Tensor self, Tensor target, Tensor? weight, int reduction, int
        ignore_index, Tensor total_weight) -> Tensor
""")
def _nll_backward(signature: Signature) -> int:
    """For each sample negate the gradient and write it; with class weights read and multiply."""
    samples = signature.tensor("target").numel
    return samples * (2 if signature["weight"] is None else 4) + incoming_operations(signature)


@operators(check=BY_KERNEL)("mse_loss(Tensor self, Tensor target, int reduction=1) -> Tensor")
def _mse(signature: Signature) -> int:
    """2n: (x − y)²; |in| more for a mean, |in| − 1 for a sum."""
    elements = _elements(signature)
    return 2 * elements + reduction_operations(signature, elements)


@operators(check=BY_KERNEL)("""
    mse_loss_backward(Tensor grad_output, Tensor self, Tensor target, int reduction) -> Tensor
""")
def _mse_backward(signature: Signature) -> int:
    """2n + 1: (x − y) · 2g, with 2g/n formed once; 3n if each element has its own g."""
    elements = signature.out.numel
    # A gradient for each element is possible with a reduction as well; an attacker got a product for nothing
    # that way.
    if signature["reduction"] == 0 or signature.tensor("grad_output").numel > 1:
        return 3 * elements
    return 2 * elements + 1 + incoming_operations(signature)


@operators(check=BY_KERNEL)("""
    smooth_l1_loss(Tensor self, Tensor target, int reduction=1, float beta=1.) -> Tensor
""")
def _smooth_l1(signature: Signature) -> int:
    """|z| < β ? z² · 0.5/β : |z| − β/2, with z = x − y; |z| for β = 0."""
    elements = _elements(signature)
    # The product with 0.5/β counts even if that is 1: it is computed from two literals (decision 0012).
    each = 2 if signature["beta"] == 0 else 6
    return each * elements + reduction_operations(signature, elements)


@operators(check=smooth_loss_of_floats)("""
    smooth_l1_loss_backward(Tensor grad_output, Tensor self, Tensor target, int reduction, float beta) ->
        Tensor
""")
def _smooth_l1_backward(signature: Signature) -> int:
    """g · clamp(z/β, −1, 1), with z = x − y."""
    return signature.out.numel * (4 + multiplies(signature["beta"])) + incoming_operations(signature)


@operators(check=BY_KERNEL)("""
    huber_loss(Tensor self, Tensor target, int reduction=1, float delta=1.) -> Tensor
""")
def _huber(signature: Signature) -> int:
    """|z| < δ ? z²/2 : δ · (|z| − δ/2), with z = x − y."""
    elements = _elements(signature)
    return elements * (6 + multiplies(signature["delta"])) + reduction_operations(signature, elements)


@operators(check=BY_KERNEL)("""
    huber_loss_backward(Tensor grad_output, Tensor self, Tensor target, int reduction, float delta) -> Tensor
""")
def _huber_backward(signature: Signature) -> int:
    """g · clamp(z, −δ, δ), with z = x − y."""
    return 4 * signature.out.numel + incoming_operations(signature)


@operators(check=probabilities)("""
    binary_cross_entropy(Tensor self, Tensor target, Tensor? weight=None, int reduction=1) -> Tensor
""")
def _binary_cross_entropy(signature: Signature) -> int:
    """−(y · log p + (1 − y) · log(1 − p)), times the weight."""
    elements = _elements(signature)
    weighted = signature["weight"] is not None
    return elements * (8 + weighted) + reduction_operations(signature, elements)


@operators(check=probabilities)("""
    binary_cross_entropy_backward(Tensor grad_output, Tensor self, Tensor target, Tensor? weight=None, int
        reduction=1) -> Tensor
""")
def _binary_cross_entropy_backward(signature: Signature) -> int:
    """g · (p − y) / (p · (1 − p)), times the weight."""
    weighted = signature["weight"] is not None
    return signature.out.numel * (5 + weighted) + incoming_operations(signature)


@operators(check=BY_KERNEL)("""
    binary_cross_entropy_with_logits(Tensor self, Tensor target, Tensor? weight=None, Tensor? pos_weight=None,
        int reduction=1) -> Tensor
""")
def _binary_cross_entropy_with_logits(signature: Signature) -> int:
    """(1 − y) · x + l · log(1 + exp(−x)), l = 1 + (pos_weight − 1) · y; times the weight."""
    elements = _elements(signature)
    weighted = signature["weight"] is not None
    # The shortest form of the definition is priced, not a sigmoid whose logarithm is taken twice (decision
    # 0011).
    positive = signature.optional_tensor("pos_weight")
    balance = 0 if positive is None else 3 * elements + positive.numel
    return elements * (7 + weighted) + balance + reduction_operations(signature, elements)


@operators(check=BY_KERNEL)("soft_margin_loss(Tensor self, Tensor target, int reduction=1) -> Tensor")
def _soft_margin(signature: Signature) -> int:
    """log(1 + exp(−y · x))."""
    elements = _elements(signature)
    return 5 * elements + reduction_operations(signature, elements)


@operators(check=BY_KERNEL)("""
    soft_margin_loss_backward(Tensor grad_output, Tensor self, Tensor target, int reduction) -> Tensor
""")
def _soft_margin_backward(signature: Signature) -> int:
    """−y · g / (1 + exp(y · x))."""
    return 6 * signature.out.numel + incoming_operations(signature)
