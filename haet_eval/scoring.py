"""From predictions and labels to an accuracy, and from an accuracy to a verdict. Pure functions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from haet_eval.competition import Metric
from haet_eval.errors import SubmissionFailure, Verdict
from haet_eval.record import UncountedOperator
from haet_eval.spelling import percent


@dataclass(frozen=True, slots=True)
class Score:
    """How many of `total` images got their right label, and the accuracy by the metric, 0 to 1.

    `nan_images` is the number of images without a label (-1), because one of their logits was NaN.
    """

    correct: int
    total: int
    accuracy: float
    nan_images: int = 0


def score(
    predictions: Sequence[int] | npt.NDArray[np.integer],
    labels: npt.NDArray[np.integer],
    metric: Metric = "accuracy",
) -> Score:
    """Compare one predicted class per image, [N] integers, with the labels, [N] integers.

    Raises:
        ValueError: the arguments are not two lists of integers of one length, at least 1.
    """
    predicted, expected = np.asarray(predictions), np.asarray(labels)
    # A list of another shape would be broadcast, and the comparison would raise no error.
    for array in (predicted, expected):
        if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
            raise ValueError(f"expected a list of integers, got {array.dtype} of shape {array.shape}")
    if predicted.shape != expected.shape or expected.size == 0:
        raise ValueError(f"{predicted.size} predictions for {expected.size} labels")
    right = predicted == expected
    correct = int(np.count_nonzero(right))
    accuracy = _mean_of_classes(right, expected) if metric == "balanced_accuracy" else correct / right.size
    return Score(correct, right.size, accuracy, int(np.count_nonzero(predicted < 0)))


def _mean_of_classes(right: npt.NDArray[np.bool_], expected: npt.NDArray[np.integer]) -> float:
    classes, images = np.unique(expected, return_counts=True)
    correct = [int(np.count_nonzero(right[expected == one])) for one in classes]
    # Exact and rounded once, so that the accuracy is the same on every machine and in any order of the
    # classes.
    return float(sum(Fraction(*pair) for pair in zip(correct, images.tolist(), strict=True)) / len(classes))


def judge(accuracy: float, threshold: float, *, uncounted: bool) -> Verdict:
    """The verdict on a submission that trained and predicted.

    Args:
        accuracy: on the test images, as a fraction.
        threshold: the required accuracy; an equal one is enough.
        uncounted: whether the training ran operators without a price in the standard.
    """
    # First: whatever its accuracy, a training that cannot be counted cannot be ranked.
    if uncounted:
        return Verdict.UNCOUNTABLE
    return Verdict.QUALIFIED if accuracy >= threshold else Verdict.BELOW_THRESHOLD


def shortfall(
    accuracy: float, threshold: float, uncounted: Sequence[UncountedOperator], nan_images: int = 0
) -> SubmissionFailure | None:
    """Why a submission that trained and predicted does not qualify; None if it does. It follows `judge`."""
    verdict = judge(accuracy, threshold, uncounted=bool(uncounted))
    if verdict is Verdict.UNCOUNTABLE:
        return SubmissionFailure(verdict, without_price(uncounted), code="operator-unpriced")
    if verdict is Verdict.BELOW_THRESHOLD:
        reason = f"Accuracy {percent(accuracy)} is below the {percent(threshold)} asked for."
        # The contestant sees a low accuracy, and this is its cause.
        if nan_images:
            reason += (
                f" The logits of {nan_images:,} test images contain NaN, and such an image cannot be right. "
                "Look for the first loss that is not finite, and lower the learning rate or clip gradients."
            )
            return SubmissionFailure(verdict, reason, code="logits-nan")
        return SubmissionFailure(verdict, reason, code="below-threshold")
    return None


def without_price(uncounted: Iterable[UncountedOperator]) -> str:
    """Why a training cannot be counted."""
    lines = (
        f"{line.operator} ({line.calls:,} calls, as in {line.shapes[0]}): {line.hint}" for line in uncounted
    )
    return f"The counting standard has no price for {' '.join(lines)}"
