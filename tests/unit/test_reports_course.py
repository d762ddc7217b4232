"""The page of the memory's course: a plot, the peak, and the lines that made the largest tensors."""

import re

from hypothesis import given
from hypothesis import strategies as st

from haet_eval.operators.signature import TensorMeta
from haet_eval.remote.labels import NO_LABEL, Label
from haet_eval.remote.memory import CallAtPeak, MeteredMemory
from haet_eval.remote.timeline import StoragesAtPeak, Timeline
from haet_eval.reports.course import draw_course, memory_page
from tests.fixtures.records import make_record

LAYOUT = TensorMeta((3, 4), (4, 1), 0, "float32")
LABEL = Label("net.py:7", "Net.<b>head</b>")


def timeline(*points: int) -> Timeline:
    peak = max(points, default=0)
    call = CallAtPeak(3, "aten.relu.default", 2) if peak else None
    label = LABEL if peak else NO_LABEL
    held = (
        (StoragesAtPeak("aten.relu.default", LAYOUT, 2, peak, LABEL), StoragesAtPeak("upload", None, 1, 0))
        if peak
        else ()
    )
    return Timeline(
        MeteredMemory(peak, None, 900, call), 4, points, held, label, tuple(one // 2 for one in points)
    )


def test_the_page_names_the_peak_and_the_lines_and_runs_nothing() -> None:
    page = memory_page(make_record(name="A <i>net</i>"), timeline(10, 48, 20))
    assert "48 bytes" in page
    assert "call 3, aten.relu.default" in page
    assert "net.py:7 in Net.&lt;b&gt;head&lt;/b&gt;" in page
    assert "float32[3, 4]" in page
    assert "A &lt;i&gt;net&lt;/i&gt;" in page
    assert "<script" not in page


def test_a_training_without_tensors_has_a_page_without_a_plot() -> None:
    assert "<svg" not in memory_page(make_record(), timeline())


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=256).filter(any))
def test_the_line_has_a_step_for_each_point_as_high_as_its_bytes(points: list[int]) -> None:
    course = draw_course(timeline(*points))
    assert course is not None
    moves = re.findall(r"[MV](?:[\d.]+ )?([\d.]+)", course.line)
    bottom, top = course.bottom, min(y for y, _ in course.up)
    most = max(points)
    heights = [bottom - (bottom - top) * value / most for value in points]
    assert all(abs(float(y) - height) < 0.06 for y, height in zip(moves, heights, strict=True))
    lows = re.findall(r"[MV](?:[\d.]+ )?([\d.]+)", course.always)[:-1]
    assert all(float(low) >= float(high) for low, high in zip(lows, moves, strict=True))
    assert course.peak[1] == top
    assert course.across[-1][1] == f"{4 * len(points):,}"
