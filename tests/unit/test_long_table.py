"""A table that is printed without rich looks as if rich had printed it."""

from io import StringIO

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table
from rich.text import Text

from haet_eval.cli.long_table import print_table
from haet_eval.reports.text import printable

WORDS = st.text(st.sampled_from("ab é界🙂-×⁹"), max_size=12).map(
    lambda text: printable(" ".join(text.split()))
)


def table(title: str, rows: list[tuple[str, str, str]]) -> Table:
    made = Table(title=Text(title), title_justify="left", box=None, pad_edge=False, header_style="dim")
    made.add_column("#", justify="right", no_wrap=True)
    made.add_column("team", max_width=8)
    made.add_column("record", no_wrap=True)
    for number, team, record in rows:
        made.add_row(Text(number, "bold green"), Text(team), record)
    return made


def printed(width: int, title: str, rows: list[tuple[str, str, str]], *, by_rich: bool) -> str:
    file = StringIO()
    console = Console(file=file, width=width, highlight=False, emoji=False, markup=False)
    if by_rich:
        console.print(table(title, rows), "")
    else:
        print_table(console, table(title, rows))
    return file.getvalue()


@given(
    st.sampled_from([20, 40, 160]),
    WORDS.filter(bool),
    st.lists(st.tuples(WORDS, WORDS, WORDS.filter(bool)), min_size=1, max_size=5),
)
def test_it_looks_as_if_rich_had_printed_it(width: int, title: str, rows: list[tuple[str, str, str]]) -> None:
    ours, theirs = (printed(width, title, rows, by_rich=by_rich) for by_rich in (False, True))
    assert [line.rstrip() for line in ours.splitlines()] == [line.rstrip() for line in theirs.splitlines()]
