"""Losses and their backward. n = elements of the broadcast input; a mean divides, a sum does not."""

from haet_eval.counting.prices.literals import multiplies
from haet_eval.counting.prices.pointwise import broadcast_elements
from haet_eval.counting.prices.reductions import folding
from haet_eval.counting.prices.table import overloads, price
from haet_eval.counting.signature import Signature

_FUNCTION = ".default .out"
_BACKWARD = ".default .grad_input"
MEAN = 1


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


@price(*overloads("nll_loss_forward nll_loss2d_forward", ".default .output"))
def _nll(signature: Signature) -> int:
    """For each sample read and negate; with class weights read the weight and multiply. Σw for a mean."""
    samples = signature.tensor("target").numel
    if signature["weight"] is None:
        return 2 * samples + reduction_operations(signature, samples)
    total_weight = folding(samples, 1) if signature["reduction"] == MEAN else 0
    return 4 * samples + total_weight + reduction_operations(signature, samples)


@price(*overloads("nll_loss_backward nll_loss2d_backward", _BACKWARD))
def _nll_backward(signature: Signature) -> int:
    """For each sample negate the gradient and write it; with class weights read and multiply."""
    samples = signature.tensor("target").numel
    return samples * (2 if signature["weight"] is None else 4) + incoming_operations(signature)


@price(*overloads("mse_loss", _FUNCTION))
def _mse(signature: Signature) -> int:
    """2n: (x − y)²; |in| more for a mean, |in| − 1 for a sum."""
    elements = _elements(signature)
    return 2 * elements + reduction_operations(signature, elements)


@price(*overloads("mse_loss_backward", _BACKWARD))
def _mse_backward(signature: Signature) -> int:
    """2n + 1: (x − y) · 2g, with 2g/n formed once; 3n if each element has its own g."""
    elements = signature.out.numel
    if signature["reduction"] == 0 or signature.tensor("grad_output").numel > 1:
        return 3 * elements
    return 2 * elements + 1 + incoming_operations(signature)


@price(*overloads("smooth_l1_loss", _FUNCTION))
def _smooth_l1(signature: Signature) -> int:
    """|z| < β ? z² · 0.5/β : |z| − β/2, with z = x − y; |z| for β = 0."""
    elements = _elements(signature)
    each = 2 if signature["beta"] == 0 else 6
    return each * elements + reduction_operations(signature, elements)


@price(*overloads("smooth_l1_loss_backward", _BACKWARD))
def _smooth_l1_backward(signature: Signature) -> int:
    """g · clamp(z/β, −1, 1), with z = x − y."""
    return signature.out.numel * (4 + multiplies(signature["beta"])) + incoming_operations(signature)


@price(*overloads("huber_loss", _FUNCTION))
def _huber(signature: Signature) -> int:
    """|z| < δ ? z²/2 : δ · (|z| − δ/2), with z = x − y."""
    elements = _elements(signature)
    return elements * (6 + multiplies(signature["delta"])) + reduction_operations(signature, elements)


@price(*overloads("huber_loss_backward", _FUNCTION))
def _huber_backward(signature: Signature) -> int:
    """g · clamp(z, −δ, δ), with z = x − y."""
    return 4 * signature.out.numel + incoming_operations(signature)


@price(*overloads("binary_cross_entropy", _FUNCTION))
def _binary_cross_entropy(signature: Signature) -> int:
    """−(y · log p + (1 − y) · log(1 − p)), times the weight."""
    elements = _elements(signature)
    weighted = signature["weight"] is not None
    return elements * (8 + weighted) + reduction_operations(signature, elements)


@price(*overloads("binary_cross_entropy_backward", _BACKWARD))
def _binary_cross_entropy_backward(signature: Signature) -> int:
    """g · (p − y) / (p · (1 − p)), times the weight."""
    weighted = signature["weight"] is not None
    return signature.out.numel * (5 + weighted) + incoming_operations(signature)


@price(*overloads("binary_cross_entropy_with_logits", _FUNCTION))
def _binary_cross_entropy_with_logits(signature: Signature) -> int:
    """(1 − y) · x + l · log(1 + exp(−x)), l = 1 + (pos_weight − 1) · y; times the weight."""
    elements = _elements(signature)
    weighted = signature["weight"] is not None
    positive = signature.optional_tensor("pos_weight")
    balance = 0 if positive is None else 3 * elements + positive.numel
    return elements * (7 + weighted) + balance + reduction_operations(signature, elements)


@price(*overloads("soft_margin_loss", _FUNCTION))
def _soft_margin(signature: Signature) -> int:
    """log(1 + exp(−y · x))."""
    elements = _elements(signature)
    return 5 * elements + reduction_operations(signature, elements)


@price(*overloads("soft_margin_loss_backward", _BACKWARD))
def _soft_margin_backward(signature: Signature) -> int:
    """−y · g / (1 + exp(y · x))."""
    return 6 * signature.out.numel + incoming_operations(signature)
