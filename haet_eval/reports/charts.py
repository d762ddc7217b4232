"""The charts of the page, as Vega-Lite specifications. Every text in them is data, never an expression."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeAlias

from haet_eval.reports.pareto import CostPoint, pareto_front
from haet_eval.reports.text import readable_accuracy
from haet_eval.reports.ticks import log_ticks

_Layer: TypeAlias = Any
"""A chart of altair's, whose methods hardly say what they return."""

_BLUE: Final = "#4389c9"
_ORANGE: Final = "#d97a1e"
# Seven families and the others, as in `section.py`; grey is for the others.
_FAMILIES: Final = ("#4389c9", "#e08a2f", "#4fa587", "#c7577b", "#8d6cc4", "#b39b28", "#5fb0c9", "#9a9a9a")
_FIT: Final = {"type": "fit-x", "contains": "padding"}

_ENTRIES: Final = "entries"
"""The dataset of the points."""

_SEGMENTS: Final = "segments"
"""The dataset of the shares."""

_MARGIN: Final = 1.25
"""Room left and right of the points: their range is widened by this factor at both ends."""

_ROOM: Final = 0.05
_LEAST_ROOM: Final = 0.002
"""Room below and above the accuracies, as a part of their range, and at least so much."""


@dataclass(frozen=True, slots=True)
class ChartMark:
    """One entry in the chart of cost against accuracy, as its scales and its front need it.

    The page takes all else from the entry's row. `has_interval`: it has several runs, and `low` to `high` is
    the interval of their mean, if it is known.
    """

    cost: float
    accuracy: float
    has_interval: bool
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """The share of one family of operators in the operations of one entry."""

    entry: str
    place: int
    family: str
    order: int
    share: float
    text: str


def tradeoff_chart(marks: Sequence[ChartMark], cost: str, threshold: float | None) -> dict[str, Any]:
    """Cost (logarithmic) against accuracy, with the threshold and the front of those that none betters.

    The points are the dataset `entries`, which the page makes of the rows of its table.

    Args:
        marks: at least one; costs above 0.
        cost: what it is called.
        threshold: least accuracy that qualifies, as a fraction; None if the rules are not available.
    """
    # Imported in each function: altair is of the extra `page`, and slow.
    import altair as alt

    layers = [_front(marks), *_intervals(marks), _points(marks, cost, threshold), _places()]
    if threshold is not None:
        layers = [*_threshold(threshold), *layers]
    chart = alt.layer(*layers).properties(
        width="container",
        autosize=_FIT,
        height=340,
        description=f"{cost.capitalize()} against accuracy of {len(marks)} entries.",
    )
    return _finish(chart)


def shares_legend(segments: Sequence[Segment]) -> dict[str, str]:
    """The colour of each family, in the order of the segments."""
    families = {segment.family: segment.order for segment in segments}
    return {family: _FAMILIES[order] for family, order in sorted(families.items(), key=lambda item: item[1])}


def shares_chart(segments: Sequence[Segment]) -> dict[str, Any]:
    """A bar an entry, made of the shares of families of operators; shares are fractions."""
    import altair as alt

    legend = shares_legend(segments)
    entries = dict.fromkeys(segment.entry for segment in sorted(segments, key=lambda one: one.place))
    chart = (
        alt.Chart(alt.NamedData(_SEGMENTS))
        .mark_bar(height={"band": 0.72})
        .encode(
            y=alt.Y("entry:N", title=None)
            .sort(list(entries))
            .axis(labelLimit=150, domain=False, ticks=False),
            x=alt.X("share:Q", title="share of the operations")
            .axis(format="%", tickCount=5)
            .scale(domain=[0, 1]),
            color=alt.Color("family:N").scale(domain=list(legend), range=list(legend.values())).legend(None),
            order="order:Q",
            tooltip="text:N",
            description="text:N",
        )
        .properties(
            width="container",
            autosize=_FIT,
            height=28 * len(entries),
            description=f"Where the operations of {len(entries)} entries went.",
        )
    )
    return _finish(chart) | {"datasets": {_SEGMENTS: [asdict(segment) for segment in segments]}}


def _points(marks: Sequence[ChartMark], cost: str, threshold: float | None) -> _Layer:
    import altair as alt

    domain = _domain(marks)
    ticks = log_ticks(*domain)
    # The one expression that is made here. It holds ticks alone, so no text of a contestant is ever
    # evaluated.
    labels = f"{list(ticks.values())}[indexof({list(ticks)}, datum.value)]"
    return (
        alt.Chart(alt.NamedData(_ENTRIES), name="entries")
        .mark_circle(size=90, opacity=0.85, cursor="pointer")
        .encode(
            x=alt.X("cost:Q", title=f"{cost} (log scale, less is better)")
            .scale(type="log", domain=list(domain), nice=False)
            .axis(values=list(ticks), labelExpr=labels),
            y=alt.Y("accuracy:Q", title="accuracy")
            .scale(domain=_accuracies(marks, threshold), zero=False)
            .axis(format=".1%"),
            color=alt.when("datum.awarded").then(alt.value(_ORANGE)).otherwise(alt.value(_BLUE)),
            tooltip="text:N",
            description="text:N",
        )
    )


def _domain(marks: Sequence[ChartMark]) -> tuple[float, float]:
    least, most = min(mark.cost for mark in marks), max(mark.cost for mark in marks)
    # A forged record may state the greatest number that there is: above it is infinity, which has no tick.
    return least / _MARGIN, min(most * _MARGIN, sys.float_info.max)


def _accuracies(marks: Sequence[ChartMark], threshold: float | None) -> list[float]:
    """The range of the accuracies: fixed, so that a filter moves no axis and may leave no point at all."""
    shown = [value for mark in marks for value in (mark.accuracy, mark.low, mark.high) if value is not None]
    shown += [] if threshold is None else [threshold]
    low, high = max(min(shown), 0.0), min(max(shown), 1.0)
    room = max(_ROOM * (high - low), _LEAST_ROOM)
    return [max(low - room, 0.0), min(high + room, 1.0)]


def _places() -> _Layer:
    import altair as alt

    return (
        alt.Chart(alt.NamedData(_ENTRIES))
        .transform_filter("datum.awarded")
        .mark_text(dx=-9, dy=-9, fontWeight="bold", color="currentColor", aria=False)
        .encode(x="cost:Q", y="accuracy:Q", text="place:Q")
    )


def _intervals(marks: Sequence[ChartMark]) -> list[_Layer]:
    import altair as alt

    if not any(mark.has_interval for mark in marks):
        return []
    # A row without an interval would draw a line down to 0.
    known = alt.Chart(alt.NamedData(_ENTRIES)).transform_filter("datum.low !== null")
    lines = known.mark_rule(color=_BLUE, opacity=0.6, strokeWidth=2, aria=False)
    return [lines.encode(x="cost:Q", y="low:Q", y2="high:Q")]


def _front(marks: Sequence[ChartMark]) -> _Layer:
    import altair as alt

    front = pareto_front(CostPoint(mark.cost, mark.accuracy) for mark in marks)
    # The line goes on to the right edge: the best accuracy holds for every higher cost as well.
    ends = [*front, CostPoint(_domain(marks)[1], front[-1].accuracy)]
    values = [{"cost": point.cost, "accuracy": point.accuracy} for point in ends]
    return (
        # Data of its own: a filter on the page hides points, and the front stays that of all entries.
        alt.Chart({"values": values})
        .mark_line(
            interpolate="step-after", color="currentColor", opacity=0.45, strokeDash=[5, 4], aria=False
        )
        .encode(x="cost:Q", y="accuracy:Q")
    )


def _threshold(threshold: float) -> list[_Layer]:
    import altair as alt

    text = f"threshold {readable_accuracy(threshold)}"
    base = alt.Chart({"values": [{"accuracy": threshold, "text": text}]}).encode(y="accuracy:Q")
    return [
        base.mark_rule(color=_ORANGE, strokeWidth=1.5, aria=False),
        base.mark_text(align="left", dx=6, dy=-7, color="currentColor", opacity=0.8).encode(
            x=alt.value(0), text="text:N"
        ),
    ]


def _finish(chart: Any) -> dict[str, Any]:
    """Lines and letters take the page's colour, so that light and dark need no second chart."""
    quiet = {"domainColor": "currentColor", "domainOpacity": 0.4, "gridColor": "currentColor"}
    quiet |= {"gridOpacity": 0.12, "tickColor": "currentColor", "tickOpacity": 0.4}
    letters = {"labelColor": "currentColor", "titleColor": "currentColor", "titleFontWeight": "normal"}
    sizes = {"labelFontSize": 12, "titleFontSize": 12}
    document: dict[str, Any] = (
        chart.configure(
            background="transparent",
            font="system-ui, sans-serif",
            padding=4,
        )
        .configure_view(stroke=None)
        .configure_axis(**quiet, **letters, **sizes)
        .to_dict()
    )
    return document
