"""Operations by line and by module in the terminal."""

from collections.abc import Sequence
from typing import Final

from haet_eval.cli.costs_table import add_cost_columns, cost_cells, cost_table, more
from haet_eval.cli.text import result_console, safe
from haet_eval.reports.places import CostPlaces, PlaceShare

_NO_LINE: Final = "(no line)"
_NO_MODULE: Final = "(no module: backward passes, optimizers, and what train() does itself)"


def print_places(places: CostPlaces, rows: int) -> None:
    """Print a table of lines and one of modules, of so many rows at most."""
    console = result_console()
    # The client in the submission's process makes the labels, and a submission can change its own process.
    console.print("As the submission's own process names them: nobody vouches for it. Calls that are alike")
    console.print("count for the place of the first one.\n")
    for title, first, missing, shares in (
        ("By line", "line", _NO_LINE, places.lines),
        ("By module", "module", _NO_MODULE, places.modules),
    ):
        console.print(_table(title, first, missing, shares[:rows]), more(shares, rows))


def _table(title: str, first: str, missing: str, shares: Sequence[PlaceShare]) -> object:
    table = cost_table(title, first)
    add_cost_columns(table)
    for one in shares:
        table.add_row(safe(one.place or missing), *cost_cells(one.operations, one.share))
    return table
