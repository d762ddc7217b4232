"""A leaderboard in the terminal."""

from collections.abc import Mapping
from typing import Final

from rich.table import Table
from rich.text import Text

from haet_eval.cli.long_table import print_table
from haet_eval.cli.tables import add_figures, plain_table
from haet_eval.cli.text import result_console, safe
from haet_eval.ranking import Entry, Pool, Ranked
from haet_eval.reports.figure import cost, gap
from haet_eval.reports.rows import FRONT, Leaderboard, by_pool, further_columns
from haet_eval.reports.text import NOTHING, readable_accuracy, readable_count

_ID_DIGITS: Final = 8

_WIDE: Final = 120
"""Columns of a terminal that has room for operations and dates."""

_WIDEST: Final = 140
"""And for the size of the source."""


def print_leaderboard(leaderboard: Leaderboard) -> None:
    """Print a table for each pool on stdout, and one for entries without a place."""
    console = result_console()
    wide, widest = console.width >= _WIDE, console.width >= _WIDEST
    for pool, places in by_pool(leaderboard):
        print_table(console, _pool_table(pool, list(places), leaderboard, wide, widest))
    if leaderboard.unranked:
        print_table(console, _unranked_table(leaderboard.unranked))
    if not leaderboard.ranked:
        console.print(leaderboard.nothing_ranked)


def _pool_table(
    pool: Pool, places: list[Ranked], leaderboard: Leaderboard, wide: bool, widest: bool
) -> Table:
    """Narrow terminals get no operations and no date: the complexity nearly says the former."""
    figure, leader = cost(pool.ranking), places[0].entry
    # The digits of a count depend on its neighbours, so cells are made for the whole pool at once.
    further, front = further_columns(leaderboard, places), leaderboard.front(places)
    table = plain_table(safe(leaderboard.title(pool), "bold"))
    add_figures(table, "#")
    _add_name_columns(table)
    operations = ["operations"] if wide else []
    add_figures(table, f"{figure.name} ↓", "gap", "parameters", *operations, "accuracy ↑")
    add_figures(table, *(f"{name} ↓" for name, _ in further))
    if front is not None:
        table.add_column("front", justify="center", no_wrap=True)
    if widest:
        add_figures(table, "source")
    for name in [*(["date"] if wide else []), "record"]:
        table.add_column(name, no_wrap=True)
    shown_costs = figure.readable_all(place.entry for place in places)
    for number, (place, shown) in enumerate(zip(places, shown_costs, strict=True)):
        entry = place.entry
        table.add_row(
            Text(str(place.position), "bold green" if place.awarded else ""),
            safe(entry.team or NOTHING),
            safe(entry.name or NOTHING),
            shown,
            Text(gap(entry, leader), "dim"),
            readable_count(entry.parameters),
            *([_operations(entry)] if wide else []),
            leaderboard.accuracy(entry),
            *(cells[number] for _, cells in further),
            *([] if front is None else [FRONT if entry.record_id in front else ""]),
            *([readable_count(entry.source_bytes_compressed)] if widest else []),
            *([f"{entry.created_at:%Y-%m-%d}"] if wide else []),
            entry.record_id[:_ID_DIGITS],
        )
    return table


def _operations(entry: Entry) -> str:
    """Those of the training, and those that the prediction is charged for."""
    charged = f" + {readable_count(entry.charged_operations)}" if entry.charged_operations else ""
    return f"{readable_count(entry.operations)}{charged}"


def _unranked_table(entries: Mapping[Entry, str]) -> Table:
    table = plain_table(Text("Without a place", "bold"))
    _add_name_columns(table)
    table.add_column("task", max_width=20, no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    add_figures(table, "accuracy")
    table.add_column("record", no_wrap=True)
    for entry, why in entries.items():
        table.add_row(
            safe(entry.team or NOTHING),
            safe(entry.name or NOTHING),
            safe(entry.task or NOTHING),
            why,
            readable_accuracy(entry.accuracy),
            entry.record_id[:_ID_DIGITS],
        )
    return table


def _add_name_columns(table: Table) -> None:
    table.add_column("team", max_width=24)
    table.add_column("submission", max_width=48)
