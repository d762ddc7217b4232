"""Losses by margins between the classes of a sample. C classes; every class may be a target."""

from haet_eval.counting.prices.losses import incoming_operations, reduction_operations
from haet_eval.counting.prices.reductions import folding
from haet_eval.counting.prices.table import overloads, price
from haet_eval.counting.signature import Signature


def _samples_and_classes(signature: Signature) -> tuple[int, int]:
    scores = signature.tensor("self")
    classes = scores.shape[-1] if scores.shape else 1
    return scores.numel // max(classes, 1), classes


@price(*overloads("multi_margin_loss", ".default .out"))
def _multi_margin(signature: Signature) -> int:
    """Σ max(0, margin − x[y] + x[c])ᵖ / C over the other classes c of each sample."""
    samples, classes = _samples_and_classes(signature)
    weighted = signature["weight"] is not None
    terms = (classes - 1) * (2 + (signature["p"] == 2) + weighted)
    each = 3 + weighted + terms + folding(classes - 1, 1)
    return samples * each + reduction_operations(signature, samples)


@price(*overloads("multi_margin_loss_backward", ".default .grad_input"))
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


@price(*overloads("multilabel_margin_loss_forward", ".default .output"))
def _multilabel_margin(signature: Signature) -> int:
    """Σ max(0, 1 − x[y] + x[i]) / C over the targets y and the classes i that are not targets.

    The price is that of C targets: each is marked, read, subtracted; each pair is added, cut off, selected
    and summed.
    """
    samples, classes = _samples_and_classes(signature)
    each = 3 * classes + 3 * classes**2 + folding(classes**2, 1) + 1
    return samples * each + reduction_operations(signature, samples)


@price(*overloads("multilabel_margin_loss_backward", ".default .grad_input"))
def _multilabel_margin_backward(signature: Signature) -> int:
    """Per sample g / C; per pair z, g where z > 0, selected, added to i and subtracted from y.

    The price is that of C targets: each is read, subtracted, and its gradient accumulated.
    """
    samples, classes = _samples_and_classes(signature)
    each = 1 + 4 * classes + 5 * classes**2
    return samples * each + incoming_operations(signature)
