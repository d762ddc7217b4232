"""Whom the awards go to, provisionally: the ranked records of a competition, the best first."""

from collections.abc import Iterable
from dataclasses import dataclass

from haet_eval.competition import Competition
from haet_eval.ranking import Entry, Pool, rank
from haet_eval.record import Sandbox


@dataclass(frozen=True, slots=True)
class Podium:
    """The entries of one pool, and how many submissions are awarded."""

    pool: Pool
    awards: int
    entries: tuple[Entry, ...]


def podiums(entries: Iterable[Entry], rules: Competition, sandbox: Sandbox) -> list[Podium]:
    """One for each pool that the competition has in this sandbox.

    Pools of Docker are the official ones. Records of local processes are never official: to confirm them is a
    rehearsal.
    """
    pools: dict[Pool, list[Entry]] = {}
    for ranked in rank(entries, unofficial=sandbox == "process"):
        pool = ranked.pool
        if (pool.competition, pool.sandbox) == (rules.name, sandbox):
            pools.setdefault(pool, []).append(ranked.entry)
    return [Podium(pool, rules.awards, tuple(found)) for pool, found in pools.items()]
