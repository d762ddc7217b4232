"""A leaderboard as Markdown tables, one for each pool."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from haet_eval.ranking import Entry, Pool, Ranked
from haet_eval.reports.rows import Leaderboard, by_pool, pool_title
from haet_eval.reports.text import NOTHING, printable, readable_accuracy, readable_count

_HEADER: Final = """\
| # | Team | Submission | Complexity | Operations | Parameters | Accuracy | Record |
|--:|------|------------|-----------:|-----------:|-----------:|---------:|--------|"""

_UNRANKED_HEADER: Final = """\
| Competition | Team | Submission | Verdict | Record |
|-------------|------|------------|---------|--------|"""


def leaderboard_markdown(leaderboard: Leaderboard) -> str:
    """A section with a table for each pool, and one for entries without a place."""
    sections = [_pool(pool, places) for pool, places in by_pool(leaderboard)]
    if leaderboard.unranked:
        lines = [_unranked_line(entry) for entry in leaderboard.unranked]
        sections.append("\n".join(["## Not qualified", "", _UNRANKED_HEADER, *lines]))
    return "\n\n".join(sections or ["No qualified submission yet."]) + "\n"


def _pool(pool: Pool, places: Iterable[Ranked]) -> str:
    return "\n".join([f"## {_escape(pool_title(pool))}", "", _HEADER, *_lines(places)])


def _lines(places: Iterable[Ranked]) -> Iterator[str]:
    for place in places:
        entry = place.entry
        yield _table_line(
            f"**{place.position}**" if place.awarded else str(place.position),
            _escape(entry.team or NOTHING),
            _escape(entry.name or NOTHING),
            readable_count(entry.complexity),
            readable_count(entry.operations),
            readable_count(entry.parameters),
            readable_accuracy(entry.accuracy),
            f"`{entry.record_id}`",
        )


def _unranked_line(entry: Entry) -> str:
    competition = f"{entry.competition or NOTHING} · {entry.task or NOTHING}"
    names = (_escape(text) for text in (competition, entry.team or NOTHING, entry.name or NOTHING))
    return _table_line(*names, entry.verdict.value, f"`{entry.record_id}`")


def _table_line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>#|~&$])", r"\\\1", printable(text))
