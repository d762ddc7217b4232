from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from haet_eval.errors import Verdict
from haet_eval.scoring import judge, score


def test_counts_the_images_that_got_their_label() -> None:
    result = score([3, 1, 4, 1], np.array([3, 1, 4, 2]))
    assert (result.correct, result.total, result.accuracy) == (3, 4, 0.75)


def test_balanced_accuracy_counts_every_class_alike() -> None:
    labels = np.array([0] * 9 + [1])
    always_zero = score([0] * 10, labels, "balanced_accuracy")
    assert (always_zero.correct, always_zero.total, always_zero.accuracy) == (9, 10, 0.5)
    assert score([0] * 10, labels).accuracy == 0.9


@given(st.lists(st.integers(0, 4), min_size=1), st.randoms())
def test_on_a_balanced_test_set_the_two_metrics_are_one(classes: list[int], random: Random) -> None:
    predictions = [random.choice(classes) for _ in range(3 * len(set(classes)))]
    labels = np.array(sorted(set(classes)) * 3)
    both = [score(predictions, labels, metric).accuracy for metric in ("accuracy", "balanced_accuracy")]
    assert both[0] == both[1]


@pytest.mark.parametrize(
    "predictions",
    [[], [1, 2, 3], [[1, 2]], [1.0, 2.0], [True, False]],
    ids=["none", "too many", "two-dimensional", "floats", "booleans"],
)
def test_refuses_what_is_not_one_class_per_image(predictions: list[int]) -> None:
    with pytest.raises(ValueError, match=r"predictions for|list of integers"):
        score(predictions, np.array([1, 2]))


@pytest.mark.parametrize("threshold", [0.93, 0.78, 1.0, 0.1])
def test_reaching_the_threshold_exactly_is_enough(threshold: float) -> None:
    correct = round(10_000 * threshold)
    assert judge(correct / 10_000, threshold, uncounted=False) is Verdict.QUALIFIED
    assert judge((correct - 1) / 10_000, threshold, uncounted=False) is Verdict.BELOW_THRESHOLD


def test_an_uncounted_operator_outweighs_any_accuracy() -> None:
    assert judge(1.0, 0.93, uncounted=True) is Verdict.UNCOUNTABLE
    assert judge(0.0, 0.93, uncounted=True) is Verdict.UNCOUNTABLE


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1), st.randoms())
def test_the_order_of_images_does_not_matter(pairs: list[tuple[int, int]], random: Random) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)
    results = [score([p for p, _ in rows], np.array([t for _, t in rows])) for rows in (pairs, shuffled)]
    assert results[0] == results[1]
