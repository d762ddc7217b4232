"""Losses by margins between the classes of a sample. C classes; every class may be a target."""

from haet_eval.operators.checking.call import Call
from haet_eval.operators.checking.shapes import same_dtype, same_shape
from haet_eval.operators.losses import classes, incoming_operations, loss_gradient, reduction_operations
from haet_eval.operators.reductions import folding
from haet_eval.operators.signature import Signature
from haet_eval.operators.table import operators


def labels(call: Call) -> None:
    scores = call.tensor("self")
    call.require(scores.ndim in {0, 1, 2} and scores.numel > 0, "self must have one or two dimensions")
    same_shape(call, "self", "target", "is_target")
    same_dtype(call, "self", "is_target", "grad_output")
    call.require(call.tensor("target").dtype == "int64", "target must be int64")
    loss_gradient(call, scores.shape[:-1])


def _samples_and_classes(signature: Signature) -> tuple[int, int]:
    scores = signature.tensor("self")
    classes = scores.shape[-1] if scores.shape else 1
    return scores.numel // max(classes, 1), classes


@operators(check=classes)("""
    multi_margin_loss(Tensor self, Tensor target, Scalar p=1, Scalar margin=1, Tensor? weight=None, int
        reduction=1) -> Tensor
""")
def _multi_margin(signature: Signature) -> int:
    """Σ max(0, margin − x[y] + x[c])ᵖ / C over the other classes c of each sample."""
    samples, classes = _samples_and_classes(signature)
    weighted = signature["weight"] is not None
    terms = (classes - 1) * (2 + (signature["p"] == 2) + weighted)
    each = 3 + weighted + terms + folding(classes - 1, 1)
    return samples * each + reduction_operations(signature, samples)


@operators(check=classes, guard="class_numbers")("""
    multi_margin_loss_backward(Tensor grad_output, Tensor self, Tensor target, Scalar p, Scalar margin,
        Tensor? weight=None, int reduction=1) -> Tensor
""")
def _multi_margin_backward(signature: Signature) -> int:
    """Per sample g / C, margin − x[y]; per other class z, and g (for p = 2: 2g · z) where z > 0.

    The target's gradient is the negated sum of theirs.
    """
    samples, classes = _samples_and_classes(signature)
    weighted = signature["weight"] is not None
    terms = (classes - 1) * (2 + (signature["p"] == 2))
    own = folding(classes - 1, 1) + 2
    each = 1 + 2 + (signature["p"] == 2) + 2 * weighted + terms + own
    return samples * each + incoming_operations(signature)


@operators(check=labels)("""
    multilabel_margin_loss_forward(Tensor self, Tensor target, int reduction) -> (Tensor output, Tensor
        is_target)
""")
def _multilabel_margin(signature: Signature) -> int:
    """Σ max(0, 1 − x[y] + x[i]) / C over the targets y and the classes i that are not targets.

    The price is that of C targets: each is marked, read, subtracted; each pair is added, cut off, selected
    and summed.
    """
    samples, classes = _samples_and_classes(signature)
    each = 3 * classes + 3 * classes**2 + folding(classes**2, 1) + 1
    return samples * each + reduction_operations(signature, samples)


@operators(check=labels, guard="label_numbers")("""
    multilabel_margin_loss_backward(Tensor grad_output, Tensor self, Tensor target, int reduction, Tensor
        is_target) -> Tensor
""")
def _multilabel_margin_backward(signature: Signature) -> int:
    """Per sample g / C; per pair z, g where z > 0, selected, added to i and subtracted from y.

    The price is that of C targets: each is read, subtracted, and its gradient accumulated.
    """
    samples, classes = _samples_and_classes(signature)
    each = 1 + 4 * classes + 5 * classes**2
    return samples * each + incoming_operations(signature)
