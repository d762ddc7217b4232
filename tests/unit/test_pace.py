"""The percentage done and the time left, from what a submission reports."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haet_eval.pace import Advance, Pace, advance_in


@pytest.mark.parametrize(
    "values",
    [
        {"step": "30", "steps": "300"},
        {"step": "30/300"},
        {"step": " 30 of 300 "},
        {"step": "30", "total_steps": "300", "loss": "0.3"},
        {"step": "30", "of": "300"},
    ],
)
def test_progress_is_read_from_a_report(values: dict[str, str]) -> None:
    assert advance_in(values) == Advance("step", 30, 300)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"epoch": "3"},
        {"epoch": "0", "epochs": "3"},
        {"epoch": "4", "epochs": "3"},
        {"epoch": "-1", "epochs": "3"},
        {"epoch": "1.5", "epochs": "3"},
        {"epoch": "²", "epochs": "3"},
        {"epochs": "3"},
    ],
)
def test_a_report_without_a_usable_total_shows_no_progress(values: dict[str, str]) -> None:
    assert advance_in(values) is None


@given(
    setup=st.floats(0, 1000),
    each=st.floats(0.1, 1000),
    of=st.integers(2, 1000),
    done=st.integers(2, 1000),
    part=st.floats(0, 1),
)
def test_equal_epochs_after_a_setup_leave_the_time_that_they_take(
    setup: float, each: float, of: int, done: int, part: float
) -> None:
    done = min(done, of)
    pace = Pace()
    for epoch in range(1, done + 1):
        pace.report({"epoch": str(epoch), "epochs": str(of)})
        pace.look(setup + epoch * each)
    share, left = pace.look(setup + (done + part) * each)
    assert share == done / of
    expected = (of - done - part) * each
    assert (left or 0.0) == pytest.approx(max(expected, 0.0), abs=1e-6 * (setup + each) * of)


def test_after_one_epoch_the_time_before_stands_for_the_others() -> None:
    pace = Pace()
    assert pace.look(5.0) == (None, None)
    pace.report({"epoch": "1", "epochs": "4"})
    assert pace.look(12.0) == (0.25, 36.0)
    assert pace.look(15.0) == (0.25, 33.0)


def test_an_epoch_that_takes_longer_leaves_those_after_it() -> None:
    pace = Pace()
    for epoch in (1, 2):
        pace.report({"epoch": str(epoch), "epochs": "4"})
        pace.look(10.0 * epoch)
    assert pace.look(25.0) == (0.5, 15.0)
    assert pace.look(500.0) == (0.5, 10.0)


def test_no_time_is_stated_for_a_last_epoch_that_is_overdue_or_over() -> None:
    pace = Pace()
    for epoch in (1, 2, 3):
        pace.report({"epoch": str(epoch), "epochs": "4"})
        pace.look(10.0 * epoch)
    assert pace.look(50.0) == (0.75, None)
    pace.report({"epoch": "4", "epochs": "4"})
    assert pace.look(51.0) == (1.0, None)


def test_many_reports_in_one_epoch_are_one() -> None:
    pace = Pace()
    for second in range(1, 31):
        pace.report({"epoch": str(1 + second // 10), "epochs": "10", "loss": "0.1"})
        pace.look(float(second))
    share, left = pace.look(30.0)
    assert share == 0.4
    assert left == pytest.approx((30 - 1) / 3 * 6)


def test_another_loop_starts_a_new_estimate() -> None:
    pace = Pace()
    for epoch in (1, 2):
        pace.report({"epoch": str(epoch), "epochs": "2"})
        pace.look(10.0 * epoch)
    pace.report({"step": "1", "steps": "100"})
    assert pace.look(30.0) == (0.01, None)
    pace.report({"step": "2", "steps": "100"})
    assert pace.look(31.0) == (0.02, 98.0)


@given(
    st.lists(
        st.tuples(st.dictionaries(st.sampled_from(["epoch", "epochs", "of"]), st.text()), st.floats(0, 9))
    )
)
def test_no_report_is_too_strange(reports: list[tuple[dict[str, str], float]]) -> None:
    pace, elapsed = Pace(), 0.0
    for values, seconds in reports:
        elapsed += seconds
        pace.report(values)
        share, left = pace.look(elapsed)
        assert share is None or 0 < share <= 1
        assert left is None or left > 0


def test_reports_of_huge_numbers_are_no_progress() -> None:
    pace = Pace()
    pace.report({"epoch": "9" * 64, "epochs": "9" * 200})
    assert pace.look(3.0) == (None, None)
    pace.report({"epoch": "1" * 200, "epochs": "9" * 200})
    assert pace.look(1e5) == (None, None)
