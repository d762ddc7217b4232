"""The course of the memory of a training's tensors, as text and as plain values."""

from itertools import pairwise
from typing import Any, Final

from haet_eval.counting.histogram import PHASES
from haet_eval.remote.labels import Label
from haet_eval.remote.timeline import StoragesAtPeak, Timeline

_BARS: Final = "▁▂▃▄▅▆▇█"


def sparkline(points: tuple[int, ...], width: int) -> str:
    """The points as bars of eight heights, the highest in each of `width` columns at most."""
    columns = min(width, len(points))
    edges = [place * len(points) // columns for place in range(columns + 1)] if columns else []
    highest = [max(points[start:end]) for start, end in pairwise(edges)]
    most = max(highest, default=0) or 1
    # Integers only: bytes are exact, and the highest column falls on the last bar by `min`.
    return "".join(_BARS[min(len(_BARS) - 1, value * len(_BARS) // most)] for value in highest)


def shown(held: StoragesAtPeak) -> str:
    """What the tensors are, as in `float32[64, 8, 8, 8]`."""
    layout = held.layout
    return "a constant" if layout is None else f"{layout.dtype}[{', '.join(map(str, layout.shape))}]"


def timeline_document(timeline: Timeline) -> dict[str, Any]:
    """The same as a JSON document."""
    return {
        "peak_bytes": timeline.memory.peak_bytes,
        "call": _call(timeline),
        "calls_each": timeline.calls_each,
        "points": list(timeline.points),
        "lowest": list(timeline.lowest),
        "largest": [
            {
                "operator": one.operator,
                "tensor": shown(one),
                "storages": one.storages,
                "bytes": one.bytes,
                **_label(one.label),
            }
            for one in timeline.largest
        ],
    }


def _call(timeline: Timeline) -> dict[str, Any] | None:
    call = timeline.memory.call
    if call is None:
        return None
    return {
        "number": call.number,
        "operator": call.operator,
        "phase": PHASES[call.phase],
        **_label(timeline.label),
    }


def _label(label: Label) -> dict[str, str | None]:
    return {"line": label.line or None, "module": label.module or None}
