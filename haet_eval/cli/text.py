"""Untrusted text on its way to a terminal."""

from rich.text import Text

from haet_eval.reports.text import printable


def safe(text: str, style: str = "") -> Text:
    """The text on one line, as rich shall print it: no markup, emoji codes or control characters act."""
    return Text(printable(text), style)
