"""The disguise of a data set: labels stay right, images stay images, nothing depends on the machine."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haet_eval.data.arrays import Arrays, Images
from haet_eval.dataset import Dataset, load_dataset
from haet_eval.evaluation.audit import DISGUISE_POINTS, conclude, draw
from haet_eval.evaluation.disguise import Disguise, disguise, draw_disguise, wear
from haet_eval.record import Audit
from haet_eval.reports.audit import audit_lines
from tests.unit.test_audit import DATA, make_run

PLAIN = tuple(tuple(64 * (row == column) for column in range(3)) for row in range(3))
seeds = st.integers(0, 2**32 - 1)


def photographs(channels: int = 3, count: int = 60, brightness: float = 120.0) -> Dataset:
    """Images whose levels are spread as in photographs, of ten classes."""
    random = np.random.default_rng(0)
    levels = random.normal(brightness, 60, (count, 1, 16, 16)) + random.normal(
        0, 20, (count, channels, 16, 16)
    )
    images = levels.clip(0, 255).astype(np.uint8)
    labels = np.arange(count) % 10
    arrays = Arrays(images[:40], labels[:40], images[40:], labels[40:])
    return Dataset("photographs", 10, *arrays, digest=arrays.digest(), official=True)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, channels=st.sampled_from([1, 3]))
def test_the_shape_the_type_and_the_classes_stay(seed: int, channels: int) -> None:
    data = photographs(channels)
    worn = disguise(data, seed)
    for before, after in ((data.train_images, worn.train_images), (data.test_images, worn.test_images)):
        assert after.dtype == np.dtype(np.uint8)
        assert after.shape == before.shape
    renumbered = dict(zip(data.train_labels.tolist(), worn.train_labels.tolist(), strict=True))
    assert sorted(renumbered.values()) == list(range(10))
    assert [renumbered[label] for label in data.test_labels.tolist()] == worn.test_labels.tolist()
    assert all(before != after for before, after in renumbered.items())
    assert not worn.official
    assert worn.digest == disguise(data, seed).digest


@settings(max_examples=40, deadline=None)
@given(seed=seeds)
def test_each_channel_keeps_its_mean_and_deviation(seed: int) -> None:
    """Constants that an honest recipe normalizes with."""
    data = photographs()
    worn = disguise(data, seed)
    for channel in range(3):
        before, after = data.train_images[:, channel], worn.train_images[:, channel]
        assert after.mean() == pytest.approx(before.mean(), abs=2.5)
        assert after.std() == pytest.approx(before.std(), rel=0.04)


@settings(max_examples=40, deadline=None)
@given(seed=seeds)
def test_every_channel_moves_and_the_mixing_can_be_undone(seed: int) -> None:
    mixing = np.array(draw_disguise(photographs(), seed).mixing)
    origins = np.abs(mixing).argmax(1)
    assert sorted(origins) == [0, 1, 2]
    assert all(place != origin for place, origin in enumerate(origins))
    assert np.linalg.cond(mixing) < 10


def test_images_are_turned_upside_down() -> None:
    data = photographs()
    worn = wear(data, Disguise(tuple(range(10)), PLAIN, 0))
    assert np.abs(worn.test_images[:, :, ::-1].astype(int) - data.test_images).max() <= 1


def test_brightness_is_bent_in_order() -> None:
    """A positive bend brightens the middle; no level passes another one."""
    ramp = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)

    def curve(bend: int) -> Images:
        arrays = Arrays(ramp, np.array([0]), ramp, np.array([0]))
        data = Dataset("ramp", 1, *arrays, digest="", official=False)
        return wear(data, Disguise((0,), ((64,),), bend)).test_images[0, 0, ::-1].ravel().astype(int)

    for bend in (-38, -16, 16, 38):
        assert (np.diff(curve(bend)) >= 0).all()
        middle = slice(112, 144)
        bent = (curve(bend) - np.arange(256))[middle].mean()
        assert bent * bend > 0


def test_dark_images_are_not_inverted() -> None:
    """Half of their levels would be clipped if they kept their mean."""
    dark = [draw_disguise(photographs(brightness=40.0), seed).mixing for seed in range(20)]
    light = [draw_disguise(photographs(), seed).mixing for seed in range(20)]
    assert min(min(map(min, mixing)) for mixing in dark) >= 0
    assert sum(max(row) < 0 or min(row) < 0 for mixing in light for row in mixing) in range(20, 41)


def test_the_disguise_of_a_seed_stays_what_it_is(tmp_path: Path) -> None:
    """Else no audit could be checked later."""
    assert (
        disguise(load_dataset("digits", tmp_path), 1).digest
        == "a938aa6b87f98cd7cd40aae714c08c09a04a2861f7af3d7bb58cbb21953a391f"
    )


def concluded(before: float, now: float, *, operations: str | None = None) -> Audit:
    """The audit of runs with these accuracies, the second one with another histogram, if one is named."""
    drawn = draw("disguise", DATA, 5)
    predictions = drawn.dataset.test_labels.copy()
    predictions[round(now * len(predictions)) :] += 1
    again = make_run(now)
    assert again.training is not None
    if operations:
        histogram = again.training.histogram.model_copy(update={"sha256": operations * 64})
        again = again.model_copy(
            update={"training": again.training.model_copy(update={"histogram": histogram})}
        )
    return conclude(make_run(before), again, drawn, 5, predictions)


def test_a_small_loss_in_disguise_raises_no_flag() -> None:
    audit = concluded(0.95, 0.93)
    assert (audit.kind, audit.flags, audit.gap, audit.former_test) == ("disguise", (), None, None)
    assert audit.drop is not None
    assert audit.drop.points == pytest.approx(2, abs=0.8)


def test_a_large_loss_in_disguise_raises_a_flag() -> None:
    audit = concluded(0.95, 0.5)
    assert audit.flags == ("drop",)
    assert audit_lines(audit)[0] == "FLAGGED: drop"
    assert audit_lines(audit)[1] == "in disguise 50.00 % of 160 test images are right"
    assert audit_lines(audit)[2].startswith("+45.00 points lost, standard error")
    assert DISGUISE_POINTS < 45


def test_other_operations_in_disguise_raise_a_flag() -> None:
    """Of a submission that notices the disguise and then works."""
    assert concluded(0.95, 0.95, operations="b").flags == ("operations",)
