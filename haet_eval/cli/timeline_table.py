"""The course of the memory of a training's tensors in the terminal."""

from typing import Final

from rich.text import Text

from haet_eval.cli.tables import add_figures, plain_table
from haet_eval.cli.text import result_console, safe
from haet_eval.remote.timeline import Timeline
from haet_eval.reports.text import NOTHING, readable_share
from haet_eval.reports.timeline import shown, sparkline

_COLUMNS: Final = 72


def print_timeline(timeline: Timeline, lines: int) -> None:
    """Print the course as one line of bars, the peak, and the largest tensors that lived then."""
    console = result_console()
    memory, most = timeline.memory, timeline.memory.peak_bytes
    console.print("bytes of the training's tensors, from the first call to the last")
    # Its heights follow the highest column, so the peak is stated as a number below.
    console.print(sparkline(timeline.points, min(_COLUMNS, console.width)))
    console.print(f"peak {most:,} bytes")
    if memory.call is not None:
        place = f", {timeline.label}" if timeline.label.line else ""
        console.print(safe(f"reached at call {memory.call.number:,}, {memory.call.operator}{place}"))
    console.print()
    table = plain_table(Text("The largest tensors at the peak", "bold"))
    for name in ("made by", "first in", "tensor"):
        table.add_column(name, overflow="fold")
    add_figures(table, "storages", "bytes", "share")
    for one in timeline.largest[:lines]:
        share = readable_share(one.bytes / most if most else 0.0)
        made_by, line = safe(one.operator), safe(str(one.label) or NOTHING)
        table.add_row(made_by, line, safe(shown(one)), f"{one.storages:,}", f"{one.bytes:,}", share)
    console.print(table)
    left = len(timeline.largest) - lines
    if left > 0:
        console.print(f"… and {left} more; --lines shows them.")
