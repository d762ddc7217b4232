"""Who is ahead. Pure functions on summaries of records: the order of the input never matters."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeAlias

from haet_eval.errors import Verdict
from haet_eval.record import Rank, Record, Sandbox


@dataclass(frozen=True, slots=True)
class Entry:
    """What ranking and leaderboards need of a record. Texts are untrusted; None: not reached."""

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


class Pool(NamedTuple):
    """Entries compete where all of this is the same. Pools sort official ones first."""

    unofficial: bool
    competition: str
    task: str
    sandbox: Sandbox
    dataset_digest: str


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
    training = record.training
    return Entry(
        record_id=record.record_id,
        created_at=record.created_at,
        verdict=record.status.verdict,
        competition=record.competition.name if record.competition else None,
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
        parameters=training.parameters.total if training and training.parameters else None,
        accuracy=_accuracy(record),
        wall_seconds=training.wall_seconds if training else None,
    )


def _accuracy(record: Record) -> float | None:
    """Of several runs the mean."""
    if record.statistics is not None:
        return record.statistics.accuracy.mean if record.statistics.accuracy else None
    return record.evaluation.accuracy if record.evaluation else None


def rank(
    entries: Iterable[Entry], *, unofficial: bool = False, best_of_team: bool = False, awards: int = 3
) -> list[Ranked]:
    """Rank the qualified entries, each in its pool: official pools first, the best first in each.

    Least complexity wins; ties go to the higher accuracy, then the smaller source, then the earlier
    record, then the record's id. The first submissions of an official pool are awarded.

    Args:
        entries: of any number of competitions and tasks, no record twice.
        unofficial: also rank what ran without Docker or on other data, in pools of their own.
        best_of_team: rank only the best entry of each team.
        awards: how many submissions of each official pool are awarded.
    """
    pools: defaultdict[Pool, list[_Standing]] = defaultdict(list)
    for standing in filter(None, map(_standing, entries)):
        if standing.entry.official or unofficial:
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
                position=ranked.position, of=ranked.of, task=ranked.pool.task, official=entry.official
            )
            return record.model_copy(update={"rank": found})
    return record


_Key: TypeAlias = tuple[int, float, int, datetime, str]


class _Standing(NamedTuple):
    key: _Key
    pool: Pool
    entry: Entry


def _standing(entry: Entry) -> _Standing | None:
    if (
        entry.verdict is not Verdict.QUALIFIED
        or entry.complexity is None
        or entry.accuracy is None
        or entry.competition is None
        or entry.task is None
        or entry.dataset_digest is None
    ):
        return None
    key = (entry.complexity, -entry.accuracy, entry.source_bytes, entry.created_at, entry.record_id)
    pool = Pool(not entry.official, entry.competition, entry.task, entry.sandbox, entry.dataset_digest)
    return _Standing(key, pool, entry)


def _rank_pool(pool: Pool, standings: list[_Standing], best_of_team: bool, awards: int) -> list[Ranked]:
    entries = [standing.entry for standing in sorted(standings, key=lambda standing: standing.key)]
    if best_of_team:
        entries = _first_of_each_team(entries)
    winners = _winners(entries, awards)
    return [
        Ranked(entry, pool, position, len(entries), entry.record_id in winners)
        for position, entry in enumerate(entries, start=1)
    ]


def _first_of_each_team(entries: list[Entry]) -> list[Entry]:
    first: dict[str, Entry] = {}
    for entry in entries:
        first.setdefault((entry.team or entry.record_id).casefold(), entry)
    return list(first.values())


def _winners(entries: list[Entry], awards: int) -> set[str]:
    """Records of the first submissions; another run of the same submission wins nothing more."""
    first: dict[str, str] = {}
    for entry in entries:
        if entry.official:
            first.setdefault(entry.submission_sha256, entry.record_id)
    return set(list(first.values())[:awards])


def _unranked_order(entry: Entry) -> tuple[str, str, datetime, str]:
    return (entry.competition or "", entry.task or "", entry.created_at, entry.record_id)
