"""The look of all tables in the terminal."""

from rich.table import Table
from rich.text import Text


def plain_table(title: str | Text | None = None) -> Table:
    """A table without lines, with its title on the left."""
    return Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="dim")


def add_figures(table: Table, *names: str) -> None:
    """Columns of figures, which are never folded."""
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
