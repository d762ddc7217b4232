"""Untrusted text on its way to a terminal, and the console that results are printed on."""

import sys
from typing import Final

from rich.console import Console
from rich.text import Text

from haet_eval.reports.text import printable

_WIDTH_OF_A_PIPE: Final = 160


def safe(text: str, style: str = "") -> Text:
    """The text on one line, as rich shall print it: no markup, emoji codes or control characters act."""
    return Text(printable(text), style)


def result_console() -> Console:
    """A console on stdout, wide enough for whole lines where that is no terminal."""
    width = None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE
    return Console(file=sys.stdout, width=width, highlight=False, emoji=False, markup=False)
