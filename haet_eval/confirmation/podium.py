"""The provisional winners: the ranked records of a competition, the best first."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from haet_eval.competition import Competition
from haet_eval.ranking import Entry, Pool, Ranked, rank
from haet_eval.record import Sandbox


@dataclass(frozen=True, slots=True)
class Podium:
    """The places of one pool, and how many submissions are awarded.

    A submission with several records has several places: see `_others`.
    """

    pool: Pool
    awards: int
    places: tuple[Ranked, ...]

    @property
    def entries(self) -> list[Entry]:
        """The records in the order in which they are examined."""
        return [place.entry for place in self.places]


def podiums(entries: Iterable[Entry], rules: Competition, sandbox: Sandbox) -> list[Podium]:
    """One for each pool that these rules have in this sandbox.

    Pools of Docker are the official ones. Records of local processes are never official: their confirmation
    is only a rehearsal. Records that were judged under another version of the rules are in other pools,
    which have no podium.
    """
    known = list(entries)
    return [
        Podium(pool, rules.awards, tuple(_with_others(places, known)))
        for pool, places in _pools(known, rules, sandbox).items()
        if _judged_by(rules, pool)
    ]


def nothing_to_confirm(entries: Iterable[Entry], rules: Competition, sandbox: Sandbox) -> str:
    """The sentence for a competition that has no podium in this sandbox."""
    known = list(entries)
    other: Sandbox = "process" if sandbox == "docker" else "docker"
    if podiums(known, rules, other):
        return (
            f"{rules.name} has no entry of the sandbox {sandbox} to confirm. It has some of the sandbox"
            f" {other}: --sandbox {other} examines them."
        )
    return f"{rules.name} has no qualified entry under these rules in this folder of records."


def under_other_rules(entries: Iterable[Entry], rules: Competition, sandbox: Sandbox) -> int:
    """How many ranked entries of this name and sandbox were judged under another version of the rules."""
    pools = _pools(list(entries), rules, sandbox)
    return sum(len(places) for pool, places in pools.items() if not _judged_by(rules, pool))


def _pools(entries: Sequence[Entry], rules: Competition, sandbox: Sandbox) -> dict[Pool, list[Ranked]]:
    pools: dict[Pool, list[Ranked]] = {}
    for ranked in rank(entries, unofficial=sandbox == "process"):
        pool = ranked.pool
        # `rank` with `unofficial` has the official pools as well.
        if (pool.competition, pool.sandbox) == (rules.name, sandbox):
            pools.setdefault(pool, []).append(ranked)
    return pools


def _judged_by(rules: Competition, pool: Pool) -> bool:
    # Older records have no judging digest: their pool has the digest of the whole file in its place.
    digests = {rules.digest, rules.as_in_version_1().digest}
    return pool.task in rules.tasks and pool.judging_digest in {rules.judging_digest(pool.task), *digests}


def _with_others(places: Sequence[Ranked], entries: Sequence[Entry]) -> list[Ranked]:
    """The places of a pool, and those of further records of the same submissions."""
    others = [other for ranked in places for other in _others(ranked, places, entries)]
    # The sort is stable: if two records have one place, the one that counts comes first.
    return sorted([*places, *others], key=lambda one: one.position)


def _others(ranked: Ranked, places: Sequence[Ranked], entries: Iterable[Entry]) -> Iterator[Ranked]:
    """Further records of a submission that has a place: the one that counts may be forged.

    Each has the place that a leaderboard gives it when the records before it are left out.
    """
    rest = [
        entry
        for entry in entries
        # Anybody may write a forged record of someone else's submission, to make it fall.
        if entry.submission_sha256 == ranked.entry.submission_sha256
        and entry.record_id != ranked.entry.record_id
    ]
    rivals = [place.entry for place in places if place.entry.record_id != ranked.entry.record_id]
    # `rank` gives a submission one place, so the next of its records shows only when the one before is left
    # out.
    while rest:
        ids = {entry.record_id for entry in rest}
        best = next(
            (
                other
                for other in rank([*rivals, *rest], unofficial=True)
                if other.pool == ranked.pool and other.entry.record_id in ids
            ),
            None,
        )
        if best is None:
            return
        yield best
        rest = [entry for entry in rest if entry.record_id != best.entry.record_id]
