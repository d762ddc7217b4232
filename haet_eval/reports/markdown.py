"""A leaderboard as Markdown tables, one for each pool."""

import re
from typing import Final

from haet_eval.ranking import Entry, Pool, Ranked
from haet_eval.reports.figure import cost, gap
from haet_eval.reports.rows import FRONT, Leaderboard, by_pool, further_columns
from haet_eval.reports.text import NOTHING, printable, readable_count

_HEADER: Final = """\
| # | Team | Submission | {} ↓ | Gap | Parameters | Operations | Accuracy ↑ |{} Source bytes | Date | Record |
|--:|------|------------|--:|----:|-----------:|-----------:|-----------:|{}-------------:|------|--------|"""

_UNRANKED_HEADER: Final = """\
| Competition | Team | Submission | Verdict | Record |
|-------------|------|------------|---------|--------|"""


def leaderboard_markdown(leaderboard: Leaderboard) -> str:
    """A section with a table for each pool, and one for entries without a place."""
    sections = [_pool(pool, list(places), leaderboard) for pool, places in by_pool(leaderboard)]
    if leaderboard.unranked:
        lines = [_unranked_line(entry, why) for entry, why in leaderboard.unranked.items()]
        sections.append("\n".join(["## Without a place", "", _UNRANKED_HEADER, *lines]))
    return "\n\n".join(sections or [leaderboard.nothing_ranked]) + "\n"


def _pool(pool: Pool, places: list[Ranked], leaderboard: Leaderboard) -> str:
    figure = cost(pool.ranking)
    further = further_columns(leaderboard, places)
    front = leaderboard.front(places)
    names = [f" {name.capitalize()} ↓ |" for name, _ in further] + ([] if front is None else [" Front |"])
    header = _HEADER.format(figure.name.capitalize(), "".join(names), "--:|" * len(names))
    shown = figure.readable_all(place.entry for place in places)
    lines = (
        _line(
            place,
            shown[number],
            gap(place.entry, places[0].entry),
            [cells[number] for _, cells in further] + _marked(place.entry, front),
            leaderboard,
        )
        for number, place in enumerate(places)
    )
    return "\n".join([f"## {_escape(leaderboard.title(pool))}", "", header, *lines])


def _marked(entry: Entry, front: set[str] | None) -> list[str]:
    return [] if front is None else [FRONT if entry.record_id in front else ""]


def _line(place: Ranked, figure: str, gap_to_first: str, further: list[str], leaderboard: Leaderboard) -> str:
    entry = place.entry
    return _table_line(
        f"**{place.position}**" if place.awarded else str(place.position),
        _escape(entry.team or NOTHING),
        _escape(entry.name or NOTHING),
        figure,
        gap_to_first,
        readable_count(entry.parameters),
        readable_count(entry.operations),
        leaderboard.accuracy(entry),
        *further,
        readable_count(entry.source_bytes_compressed),
        f"{entry.created_at:%Y-%m-%d}",
        f"`{entry.record_id}`",
    )


def _unranked_line(entry: Entry, why: str) -> str:
    competition = f"{entry.competition or NOTHING} · {entry.task or NOTHING}"
    names = (_escape(text) for text in (competition, entry.team or NOTHING, entry.name or NOTHING))
    return _table_line(*names, why, f"`{entry.record_id}`")


def _table_line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(text: str) -> str:
    # `$` begins a formula on GitHub, `~` strikes out, `|` ends a cell, and `<` and `&` would be HTML.
    return re.sub(r"([\\`*_\[\]<>#|~&$])", r"\\\1", printable(text))
