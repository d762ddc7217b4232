"""Untrusted text on its way to a terminal, and the console that results are printed on."""

import os
import sys
from typing import Final

from rich.console import Console
from rich.text import Text

from haet_eval.reports.text import printable, printable_lines

_LOG_LINES: Final = 20
_WIDTH_OF_A_PIPE: Final = 160
_LEAST_ROOM: Final = 30
_LEAST_WIDTH_FOR_BARS: Final = 100


def safe(text: str, style: str = "") -> Text:
    """The text on one line, as rich shall print it: no markup, emoji codes or control characters act."""
    return Text(printable(text), style)


def last_lines(log: str) -> str:
    """The end of what a submission printed, as a terminal may show it."""
    # Untrusted: escape sequences in it could rewrite what the terminal already shows.
    return printable_lines("\n".join(log.rstrip().splitlines()[-_LOG_LINES:]))


class _ResultConsole(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the boundary: rich would end with 1, which says that a submission did not qualify."""
        raise BrokenPipeError


def result_console() -> Console:
    """A console on stdout. In a pipe it is as wide as COLUMNS, or else wide enough for whole lines."""
    # rich assumes 80 columns in a pipe, and would cut lines that a program is to read.
    width = None if sys.stdout.isatty() else _width_of_a_pipe()
    return _ResultConsole(file=sys.stdout, width=width, highlight=False, emoji=False, markup=False)


def _width_of_a_pipe() -> int:
    wanted = os.environ.get("COLUMNS", "")
    # `isdigit` alone holds for `²`, which `int` refuses. A width of 0 prints nothing.
    return int(wanted) if wanted.isascii() and wanted.isdigit() and int(wanted) else _WIDTH_OF_A_PIPE


def bars_fit() -> bool:
    """Whether tables on stdout have room for bars beside their figures."""
    return result_console().width >= _LEAST_WIDTH_FOR_BARS


def print_row(console: Console, head: Text, value: Text) -> None:
    """A name and its value on one line; on a terminal the value wraps between words, in its own column."""
    room = console.width - head.cell_len
    # In a pipe a value stays on one line: `grep` finds it whole.
    if not sys.stdout.isatty() or room < _LEAST_ROOM:
        console.print(head + value, soft_wrap=True)
        return
    for line in value.wrap(console, room):
        console.print(head + line, soft_wrap=True)
        # The next lines stand below the value.
        head = Text(" " * head.cell_len)
