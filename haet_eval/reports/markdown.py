"""A leaderboard as Markdown tables, one for each pool."""

import re
from typing import Final

from haet_eval.ranking import Entry, Pool, Ranked
from haet_eval.reports.figure import Figure, cost, gap
from haet_eval.reports.rows import Leaderboard, by_pool, pool_title
from haet_eval.reports.text import NOTHING, printable, readable_count

_HEADER: Final = """\
| # | Team | Submission | {} ↓ | Gap | Operations | Parameters | Accuracy ↑ | Source bytes | Date | Record |
|--:|------|------------|--:|----:|-----------:|-----------:|-----------:|-------------:|------|--------|"""

_UNRANKED_HEADER: Final = """\
| Competition | Team | Submission | Verdict | Record |
|-------------|------|------------|---------|--------|"""


def leaderboard_markdown(leaderboard: Leaderboard) -> str:
    """A section with a table for each pool, and one for entries without a place."""
    sections = [_pool(pool, list(places), leaderboard) for pool, places in by_pool(leaderboard)]
    if leaderboard.unranked:
        lines = [_unranked_line(entry) for entry in leaderboard.unranked]
        sections.append("\n".join(["## Without a place", "", _UNRANKED_HEADER, *lines]))
    return "\n\n".join(sections or ["No qualified submission yet."]) + "\n"


def _pool(pool: Pool, places: list[Ranked], leaderboard: Leaderboard) -> str:
    figure = cost(pool.ranking)
    header = _HEADER.format(figure.name.capitalize())
    lines = (_line(place, figure, places[0].entry, leaderboard) for place in places)
    return "\n".join([f"## {_escape(pool_title(pool))}", "", header, *lines])


def _line(place: Ranked, figure: Figure, leader: Entry, leaderboard: Leaderboard) -> str:
    entry = place.entry
    return _table_line(
        f"**{place.position}**" if place.awarded else str(place.position),
        _escape(entry.team or NOTHING),
        _escape(entry.name or NOTHING),
        figure.readable(figure.of(entry)),
        gap(entry, leader),
        readable_count(entry.operations),
        readable_count(entry.parameters),
        leaderboard.accuracy(entry),
        readable_count(entry.source_bytes_compressed),
        f"{entry.created_at:%Y-%m-%d}",
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
