"""What a confirmation found, as a document and as a page that loads nothing."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from haet_eval.competition import Competition
from haet_eval.ranking import Entry, Pool
from haet_eval.record import Sandbox
from haet_eval.reports.figure import cost
from haet_eval.reports.html import page_environment, page_policy, page_style
from haet_eval.reports.rows import pool_title


@dataclass(frozen=True, slots=True)
class EntryCheck:
    """A check that was made of an entry: whether it held, and by what figures."""

    name: str
    held: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Examined:
    """An entry of the provisional ranking, in its place, with the checks that were made.

    `undecided` says why a check could not be made; such an entry has not fallen, and does not hold either.
    """

    entry: Entry
    position: int
    findings: tuple[EntryCheck, ...]
    undecided: str = ""

    @property
    def held(self) -> bool:
        # No finding at all is no success: `all` of nothing would be true.
        return not self.undecided and bool(self.findings) and all(one.held for one in self.findings)


@dataclass(frozen=True, slots=True)
class SettledPool:
    """What came of one pool: the entries that were examined, in the order of their places."""

    pool: Pool
    awards: int
    examined: tuple[Examined, ...]

    @property
    def confirmed(self) -> list[Examined]:
        """Those that hold, no more than are awarded."""
        return [one for one in self.examined if one.held][: self.awards]

    @property
    def full(self) -> bool:
        return len(self.confirmed) == self.awards


def confirmation_document(
    rules: Competition, sandbox: Sandbox, settled: Sequence[SettledPool]
) -> dict[str, Any]:
    """The outcome in plain values, for JSON."""
    return {
        "competition": rules.name,
        # A reader compares both: other rules, or records of processes, have another podium.
        "rules": rules.digest,
        "sandbox": sandbox,
        # Without a pool nothing was confirmed, and the site must not show the competition as confirmed.
        "full": bool(settled) and all(one.full for one in settled),
        "confirmed": [each.entry.record_id for one in settled for each in one.confirmed],
        "entries": [_entry(one, each) for one in settled for each in one.examined],
    }


def _entry(settled: SettledPool, examined: Examined) -> dict[str, Any]:
    entry = examined.entry
    return {
        "record_id": entry.record_id,
        "team": entry.team,
        "name": entry.name,
        "task": entry.task,
        "accuracy_interval": str(settled.pool.interval),
        "position": examined.position,
        "held": examined.held,
        "undecided": examined.undecided,
        "checks": [asdict(finding) for finding in examined.findings],
    }


def confirmation_html(title: str, settled: Sequence[SettledPool]) -> str:
    """A page in the style of the leaderboard's: a table for each pool, and a section for each entry."""
    return (
        page_environment()
        .get_template("confirmation.html")
        .render(
            title=title,
            settled=settled,
            pool_title=pool_title,
            cost=cost,
            # The page has no script. Findings hold texts of contestants, and none of these may run either.
            policy=page_policy([]),
            style=page_style(),
        )
    )
