"""The draw of another split, and the conclusion from its predictions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haet_eval.data.arrays import Arrays
from haet_eval.dataset import Dataset, load_dataset
from haet_eval.errors import Verdict
from haet_eval.evaluation.audit import GAP_P, Redrawn, compare, conclude, redraw
from haet_eval.evaluation.repetition import as_run
from haet_eval.record import Content, Run, Share, seal
from haet_eval.reports.audit import audit_lines
from haet_eval.store import Store, read_record
from tests.fixtures.records import make_record


def resealed_audit(path: Path, **changes: Any) -> Path:
    """The record as a cheat would write it: its audit changed, and sealed with a digest of its own."""
    record = read_record(path)
    assert record.audit is not None
    facts = {name: getattr(record, name) for name in Content.model_fields}
    facts["audit"] = record.audit.model_copy(update=changes)
    return Store(path.parent).add(seal(Content(**facts)))


def small_data(train: list[int], test: list[int]) -> Dataset:
    """Images that hold their own position: the first pixels are the place in the pool."""
    places = np.arange(len(train) + len(test))
    images = np.zeros((len(places), 3, 2, 2), np.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = places % 256, places // 256
    arrays = Arrays(
        images[: len(train)], np.array(train, np.int64), images[len(train) :], np.array(test, np.int64)
    )
    return Dataset("small", 4, *arrays, digest=arrays.digest(), official=True)


def places(images: np.ndarray[Any, Any]) -> list[int]:
    return [int(image[0, 0, 0]) + 256 * int(image[0, 0, 1]) for image in images]


labels = st.lists(st.integers(0, 3), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(train=labels, test=labels, seed=st.integers(0, 2**32 - 1))
def test_another_split_has_the_same_images_and_as_many_of_each_class(
    train: list[int], test: list[int], seed: int
) -> None:
    data = small_data(train, test)
    drawn = redraw(data, seed)
    new = drawn.dataset
    assert sorted(new.test_labels) == sorted(test)
    assert sorted(new.train_labels) == sorted(train)
    assert sorted(places(new.train_images) + places(new.test_images)) == list(range(len(train) + len(test)))
    pool = [*train, *test]
    assert [pool[place] for place in places(new.test_images)] == new.test_labels.tolist()
    assert [pool[place] for place in places(new.train_images)] == new.train_labels.tolist()
    assert drawn.formerly_test is not None
    assert [place >= len(train) for place in places(new.test_images)] == drawn.formerly_test.tolist()
    assert not new.official
    assert redraw(data, seed).dataset.digest == new.digest


def test_the_split_of_a_seed_stays_what_it_is(tmp_path: Path) -> None:
    """Else no audit could be checked later."""
    digest = redraw(load_dataset("digits", tmp_path), 1).dataset.digest
    assert digest == "b28f0f8d88f2332b34d84e5efa074cd9dc68d565f0eb96e6f3791bf886350791"


def test_seeds_draw_different_splits() -> None:
    data = small_data([0, 1] * 30, [0, 1] * 10)
    assert redraw(data, 1).dataset.digest != redraw(data, 2).dataset.digest


def test_the_standard_error_is_that_of_two_equal_proportions() -> None:
    """0.64 points at 94 %, where 10,000 of 60,000 images are drawn."""
    gap = compare(Share(correct=1567, total=1667), Share(correct=7833, total=8333))
    assert gap is not None
    assert gap.standard_error_points == pytest.approx(0.638, abs=1e-3)
    assert gap.points == pytest.approx(0.0, abs=0.01)
    assert gap.p_value > 0.4


def test_two_points_of_ten_thousand_images_are_about_as_unlikely_as_the_limit() -> None:
    gap = compare(Share(correct=1594, total=1667), Share(correct=7800, total=8333))
    assert gap is not None
    assert gap.points == pytest.approx(2.0, abs=0.03)
    assert GAP_P / 4 < gap.p_value < GAP_P * 2


def test_of_nothing_nothing_is_concluded() -> None:
    assert compare(Share(correct=0, total=0), Share(correct=1, total=2)) is None


DATA = small_data([0, 1, 2, 3] * 60, [0, 1, 2, 3] * 40)


def audited(
    right_before: float, right_now: dict[bool, float], *, two_sided: bool = True, **changes: Any
) -> tuple[str, ...]:
    """The flags, where so large a share of former test (True) and training images (False) is right."""
    drawn = redraw(DATA, 5)
    predictions = drawn.dataset.test_labels.copy()
    for formerly_test, share in right_now.items():
        places = np.flatnonzero(drawn.formerly_test == formerly_test)
        wrong = places[round(share * len(places)) :]
        predictions[wrong] = (predictions[wrong] + 1) % 4
    first = make_run(right_before)
    return conclude(first, make_run(0.9, **changes), drawn, 5, predictions, two_sided=two_sided).flags


def make_run(right: float, **changes: Any) -> Run:
    run = as_run(make_record())
    assert run.evaluation is not None
    correct = round(right * 160)
    score = run.evaluation.model_copy(update={"correct": correct, "total": 160, "accuracy": correct / 160})
    return run.model_copy(update={"evaluation": score, **changes})


def test_equal_accuracies_raise_no_flag() -> None:
    assert audited(0.93, {True: 0.93, False: 0.93}) == ()


def test_much_worse_on_former_test_images_raises_a_flag() -> None:
    """Of a submission that brings weights learnt from the training images."""
    assert audited(0.6, {True: 0.6, False: 0.93}) == ("gap",)


def test_former_training_images_all_but_one_right_stand_out() -> None:
    """The counts of a submission with pretrained weights, which the one-sided test passed."""
    gap = compare(Share(correct=85, total=92), Share(correct=352, total=353), two_sided=True)
    assert gap is not None
    assert gap.points == pytest.approx(-7.33, abs=0.01)
    assert gap.p_value < GAP_P
    one_sided = compare(Share(correct=85, total=92), Share(correct=352, total=353))
    assert one_sided is not None
    assert one_sided.p_value > 0.99


def test_records_of_schema_version_1_keep_their_one_sided_gap() -> None:
    assert audited(0.6, {True: 0.6, False: 0.93}, two_sided=False) == ()


def test_much_better_on_former_test_images_raises_a_flag() -> None:
    assert audited(0.8, {True: 1.0, False: 0.8}) == ("gap",)


def test_a_result_that_does_not_come_again_raises_a_flag() -> None:
    """Of a submission that knows that it is audited, say."""
    assert audited(0.99, {True: 0.7, False: 0.7}) == ("drop",)


def test_an_audit_that_costs_much_more_raises_a_flag() -> None:
    usual = make_run(0.9).complexity
    assert usual is not None
    assert audited(0.9, {True: 0.9, False: 0.9}, complexity=usual * 2) == ("cost",)
    assert audited(0.9, {True: 0.9, False: 0.9}, complexity=usual * 5 // 4) == ()


@pytest.mark.parametrize(("verdict", "flags"), [(Verdict.LIMIT_TIME, ("failed",)), (Verdict.INTERRUPTED, ())])
def test_an_audit_without_predictions(verdict: Verdict, flags: tuple[str, ...]) -> None:
    run = make_run(0.9)
    ended = run.model_copy(
        update={"status": run.status.model_copy(update={"verdict": verdict}), "evaluation": None}
    )
    drawn: Redrawn = redraw(DATA, 5)
    audit = conclude(run, ended, drawn, 5, None)
    assert audit.flags == flags
    assert (audit.gap, audit.drop, audit.former_test) == (None, None, None)


def test_what_is_shown_of_an_audit() -> None:
    audit = conclude(make_run(0.8), make_run(0.8), redraw(DATA, 5), 5, redraw(DATA, 5).dataset.test_labels)
    flagged = audit.model_copy(update={"flags": ("gap", "cost")})
    assert audit_lines(audit)[0] == "nothing found"
    assert audit_lines(flagged)[0] == "FLAGGED: gap, cost"
    assert "100.00 % of" in audit_lines(flagged)[1]
    assert audit_lines(flagged)[2].startswith("+0.00 points, standard error 0.00, p = 1")
