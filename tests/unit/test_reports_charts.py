"""What the charts and the gaps are made from."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haet_eval.competition import Ranking
from haet_eval.ranking import summarize
from haet_eval.reports.figure import cost, gap, times_leader
from haet_eval.reports.pareto import CostPoint, pareto_front
from haet_eval.reports.text import readable_joules, readable_seconds, readable_signed, readable_times
from haet_eval.reports.ticks import log_ticks
from tests.fixtures.records import make_record

COSTS = st.floats(min_value=1, max_value=1e30)
POINTS = st.lists(st.builds(CostPoint, COSTS, st.floats(min_value=0, max_value=1)), max_size=20)


def betters(one: CostPoint, other: CostPoint) -> bool:
    return one != other and one.cost <= other.cost and one.accuracy >= other.accuracy


@given(POINTS)
def test_the_front_is_what_no_other_point_betters(points: list[CostPoint]) -> None:
    front = pareto_front(points)
    assert set(front) == {one for one in points if not any(betters(other, one) for other in points)}
    assert front == sorted(front)


@given(COSTS, st.floats(min_value=1.6, max_value=1e12))
def test_an_axis_has_between_one_and_a_dozen_ticks_within_it(least: float, ratio: float) -> None:
    ticks = log_ticks(least, least * ratio)
    assert all(least <= value <= least * ratio for value in ticks)
    assert len(ticks) <= 12
    assert ticks or ratio < 2.5
    assert len(set(ticks.values())) == len(ticks)


def test_ticks_are_labelled_as_the_tables_write_numbers() -> None:
    assert log_ticks(5e14, 3e16) == {
        5e14: "5×10¹⁴",
        1e15: "10¹⁵",
        2e15: "2×10¹⁵",
        5e15: "5×10¹⁵",
        1e16: "10¹⁶",
        2e16: "2×10¹⁶",
    }
    assert list(log_ticks(10, 300).values()) == ["10", "20", "50", "100", "200"]
    assert list(log_ticks(0.001, 0.003).values()) == ["10⁻³", "2×10⁻³"]


@pytest.mark.parametrize(
    ("ranking", "name", "shown", "behind"),
    [
        ("complexity", "complexity", "1.000×10¹⁷", "×2.000"),
        ("training_time", "training time", "61.5 s", "×1.500"),
        ("training_energy", "training energy", "3 kJ", "×4.000"),
        ("inference_energy", "inference energy", "3 kJ", "×4.000"),
        ("accuracy", "training time", "61.5 s", "−0.50"),
    ],
)
def test_each_ranking_has_its_cost_and_its_gap(ranking: Ranking, name: str, shown: str, behind: str) -> None:
    first = replace(summarize(make_record()), ranking=ranking, energy_joules=3000.0, runner="native")
    assert first.complexity is not None
    assert first.accuracy is not None
    second = replace(
        first,
        complexity=first.complexity * 2,
        wall_seconds=61.5 * 1.5,
        energy_joules=12_000.0,
        accuracy=first.accuracy - 0.005,
    )
    figure = cost(ranking)
    assert figure.name == name
    assert figure.readable(figure.of(first)) == shown
    assert gap(second, first) == behind
    assert gap(first, first) == ""
    assert (times_leader(second, first) is None) == (ranking == "accuracy")


def test_a_leader_that_costs_nothing_has_no_multiples() -> None:
    entry = summarize(make_record())
    assert times_leader(entry, replace(entry, complexity=0)) is None
    assert times_leader(entry, replace(entry, complexity=None)) is None


@pytest.mark.parametrize(
    ("times", "shown"),
    [
        (None, ""),
        (1.0, ""),
        (1.123, "×1.123"),
        (1.00002, "×1.00002"),
        (9.99996, "×10.00"),
        (27.81, "×27.81"),
        (99.999, "×100.0"),
        (1.5e9, "×1.500×10⁹"),
    ],
)
def test_multiples_are_readable(times: float | None, shown: str) -> None:
    assert readable_times(times) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(1.5, "+1.50"), (-0.214, "−0.21"), (-0.001, "0.00"), (0.001, "0.00"), (0.0, "0.00")]
)
def test_a_difference_that_rounds_to_zero_has_no_sign(value: float, shown: str) -> None:
    assert readable_signed(value, 2) == shown


def test_durations_and_energies_are_readable() -> None:
    assert [readable_seconds(n) for n in (None, 0.5, 725, 12_000)] == [
        "–",
        "0.5 s",
        "12 min 5 s",
        "3 h 20 min",
    ]
    assert [readable_joules(n) for n in (None, 812.5, 61_500, 3.42e6)] == [
        "–",
        "812.5 J",
        "61.5 kJ",
        "3.42 MJ",
    ]
