import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haet_eval.check.estimate import (
    estimate_memory_bytes,
    estimate_operations,
    estimate_seconds,
    why_no_seconds,
)
from haet_eval.check.rehearsal import MadeUp, RehearsedSoFar
from haet_eval.check.report import estimate
from haet_eval.check.sample import Milestone, Sample
from haet_eval.check.standing import rivals_among, rivals_on
from haet_eval.check.static import StaticCheck
from haet_eval.errors import UsageProblem
from haet_eval.record import Operations, OperatorCost
from haet_eval.store import Store
from tests.fixtures.records import make_record


def counted(total: int) -> Operations:
    line = OperatorCost(operator="aten.mm.default", calls=1, operations=total)
    return Operations(standard=1, total=total, by_phase={"forward": total}, by_operator=(line,), uncounted=())


def milestones(*operations: int, **values: str) -> list[Milestone]:
    return [
        Milestone(number, {"epoch": str(epoch), **values}) for epoch, number in enumerate(operations, start=1)
    ]


def test_a_count_to_the_end_is_exact_unless_values_or_shapes_were_made_up() -> None:
    sample = Sample(finished=True, computed=False, operations=counted(100))
    assert estimate_operations(sample).method == "counted"
    assert estimate_operations(sample).basis.endswith(": exact")
    sample.made_up = MadeUp(values=3)
    assert "decides by one of the 3 values" in estimate_operations(sample).basis
    assert "decides by the clock (a.py:1)" in estimate_operations(sample, ["a.py:1"]).basis
    sample.made_up, sample.range = MadeUp(shapes=2), (90, 120)
    found = estimate_operations(sample)
    assert "2 shapes depended on data" in found.basis
    assert (found.low, found.total, found.high) == (90, 100, 120)


def test_what_a_made_up_value_decides_is_not_promised() -> None:
    sample = Sample(operations=counted(100), decides=["a.py:7"], made_up=MadeUp(values=1))
    sample.computed, sample.computed_operations, sample.stopped = False, 40, "after 5 s"
    found = estimate_operations(sample)
    assert (found.method, found.low, found.high) == ("cannot_tell", 40, None)
    assert "a.py:7" in found.basis
    sample.finished = True
    assert "100 if it goes on" in estimate_operations(sample).basis


def test_a_lower_bound_rests_on_nothing_that_was_made_up() -> None:
    sample = Sample(operations=counted(100), made_up=MadeUp(values=1), computed=False)
    sample.computed_operations, sample.stopped = 40, "after 5 s"
    assert estimate_operations(sample).total == 40


@given(
    first=st.integers(0, 10**15),
    each=st.integers(1, 10**14),
    done=st.integers(2, 20),
    left=st.integers(0, 100),
)
def test_equal_epochs_are_extrapolated_without_error(first: int, each: int, done: int, left: int) -> None:
    operations = [first + number * each for number in range(done)]
    sample = Sample(
        operations=counted(operations[-1]),
        milestones=milestones(*operations, epochs=str(done + left)),
        stopped="after 5 s",
    )
    found = estimate_operations(sample)
    assert found.method == "extrapolated"
    assert found.total == pytest.approx(first + (done - 1 + left) * each, rel=1e-12)
    assert found.low == found.high == found.total
    assert f"epoch {done} of {done + left}" in found.basis


def test_unequal_epochs_give_a_range_and_the_first_is_left_out() -> None:
    sample = Sample(operations=counted(0), milestones=milestones(500, 600, 700, 810, epochs="6"))
    found = estimate_operations(sample)
    assert (found.low, found.total, found.high) == (1010, 1020, 1030)


def test_several_reports_in_each_epoch_are_one() -> None:
    """Ten steps an epoch, each of 7 operations and with a report."""
    steps = [Milestone(7 * step, {"epoch": str(1 + step // 10), "epochs": "6"}) for step in range(25)]
    found = estimate_operations(Sample(operations=counted(7 * 25), milestones=steps))
    assert found.total == 7 * 20 + 3 * 70
    in_the_first = Sample(operations=counted(50), milestones=steps[:5])
    assert estimate_operations(in_the_first).method == "lower_bound"
    at_the_end = Sample(operations=counted(175), milestones=milestones(0, 70, 140, epochs="3"))
    assert estimate_operations(at_the_end).low == 175


@pytest.mark.parametrize(
    "values",
    [
        {"step": "30", "steps": "300"},
        {"step": "30/300"},
        {"step": "30 of 300"},
        {"iteration": "30", "total_iterations": "300"},
        {"batch": "30", "of": "300"},
    ],
)
def test_progress_is_read_from_the_reports(values: dict[str, str]) -> None:
    name = next(iter(values))
    earlier = {**values, name: values[name].replace("30", "20", 1)}
    sample = Sample(operations=counted(0), milestones=[Milestone(40, earlier), Milestone(50, values)])
    assert estimate_operations(sample).total == 50 + 270


@pytest.mark.parametrize("values", [{}, {"epochs": "x"}, {"epochs": "1"}])
def test_without_a_total_there_is_only_a_lower_bound(values: dict[str, str]) -> None:
    sample = Sample(operations=counted(77), milestones=milestones(30, 60, **values), stopped="after 5 s")
    found = estimate_operations(sample)
    assert (found.total, found.method) == (77, "lower_bound")
    assert "after 5 s" in found.basis


def test_time_is_that_of_operations_and_calls() -> None:
    """Each operation takes 2 s, each call 3 s; the first calls take longer."""
    done = [(0, 0), (1, 5), (2, 6), (7, 7), (8, 9), (20, 10), (21, 30)]
    moments = [RehearsedSoFar(90.0 + 2 * o + 3 * c, o, c) for o, c in done]
    sample = Sample(finished=True, computed=False, operations=counted(121), messages=230, moments=moments)
    found = estimate_seconds(sample, estimate_operations(sample))
    assert found is not None
    assert found.value == pytest.approx(90 + 2 * 121 + 3 * 230)
    assert found.low <= found.value <= found.high


def test_time_needs_moments_and_is_measured_if_all_was_computed() -> None:
    sample = Sample(finished=True, computed=False, operations=counted(10), messages=15)
    sample.moments = [RehearsedSoFar(1.0, 0, 0)]
    assert estimate_seconds(sample, estimate_operations(sample)) is None
    sample.moments.append(RehearsedSoFar(2.0, 5, 5))
    rough = estimate_seconds(sample, estimate_operations(sample))
    assert rough is not None
    assert [rough.low, rough.high] == pytest.approx([3, 4])
    sample.computed, sample.wall_seconds = True, 12.5
    found = estimate_seconds(sample, estimate_operations(sample))
    assert found is not None
    assert (found.value, found.low, found.high) == (12.5, 12.5, 12.5)


SETUP_OF_THE_SPRINT = [
    RehearsedSoFar(0.027, 6, 8, 2),
    RehearsedSoFar(0.080, 14_124, 22, 11),
    RehearsedSoFar(0.133, 161_580, 60, 25),
    RehearsedSoFar(0.259, 1_540_909, 132, 53),
    RehearsedSoFar(0.804, 32_260_909, 151, 62),
    RehearsedSoFar(8.793, 2_224_941_773, 212, 105),
    RehearsedSoFar(10.209, 95_419_566_799, 229, 116),
]
"""As a check saw it: ten seconds, of which the first step of 5×10¹¹ operations had one, on a busy machine."""


def test_the_setup_of_a_training_gives_no_time_estimate() -> None:
    """The former estimate was 7,709 s (6,412 to 16,598); trainings of the sprint took from 460 s on."""
    sample = Sample(
        finished=True,
        computed=False,
        operations=counted(155_538_359_267_305),
        messages=139_186,
        moments=SETUP_OF_THE_SPRINT,
    )
    assert estimate_seconds(sample, estimate_operations(sample)) is None


def test_calls_that_differ_from_the_rest_give_no_time_estimate() -> None:
    moments = [RehearsedSoFar(float(second), 1000 * second, 100 * second) for second in range(20)]
    like = Sample(finished=True, computed=False, operations=counted(10**6), messages=10**5, moments=moments)
    found = estimate_seconds(like, estimate_operations(like))
    assert found is not None
    assert found.value == pytest.approx(1000)
    unlike = Sample(finished=True, computed=False, operations=counted(10**8), messages=10**5, moments=moments)
    assert estimate_seconds(unlike, estimate_operations(unlike)) is None


@given(
    setup_seconds=st.floats(0, 1000),
    setup_operations=st.integers(0, 10**9),
    step_seconds=st.floats(0.01, 10),
    step_operations=st.integers(10**6, 10**12),
    calls=st.integers(40, 1000),
    steps_computed=st.integers(2, 30),
    steps=st.integers(31, 1000),
)
def test_equal_steps_after_any_setup_take_the_time_that_they_take(
    setup_seconds: float,
    setup_operations: int,
    step_seconds: float,
    step_operations: int,
    calls: int,
    steps_computed: int,
    steps: int,
) -> None:
    """The setup and the first step make calls of new kinds, and the first step takes three times as long."""
    moments = [RehearsedSoFar(setup_seconds, setup_operations, 50, 20)]
    moments += [
        RehearsedSoFar(
            setup_seconds + (step + 2) * step_seconds,
            setup_operations + step * step_operations,
            50 + step * calls,
            20 + calls // 2,
        )
        for step in range(1, steps_computed + 1)
    ]
    sample = Sample(
        finished=True,
        computed=False,
        operations=counted(setup_operations + steps * step_operations),
        messages=50 + steps * calls,
        moments=moments,
    )
    found = estimate_seconds(sample, estimate_operations(sample))
    assert found is not None
    assert found.value == pytest.approx(setup_seconds + (steps + 2) * step_seconds, rel=1e-6)
    assert found.low <= found.value * (1 + 1e-9)
    assert found.high >= found.value * (1 - 1e-9)


def test_memory_grows_with_what_lives_while_counting() -> None:
    sample = Sample(peak_memory_bytes=1000, living_bytes=(300, 200))
    assert estimate_memory_bytes(sample) == 1000
    sample.living_bytes = (300, 450)
    assert estimate_memory_bytes(sample) == 1150
    assert estimate_memory_bytes(Sample()) is None


def test_a_place_among_records(tmp_path: Path) -> None:
    store = Store(tmp_path)
    record = make_record()
    store.add(record)
    assert record.competition is not None
    assert record.complexity is not None
    assert record.submission.task is not None
    where = record.competition.name, record.submission.task
    better = rivals_among(tmp_path, *where).standing(record.complexity - 1)
    worse = rivals_among(tmp_path, *where).standing(record.complexity + 1)
    assert (better.position, better.of, better.best) == (1, 2, record.complexity)
    assert (worse.position, worse.of) == (2, 2)
    assert rivals_among(tmp_path, "another", where[1]).standing(1).of == 1


def test_a_place_on_a_leaderboard(tmp_path: Path) -> None:
    file = tmp_path / "leaderboard.json"
    row = {"competition": "c", "task": "t", "position": 1}
    rows = [row | {"complexity": "100"}, row | {"complexity": "9" * 20, "task": "u"}]
    file.write_text(json.dumps({"entries": [*rows, row | {"complexity": None, "position": None}]}))
    assert rivals_on(file, "c", "t").standing(200).position == 2
    assert rivals_on(file, "c", "u").standing(200).position == 1


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"entries": [{}]}', '{"entries": 1}'])
def test_a_file_that_is_not_a_leaderboard_is_rejected(tmp_path: Path, text: str) -> None:
    file = tmp_path / "leaderboard.json"
    file.write_text(text)
    with pytest.raises(UsageProblem, match="is no leaderboard"):
        rivals_on(file, "c", "t")


def moments(*parts: tuple[int, int, int]) -> list[RehearsedSoFar]:
    """Moments a second apart: operations, messages and definitions so far."""
    return [RehearsedSoFar(float(second), *part) for second, part in enumerate(parts)]


@pytest.mark.parametrize(
    ("done", "said"),
    [
        ([], "nothing was computed"),
        ([(0, 10, 10), (5, 60, 50)], "not even a whole step"),
        ([(0, 100, 20), (9, 500, 80), (20, 1000, 160)], "(160 of 1,000), which take longer"),
        ([(0, 10, 10), (5, 500, 10), (10, 1000, 10)], "makes other calls than what was computed"),
    ],
)
def test_why_the_time_is_not_known_is_said_as_it_is(done: list[tuple[int, int, int]], said: str) -> None:
    sample = Sample(operations=counted(10**12), moments=moments(*done), messages=2000, computed=False)
    assert estimate_seconds(sample, estimate_operations(sample)) is None
    assert said in why_no_seconds(sample)


def test_many_steps_in_few_looks_are_enough_for_the_time() -> None:
    """On a busy machine the executor is looked at seldom, and each look finds some call of a new kind."""
    done = moments((0, 60, 36), (100, 350, 37), (200, 650, 38))
    sample = Sample(operations=counted(2000), moments=done, messages=6000, computed=False, finished=True)
    found = estimate_seconds(sample, estimate_operations(sample))
    assert found is not None
    assert found.low <= 20 <= found.high * 1.1


def test_a_sample_that_was_stopped_before_the_training_began_allows_no_estimate() -> None:
    assert estimate(Sample(stopped="after 4 s"), StaticCheck((), ())) is None
