"""A leaderboard as comma-separated values, with counts in full."""

import csv
import io
from dataclasses import astuple, fields
from typing import Final, TypeAlias

from haet_eval.reports.rows import Leaderboard, Row, leaderboard_rows
from haet_eval.reports.text import printable

_Cell: TypeAlias = str | int | float | bool | None

# A team may call itself `=HYPERLINK(…)`, and the organizer's spreadsheet would run that.
_FORMULA_STARTS: Final = ("=", "+", "-", "@")


def leaderboard_csv(leaderboard: Leaderboard) -> str:
    """One line an entry below a line of names (RFC 4180, but lines end in a newline only).

    Text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(Row))
    writer.writerows(map(_cell, astuple(row)) for row in leaderboard_rows(leaderboard))
    return text.getvalue()


def _cell(value: _Cell) -> _Cell:
    # A bool is an int to Python, and would be written as `True`.
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return value
    clean = printable(value)
    return f"'{clean}" if clean.startswith(_FORMULA_STARTS) else clean
