"""Prints a rich table of thousands of rows in a pipe, which rich takes milliseconds a row for."""

from collections.abc import Iterator
from itertools import zip_longest

from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

_GAP = "  "


def print_table(console: Console, table: Table) -> None:
    """Print a table without a box, whose cells are texts of one line, and an empty line after it.

    The output is that of rich. Rich itself prints it if there are colours to print, or if columns must be
    narrower than their cells to fit: nobody reads thousands of rows on a terminal.
    """
    cells = [[_text(cell) for cell in (column.header, *column.cells)] for column in table.columns]
    widths = [_width(column, texts) for column, texts in zip(table.columns, cells, strict=True)]
    total = sum(widths) + len(_GAP) * (len(widths) - 1)
    # rich measures each cell several times, and narrowing columns is its own algorithm: both stay with rich.
    if console.color_system is not None or total > console.width:
        console.print(table, "")
        return
    console.file.writelines(_lines(console, table, cells, widths, total))


def _lines(
    console: Console, table: Table, cells: list[list[str]], widths: list[int], total: int
) -> Iterator[str]:
    for title in Text(_text(table.title)).wrap(console, total):
        yield f"{_padded(title.plain, total, right=False)}\n"
    sides = [column.justify == "right" for column in table.columns]
    for row in zip(*cells, strict=True):
        parts = [
            _fitted(console, column, text, width)
            for column, text, width in zip(table.columns, row, widths, strict=True)
        ]
        for line in zip_longest(*parts, fillvalue=""):
            padded = [
                _padded(text, width, right=right)
                for text, width, right in zip(line, widths, sides, strict=True)
            ]
            yield f"{_GAP.join(padded)}\n"
    yield "\n"


def _width(column: Column, texts: list[str]) -> int:
    # Cells and not characters: letters of East Asian scripts take two columns.
    widest = max(map(cell_len, texts))
    return widest if column.max_width is None else min(widest, column.max_width)


def _fitted(console: Console, column: Column, text: str, width: int) -> list[str]:
    """The lines of a cell."""
    if cell_len(text) <= width:
        return [text]
    # Only cells beyond their width pay for rich's wrapping, and they wrap exactly as in rich's own table.
    lines = Text(text).wrap(console, width, overflow=column.overflow, no_wrap=column.no_wrap)
    return [line.plain.rstrip() for line in lines]


def _padded(text: str, width: int, *, right: bool) -> str:
    missing = " " * (width - cell_len(text))
    return missing + text if right else text + missing


def _text(cell: object) -> str:
    return cell.plain if isinstance(cell, Text) else str(cell or "")
