"""From predictions and labels to an accuracy, and from an accuracy to a verdict. Pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from haet_eval.errors import Verdict


@dataclass(frozen=True, slots=True)
class Score:
    """How many of `total` images got their right label."""

    correct: int
    total: int

    @property
    def accuracy(self) -> float:
        """The correct fraction, 0 to 1."""
        return self.correct / self.total


def score(predictions: Sequence[int] | npt.NDArray[np.integer], labels: npt.NDArray[np.integer]) -> Score:
    """Compare one predicted class per image, [N] integers, with the labels, [N] integers.

    Raises:
        ValueError: they are not two lists of integers of one length, at least 1.
    """
    predicted, expected = np.asarray(predictions), np.asarray(labels)
    for array in (predicted, expected):
        if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
            raise ValueError(f"expected a list of integers, got {array.dtype} of shape {array.shape}")
    if predicted.shape != expected.shape or expected.size == 0:
        raise ValueError(f"{predicted.size} predictions for {expected.size} labels")
    return Score(int(np.count_nonzero(predicted == expected)), expected.size)


def judge(score: Score, threshold: float, *, uncounted: bool) -> Verdict:
    """The verdict on a submission that trained and predicted.

    Args:
        score: on the test images.
        threshold: the accuracy to reach, as a fraction; reaching it exactly is enough.
        uncounted: whether the training ran operators that the standard has no price for.
    """
    if uncounted:
        return Verdict.UNCOUNTABLE
    return Verdict.QUALIFIED if score.accuracy >= threshold else Verdict.BELOW_THRESHOLD
