"""The course of the memory in a trace, and what lived at the peak."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haet_eval.remote.timeline import StoragesAtPeak, memory_timeline
from haet_eval.reports.timeline import shown, sparkline
from tests.unit.remote import frames
from tests.unit.remote.bench import IMAGES, Bench
from tests.unit.remote.test_recount import train


def test_what_lived_at_the_peak_is_grouped_and_adds_up(tmp_path: Path) -> None:
    def steps(bench: Bench) -> None:
        bench.send(frames.upload((3,), bytes(12)))
        copies = [bench.as_float(bench.images, *IMAGES)]
        copies.append(bench.call(1, bench.images))
        bench.send(frames.free(*copies))
        bench.call(0)

    bench = train(tmp_path / "trace", [steps])
    found = memory_timeline(tmp_path / "trace")
    assert found.memory == bench.meter.tensor_memory
    assert [(one.operator, shown(one), one.storages, one.bytes) for one in found.largest] == [
        ("aten._to_copy.default", "float32[8, 3, 4, 4]", 2, 2 * 4 * 384),
        ("aten.ones.default", "float32[8]", 1, 32),
        ("upload", "a constant", 1, 12),
    ]
    assert sum(one.bytes for one in found.largest) == found.memory.peak_bytes
    assert list(found.points) == [32, 44, 44 + 1536, 44 + 3072, 44 + 32]
    assert list(found.lowest) == [0, 32, 44, 44 + 1536, 44]


def living(bench: Bench) -> int:
    return bench.meter.executor_bytes - bench.meter.tensor_memory.training_set_bytes


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.booleans(), min_size=300, max_size=1200))
def test_long_courses_keep_the_highest_and_the_lowest_of_each_span(tmp_path: Path, frees: list[bool]) -> None:
    levels, before = [32], [0]

    def steps(bench: Bench) -> None:
        for free in frees:
            before.append(living(bench))
            number = bench.call(0)
            levels.append(living(bench))
            if free:
                bench.send(frames.free(number))

    train(tmp_path / "trace", [steps])
    found = memory_timeline(tmp_path / "trace")
    spans = range(0, len(levels), found.calls_each)
    assert list(found.points) == [max(levels[start : start + found.calls_each]) for start in spans]
    assert list(found.lowest) == [min(before[start : start + found.calls_each]) for start in spans]
    assert len(found.points) <= 256
    assert max(found.points) == found.memory.peak_bytes


@pytest.mark.parametrize(
    ("points", "line"),
    [((), ""), ((0, 0), "▁▁"), ((1, 8), "▂█"), ((1, 8, 2, 4), "█▅"), ((7,), "█")],
)
def test_a_line_of_bars_shows_the_highest_of_each_column(points: tuple[int, ...], line: str) -> None:
    assert sparkline(points, 2) == line


def test_a_constant_has_no_layout() -> None:
    assert shown(StoragesAtPeak("upload", None, 1, 12)) == "a constant"
