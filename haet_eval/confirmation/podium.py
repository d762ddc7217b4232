"""The provisional winners: the ranked records of a competition, the best first."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from haet_eval.competition import Competition
from haet_eval.ranking import Entry, Pool, Ranked, rank
from haet_eval.record import Sandbox


@dataclass(frozen=True, slots=True)
class Podium:
    """The entries of one pool, and how many submissions are awarded."""

    pool: Pool
    awards: int
    entries: tuple[Entry, ...]


def podiums(entries: Iterable[Entry], rules: Competition, sandbox: Sandbox) -> list[Podium]:
    """One for each pool that the competition has in this sandbox.

    Pools of Docker are the official ones. Records of local processes are never official: their confirmation
    is only a rehearsal.
    """
    known = list(entries)
    pools: dict[Pool, list[Entry]] = {}
    for ranked in rank(known, unofficial=sandbox == "process"):
        pool = ranked.pool
        # `rank` with `unofficial` has the official pools as well.
        if (pool.competition, pool.sandbox) == (rules.name, sandbox):
            pools.setdefault(pool, []).extend((ranked.entry, *_others(ranked, known)))
    return [Podium(pool, rules.awards, tuple(found)) for pool, found in pools.items()]


def nothing_to_confirm(entries: Iterable[Entry], rules: Competition, sandbox: Sandbox) -> str:
    """The sentence for a competition that has no podium in this sandbox."""
    known = list(entries)
    other: Sandbox = "process" if sandbox == "docker" else "docker"
    if sum(len(podium.entries) for podium in podiums(known, rules, other)):
        return (
            f"{rules.name} has no entry of the sandbox {sandbox} to confirm. It has some of the sandbox"
            f" {other}: --sandbox {other} examines them."
        )
    return f"{rules.name} has no qualified entry in this folder of records."


def _others(ranked: Ranked, entries: Iterable[Entry]) -> Iterator[Entry]:
    """Further records of a submission that has a place, the best first: the one that counts may be forged."""
    rest = [
        entry
        for entry in entries
        # Anybody may write a forged record of someone else's submission, to make it fall.
        if entry.submission_sha256 == ranked.entry.submission_sha256
        and entry.record_id != ranked.entry.record_id
    ]
    # `rank` gives a submission one place, so the next of its records shows only when the one before is left
    # out.
    while rest:
        best = next((other for other in rank(rest, unofficial=True) if other.pool == ranked.pool), None)
        if best is None:
            return
        yield best.entry
        rest = [entry for entry in rest if entry.record_id != best.entry.record_id]
