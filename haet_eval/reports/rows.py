"""A leaderboard as rows of plain values: what JSON, CSV, Markdown and HTML are made from."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from haet_eval.ranking import Entry, Pool, Ranked, rank, unranked
from haet_eval.reports.text import printable


@dataclass(frozen=True, slots=True)
class Row:
    """One entry in plain values; counts are decimal strings. Without a place, `position` is None."""

    position: int | None
    of: int | None
    awarded: bool
    official: bool
    competition: str | None
    task: str | None
    team: str | None
    name: str | None
    complexity: str | None
    operations: str | None
    parameters: str | None
    accuracy: float | None
    verdict: str
    sandbox: str
    wall_seconds: float | None
    source_bytes: int
    created_at: str
    record_id: str


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """The ranked entries, those shown without a place, and how many are not shown."""

    ranked: list[Ranked]
    unranked: list[Entry]
    hidden: int


def make_leaderboard(
    entries: Iterable[Entry], *, everything: bool = False, best_of_team: bool = False, awards: int = 3
) -> Leaderboard:
    """Rank entries for a reader: the official and qualified ones, or `everything`."""
    known = list(entries)
    ranked = rank(known, unofficial=everything, best_of_team=best_of_team, awards=awards)
    rest = unranked(known) if everything else []
    return Leaderboard(ranked, rest, len(known) - len(ranked) - len(rest))


def leaderboard_rows(leaderboard: Leaderboard) -> list[Row]:
    """One row an entry, the ranked ones first."""
    ranked = [_row(place.entry, place) for place in leaderboard.ranked]
    return ranked + [_row(entry, None) for entry in leaderboard.unranked]


def by_pool(leaderboard: Leaderboard) -> Iterator[tuple[Pool, Iterator[Ranked]]]:
    """The ranked entries of one pool after the other."""
    return groupby(leaderboard.ranked, lambda place: place.pool)


def pool_title(pool: Pool) -> str:
    """What a pool is called: `haet2021 · cifar10`, and what makes it unofficial."""
    kind = f" · unofficial ({pool.sandbox}, data {pool.dataset_digest[:8]})" if pool.unofficial else ""
    return f"{printable(pool.competition)} · {printable(pool.task)}{kind}"


def _row(entry: Entry, place: Ranked | None) -> Row:
    return Row(
        position=place.position if place else None,
        of=place.of if place else None,
        awarded=place.awarded if place else False,
        official=entry.official,
        competition=entry.competition,
        task=entry.task,
        team=entry.team,
        name=entry.name,
        complexity=_decimal(entry.complexity),
        operations=_decimal(entry.operations),
        parameters=_decimal(entry.parameters),
        accuracy=entry.accuracy,
        verdict=entry.verdict.value,
        sandbox=entry.sandbox,
        wall_seconds=entry.wall_seconds,
        source_bytes=entry.source_bytes,
        created_at=entry.created_at.isoformat().replace("+00:00", "Z"),
        record_id=entry.record_id,
    )


def _decimal(count: int | None) -> str | None:
    return None if count is None else str(count)
