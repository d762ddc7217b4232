"""A leaderboard as rows of plain values: what JSON, CSV, Markdown and HTML are made from."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from types import MappingProxyType
from typing import Final

from haet_eval.competition import Competition
from haet_eval.listing import Spread
from haet_eval.ranking import EVERY_ACCURACY, Entry, Pool, Ranked, rank, unranked
from haet_eval.reports.figure import Figure, cost, times_leader
from haet_eval.reports.pareto import best_in_all
from haet_eval.reports.text import printable, readable_accuracy, readable_spread

# Rankings whose figure depends on the price table, and so on its version.
_BY_OPERATIONS: Final = ("complexity", "bit_complexity", "modelled_energy")

FRONT: Final = "●"
"""What marks an entry on the Pareto front."""


@dataclass(frozen=True, slots=True)
class Row:
    """One entry in plain values; counts are decimal strings.

    Without a place, `position` is None and `unranked` says why.

    `times_leader` is the ranked cost as a multiple of that of the first in the pool; `accuracy_low` and
    `accuracy_high` are the 95 % interval of the mean accuracy of several runs. `on_front` says whether it is
    on the Pareto front that its rules name; None if they name none, or are not available.
    """

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
    ranking: str
    accuracy_interval: str | None
    times_leader: float | None
    accuracy_low: float | None
    accuracy_high: float | None
    energy_joules: float | None
    energy_kind: str | None
    runner: str
    nodes: int
    charged_operations: str | None
    source_bytes_compressed: int | None
    peak_tensor_bytes: int | None
    bit_complexity: str | None
    modelled_joules: float | None
    received_at: str | None
    unranked: str | None
    on_front: bool | None


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """The ranked entries, those shown without a place and why, and how many are not shown.

    `unofficial` is how many would be ranked if unofficial records were, 0 if any official one is.
    `spreads` has the 95 % interval of the mean accuracy of records of several runs, by their id. `rules` are
    those that are available, by their digest: they say what else is shown.
    """

    ranked: list[Ranked]
    unranked: dict[Entry, str]
    hidden: int
    spreads: Mapping[str, Spread]
    unofficial: int = 0
    rules: Mapping[str, Competition] = field(default_factory=dict)

    def rules_of(self, places: Sequence[Ranked]) -> Competition | None:
        """The rules of the first of a pool, if they are available."""
        return self.rules.get(places[0].entry.rules_digest or "")

    def columns(self, places: Sequence[Ranked]) -> list[Figure]:
        """The further costs that a pool shows."""
        rules = self.rules_of(places)
        return [cost(name) for name in rules.columns] if rules else []

    def front(self, places: Sequence[Ranked]) -> set[str] | None:
        """The ids of a pool's records on its Pareto front; None if the rules name none.

        An entry without one of the costs is not on it.
        """
        rules = self.rules_of(places)
        if rules is None or not rules.front:
            return None
        figures = [cost(name) for name in rules.front]
        points = {}
        for entry in (place.entry for place in places):
            values = [figure.of(entry) for figure in figures]
            known = [value for value in values if value is not None]
            if entry.accuracy is not None and len(known) == len(values):
                # `best_in_all` takes less for better everywhere.
                points[entry.record_id] = [*known, -entry.accuracy]
        return best_in_all(points)

    def changed_rules(self) -> dict[str, list[str]]:
        """The competitions whose rules were changed, with the digests of those that entries are ranked by."""
        versions: dict[str, dict[str, set[str]]] = {}
        for place in self.ranked:
            tasks = versions.setdefault(place.pool.competition, {})
            tasks.setdefault(place.pool.task, set()).add(place.pool.judging_digest)
        return {
            name: sorted(set().union(*tasks.values()))
            for name, tasks in versions.items()
            # Within a task: two tasks of one competition have different digests from the start.
            if any(len(digests) > 1 for digests in tasks.values())
        }

    def title(self, pool: Pool) -> str:
        """What a pool is called, with the digest of its rules if there are others of that name."""
        changed = pool.competition in self.changed_rules()
        return pool_title(pool) + (f" · rules {pool.judging_digest[:8]}" if changed else "")

    @property
    def nothing_ranked(self) -> str:
        """What is said if no entry has a place."""
        if not self.unofficial:
            return "No qualified submission yet."
        records = "record" if self.unofficial == 1 else "records"
        return f"No official record yet; --all ranks {self.unofficial} unofficial {records}."

    def mixed_standards(self) -> dict[str, list[int]]:
        """The competitions whose records are ranked by operations under several versions of the standard."""
        mixed = {}
        for pool, places in by_pool(self):
            versions = {place.entry.standard for place in places if place.entry.standard is not None}
            if pool.ranking in _BY_OPERATIONS and len(versions) > 1:
                mixed[pool.competition] = sorted(versions)
        return mixed

    def accuracy(self, entry: Entry) -> str:
        """An entry's accuracy as text, with half the width of its interval if it has one."""
        spread = readable_spread(self.spreads.get(entry.record_id))
        return f"{readable_accuracy(entry.accuracy)} {spread}".rstrip()


def make_leaderboard(
    entries: Iterable[Entry],
    spreads: Mapping[str, Spread] = MappingProxyType({}),
    *,
    everything: bool = False,
    rest_too: bool = False,
    best_of_team: bool = False,
    awards: int | None = None,
    rules: Mapping[str, Competition] = MappingProxyType({}),
) -> Leaderboard:
    """Rank entries for a reader: the official and qualified ones, or `everything`.

    With `rest_too`, those that have no place are shown as well: they failed, came late or did not qualify.
    `rules` are those that are available, by their digest.
    """
    known = list(entries)
    ranked = rank(known, unofficial=everything, best_of_team=best_of_team, awards=awards)
    rest = unranked(known) if everything or rest_too else {}
    # Ranked a second time only if the board is empty: the reader then learns what --all would show.
    apart = 0 if ranked or everything else len(rank(known, unofficial=True))
    return Leaderboard(ranked, rest, len(known) - len(ranked) - len(rest), spreads, apart, rules)


def leaderboard_rows(leaderboard: Leaderboard) -> list[Row]:
    """One row an entry, the ranked ones first."""
    fronts = _fronts(leaderboard)
    ranked = [
        _row(
            place.entry,
            leaderboard,
            place,
            times_leader(place.entry, leader),
            fronts.get(place.entry.record_id),
        )
        for leader, place in with_leaders(leaderboard)
    ]
    return ranked + [_row(entry, leaderboard) for entry in leaderboard.unranked]


def _fronts(leaderboard: Leaderboard) -> dict[str, bool]:
    """Whether each record of a pool with a Pareto front is on it."""
    found: dict[str, bool] = {}
    for _, those in by_pool(leaderboard):
        places = list(those)
        front = leaderboard.front(places)
        if front is not None:
            found |= {place.entry.record_id: place.entry.record_id in front for place in places}
    return found


def with_leaders(leaderboard: Leaderboard) -> Iterator[tuple[Entry, Ranked]]:
    """The ranked entries, each behind the first of its pool."""
    for _, places in by_pool(leaderboard):
        leader = None
        for place in places:
            # The places of a pool come in order, so the first one leads.
            leader = leader or place.entry
            yield leader, place


def further_columns(leaderboard: Leaderboard, places: Sequence[Ranked]) -> list[tuple[str, list[str]]]:
    """The further costs of a pool as text: the name of each column, and its cells."""
    entries = [place.entry for place in places]
    return [(figure.name, figure.readable_all(entries)) for figure in leaderboard.columns(places)]


def by_pool(leaderboard: Leaderboard) -> Iterator[tuple[Pool, Iterator[Ranked]]]:
    """The ranked entries of one pool after the other."""
    # `groupby` joins neighbours only: `rank` puts the places of one pool in a row. Each group must be read
    # before the next one.
    return groupby(leaderboard.ranked, lambda place: place.pool)


def pool_title(pool: Pool) -> str:
    """What a pool is called: `haet2021 · cifar10`, what ranks if not complexity, what is unofficial."""
    words = [printable(pool.competition), printable(pool.task)]
    if pool.ranking != "complexity":
        words.append(f"by {pool.ranking.replace('_', ' ')}")
    if pool.interval != EVERY_ACCURACY:
        words.append(f"accuracy {pool.interval}")
    if pool.unofficial:
        energy = f", energy {pool.energy_kind}" if pool.energy_kind else ""
        words.append(f"unofficial ({pool.sandbox}, data {pool.dataset_digest[:8]}{energy})")
    return " · ".join(words)


def _row(
    entry: Entry,
    leaderboard: Leaderboard,
    place: Ranked | None = None,
    times: float | None = None,
    on_front: bool | None = None,
) -> Row:
    low, high = leaderboard.spreads.get(entry.record_id, (None, None))
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
        created_at=_moment(entry.created_at),
        record_id=entry.record_id,
        ranking=entry.ranking,
        accuracy_interval=str(place.pool.interval)
        if place and place.pool.interval != EVERY_ACCURACY
        else None,
        times_leader=times,
        accuracy_low=low,
        accuracy_high=high,
        energy_joules=entry.energy_joules,
        energy_kind=entry.energy_kind,
        runner=entry.runner,
        nodes=entry.nodes,
        charged_operations=_decimal(entry.charged_operations),
        source_bytes_compressed=entry.source_bytes_compressed,
        peak_tensor_bytes=entry.peak_tensor_bytes,
        bit_complexity=_decimal(entry.bit_complexity),
        modelled_joules=entry.modelled_joules,
        received_at=None if entry.received_at is None else _moment(entry.received_at),
        unranked=leaderboard.unranked.get(entry),
        on_front=on_front,
    )


def _moment(moment: datetime) -> str:
    # RFC 3339 as the records write it. All moments are in UTC.
    return moment.isoformat().replace("+00:00", "Z")


def _decimal(count: int | None) -> str | None:
    return None if count is None else str(count)
