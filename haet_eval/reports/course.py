"""The course of the memory of a training's tensors, as a picture on a page of its own."""

from dataclasses import dataclass
from typing import Final

from haet_eval.record import Record
from haet_eval.remote.timeline import Timeline
from haet_eval.reports.html import page_environment, page_policy, page_style
from haet_eval.reports.text import NOTHING, printable, readable_share
from haet_eval.reports.timeline import shown

_WIDTH, _HEIGHT = 720, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 92, 14, 14, 34
_QUARTERS: Final = (0, 1, 2, 3, 4)


@dataclass(frozen=True, slots=True)
class TensorLine:
    """One line of the table of tensors; all text."""

    operator: str
    label: str
    tensor: str
    storages: str
    bytes: str
    share: str


@dataclass(frozen=True, slots=True)
class MemoryCurve:
    """The picture in its own coordinates: a step for each span of calls. `up` are bytes, `across` calls.

    `line` follows the most bytes of each span; `area` is below it, and `always` below the least.
    """

    line: str
    area: str
    always: str
    up: list[tuple[float, str]]
    across: list[tuple[float, str]]
    peak: tuple[float, float]
    width: int = _WIDTH
    height: int = _HEIGHT
    left: int = _LEFT
    right: int = _WIDTH - _RIGHT
    bottom: int = _HEIGHT - _BOTTOM


def memory_page(record: Record, timeline: Timeline) -> str:
    """A page with the course, the call that made the peak, and the largest tensors then."""
    submission, memory = record.submission, timeline.memory
    title = f"{printable(submission.name or NOTHING)} · {printable(submission.team or NOTHING)}"
    content = {
        "title": title,
        "record_id": record.record_id,
        "timeline": timeline,
        "course": draw_course(timeline),
        "place": printable(str(timeline.label)),
        "lines": [
            TensorLine(
                one.operator,
                printable(str(one.label)) or NOTHING,
                shown(one),
                f"{one.storages:,}",
                f"{one.bytes:,}",
                readable_share(one.bytes / memory.peak_bytes),
            )
            for one in timeline.largest
        ],
    }
    template = page_environment().get_template("memory.html")
    return template.render(content, policy=page_policy([]), style=page_style())


def draw_course(timeline: Timeline) -> MemoryCurve | None:
    """The points as steps below the peak; None if no tensor was made."""
    points, most = timeline.points, timeline.memory.peak_bytes
    # The heights are shares of the peak.
    if not points or not most:
        return None
    step = (_WIDTH - _LEFT - _RIGHT) / len(points)
    # A tenth of a unit is finer than a screen shows; all digits would make the page several times as long.
    ends = [round(_LEFT + step * place, 1) for place in range(len(points) + 1)]
    line = _steps([_height(value, most) for value in points], ends)
    floor = f"V{_HEIGHT - _BOTTOM}H{_LEFT}Z"
    highest = points.index(max(points))
    calls = timeline.calls_each * len(points)
    return MemoryCurve(
        line=line,
        area=line + floor,
        always=_steps([_height(value, most) for value in timeline.lowest], ends) + floor,
        up=[(_height(most * part // 4, most), f"{most * part // 4:,}") for part in _QUARTERS],
        across=[
            (round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * part / 4, 1), f"{calls * part // 4:,}")
            for part in _QUARTERS
        ],
        peak=(round(ends[highest] + step / 2, 1), _height(points[highest], most)),
    )


def _steps(heights: list[float], ends: list[float]) -> str:
    """A path with a step of each height."""
    first = f"M{ends[0]} {heights[0]}H{ends[1]}"
    return first + "".join(f"V{height}H{end}" for height, end in zip(heights[1:], ends[2:], strict=True))


def _height(value: int, most: int) -> float:
    return round(_TOP + (1 - value / most) * (_HEIGHT - _TOP - _BOTTOM), 1)
