"""Who is ahead. Pure functions on summaries of records: the order of the input never matters."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple, TypeAlias

from haet_eval.competition import Ranking, Runner
from haet_eval.errors import Verdict
from haet_eval.record import Rank, Record, Sandbox

DEFAULT_AWARDS: Final = 3
"""Where neither the records nor the caller say how many are awarded."""

EnergyKind: TypeAlias = Literal["measured", "estimated", "unavailable"]


@dataclass(frozen=True, slots=True)
class Entry:
    """What ranking and leaderboards need of a record. Texts are untrusted; None: not reached.

    Attributes:
        ranking: what the entry's rules rank by.
        accuracy_intervals: bounds between the intervals of accuracy that are ranked apart, ascending.
        awards: how many its rules award; None where the record does not say.
        rules_digest: of its rules, which an organizer may have changed while their name stayed.
        standard: version of the counting standard that its operations were priced under.
        energy_joules: of what is ranked, in joules; `energy_counts` where all of it was measured, in quiet.
        wall_seconds: of the training, the native one where there was one.
    """

    record_id: str
    created_at: datetime
    verdict: Verdict
    competition: str | None
    task: str | None
    sandbox: Sandbox
    dataset_digest: str | None
    official: bool
    submission_sha256: str
    team: str | None
    name: str | None
    source_bytes: int
    complexity: int | None
    operations: int | None
    parameters: int | None
    accuracy: float | None
    wall_seconds: float | None
    runner: Runner = "counted"
    nodes: int = 1
    energy_joules: float | None = None
    energy_kind: EnergyKind | None = None
    energy_counts: bool = False
    ranking: Ranking = "complexity"
    accuracy_intervals: tuple[float, ...] = ()
    awards: int | None = None
    rules_digest: str | None = None
    standard: int | None = None
    source_bytes_compressed: int | None = None

    @property
    def figure(self) -> int | float | None:
        """What is ranked: operations and parameters, joules, seconds or a fraction; None if not reached."""
        match self.ranking:
            case "complexity":
                return self.complexity
            case "training_energy" | "inference_energy":
                return self.energy_joules
            case "training_time":
                return self.wall_seconds if self.runner == "native" else None
            case "accuracy":
                return self.accuracy


class Interval(NamedTuple):
    """Accuracies from `low` to below `high`, as fractions; up to 1 includes it."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"[{100 * self.low:g} %, {100 * self.high:g} %{']' if self.high == 1 else ')'}"


class Pool(NamedTuple):
    """Entries compete where all of this is the same. Pools sort official ones first.

    `energy_kind` is None where no energy is ranked, `interval` all accuracies where rules have no intervals.
    """

    unofficial: bool
    competition: str
    task: str
    sandbox: Sandbox
    dataset_digest: str
    ranking: Ranking
    energy_kind: EnergyKind | None
    interval: Interval


@dataclass(frozen=True, slots=True)
class Ranked:
    """An entry at its place, 1 being the first of `of`."""

    entry: Entry
    pool: Pool
    position: int
    of: int
    awarded: bool


def summarize(record: Record) -> Entry:
    """The entry of a record."""
    training, native, energy = record.training, record.native, record.energy
    rules = record.competition
    trained = native or training
    return Entry(
        record_id=record.record_id,
        created_at=record.created_at,
        verdict=record.status.verdict,
        competition=rules.name if rules else None,
        task=record.submission.task,
        sandbox=record.environment.sandbox,
        dataset_digest=record.dataset.digest if record.dataset else None,
        official=record.official,
        submission_sha256=record.submission.sha256,
        team=record.submission.team,
        name=record.submission.name,
        source_bytes=record.submission.source_bytes,
        complexity=record.complexity,
        operations=training.operations.total if training else None,
        parameters=trained.parameters.total if trained and trained.parameters else None,
        accuracy=_accuracy(record),
        wall_seconds=trained.wall_seconds if trained else None,
        runner="native" if native else "counted",
        nodes=native.nodes if native else 1,
        energy_joules=energy.joules if energy else None,
        energy_kind=energy.kind if energy else None,
        energy_counts=energy is not None and energy.counts_for_prizes(record.environment.device),
        ranking=rules.ranking if rules else "complexity",
        accuracy_intervals=rules.accuracy_intervals if rules else (),
        awards=rules.awards if rules else None,
        rules_digest=rules.digest if rules else None,
        standard=training.operations.standard if training else None,
        source_bytes_compressed=record.submission.source_bytes_compressed,
    )


def _accuracy(record: Record) -> float | None:
    """Of several runs the mean."""
    if record.statistics is not None:
        return record.statistics.accuracy.mean if record.statistics.accuracy else None
    return record.evaluation.accuracy if record.evaluation else None


def rank(
    entries: Iterable[Entry],
    *,
    unofficial: bool = False,
    best_of_team: bool = False,
    awards: int | None = None,
) -> list[Ranked]:
    """Rank the qualified entries, each in its pool: official pools first, the best first in each.

    Least complexity, energy or time wins, or the highest accuracy, as the rules say; where they have
    intervals of accuracy, each is a pool. Ties go to the higher accuracy, then the smaller source, then
    the earlier record, then the record's id. The first submissions of an official pool are awarded.

    Args:
        entries: of any number of competitions and tasks, no record twice.
        unofficial: also rank, in pools of their own, what ran without Docker or on other data, and energies
            that were estimated, or measured in part or on a busy machine.
        best_of_team: rank only the best entry of each team.
        awards: how many submissions of each official pool are awarded; None: as many as their rules say.
    """
    pools: defaultdict[Pool, list[_Standing]] = defaultdict(list)
    for standing in filter(None, map(_standing, entries)):
        if unofficial or not standing.pool.unofficial:
            pools[standing.pool].append(standing)
    return [
        ranked for pool in sorted(pools) for ranked in _rank_pool(pool, pools[pool], best_of_team, awards)
    ]


def unranked(entries: Iterable[Entry]) -> list[Entry]:
    """The entries that did not qualify, by competition, task, time and id."""
    return sorted((entry for entry in entries if _standing(entry) is None), key=_unranked_order)


def place(record: Record, entries: Iterable[Entry]) -> Record:
    """The record with its rank among the entries of its pool; unchanged where it did not qualify."""
    entry = summarize(record)
    others = (other for other in entries if other.record_id != entry.record_id)
    for ranked in rank([entry, *others], unofficial=True):
        if ranked.entry is entry:
            found = Rank(
                position=ranked.position,
                of=ranked.of,
                task=ranked.pool.task,
                official=not ranked.pool.unofficial,
            )
            return record.model_copy(update={"rank": found})
    return record


_Key: TypeAlias = tuple[float, float, int, datetime, str]


class _Standing(NamedTuple):
    key: _Key
    pool: Pool
    entry: Entry


def _standing(entry: Entry) -> _Standing | None:
    if (
        entry.verdict is not Verdict.QUALIFIED
        or entry.figure is None
        or entry.accuracy is None
        or entry.competition is None
        or entry.task is None
        or entry.dataset_digest is None
    ):
        return None
    energetic = entry.ranking in ("training_energy", "inference_energy")
    pool = Pool(
        unofficial=not entry.official or (energetic and not entry.energy_counts),
        competition=entry.competition,
        task=entry.task,
        sandbox=entry.sandbox,
        dataset_digest=entry.dataset_digest,
        ranking=entry.ranking,
        energy_kind=entry.energy_kind if energetic else None,
        interval=interval_of(entry.accuracy, entry.accuracy_intervals),
    )
    worst = -entry.figure if entry.ranking == "accuracy" else entry.figure
    key = (worst, -entry.accuracy, entry.source_bytes, entry.created_at, entry.record_id)
    return _Standing(key, pool, entry)


def interval_of(accuracy: float, bounds: tuple[float, ...]) -> Interval:
    """The interval that an accuracy lies in; a bound belongs to the one above it."""
    edges = (0.0, *bounds, 1.0)
    above = bisect_right(bounds, accuracy)
    return Interval(edges[above], edges[above + 1])


def _rank_pool(
    pool: Pool, standings: list[_Standing], best_of_team: bool, awards: int | None
) -> list[Ranked]:
    entries = [standing.entry for standing in sorted(standings, key=lambda standing: standing.key)]
    if best_of_team:
        entries = _first_of_each_team(entries)
    winners = set() if pool.unofficial else _winners(entries, _awards(entries) if awards is None else awards)
    return [
        Ranked(entry, pool, position, len(entries), entry.record_id in winners)
        for position, entry in enumerate(entries, start=1)
    ]


def _awards(entries: Iterable[Entry]) -> int:
    stated = (entry.awards for entry in entries if entry.awards is not None)
    return min(stated, default=DEFAULT_AWARDS)


def _first_of_each_team(entries: list[Entry]) -> list[Entry]:
    first: dict[str, Entry] = {}
    for entry in entries:
        first.setdefault((entry.team or entry.record_id).casefold(), entry)
    return list(first.values())


def _winners(entries: list[Entry], awards: int) -> set[str]:
    """Records of the first submissions; another run of the same submission wins nothing more."""
    first: dict[str, str] = {}
    for entry in entries:
        first.setdefault(entry.submission_sha256, entry.record_id)
    return set(list(first.values())[:awards])


def _unranked_order(entry: Entry) -> tuple[str, str, datetime, str]:
    return (entry.competition or "", entry.task or "", entry.created_at, entry.record_id)
