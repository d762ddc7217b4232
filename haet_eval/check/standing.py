"""Where a submission would rank on a leaderboard, if it qualified."""

import json
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from haet_eval.errors import UsageProblem
from haet_eval.files import MAX_TEXT_BYTES, read_file
from haet_eval.ranking import rank
from haet_eval.store import Store


@dataclass(frozen=True, slots=True)
class Standing:
    """The place among those ranked, itself included; `best` is the least complexity there is."""

    position: int
    of: int
    official: bool
    best: int | None


@dataclass(frozen=True, slots=True)
class Rivals:
    """The complexities of those ranked."""

    complexities: tuple[int, ...]
    official: bool

    def standing(self, complexity: int) -> Standing:
        """The place that this complexity has among them."""
        position = bisect_left(sorted(self.complexities), complexity) + 1
        best = min(self.complexities, default=None)
        return Standing(position, len(self.complexities) + 1, self.official, best)


def rivals_among(results: Path, competition: str, task: str) -> Rivals:
    """The records of a results directory: the official ones. If no record is official, all that qualified."""
    entries = [
        entry
        for entry in Store(results).listing().entries
        if entry.competition == competition and entry.task == task
    ]
    ranked = rank(entries)
    # A contestant's own folder has only records of local processes: these are better than no comparison.
    others = ranked or rank(entries, unofficial=True)
    return Rivals(tuple(one.entry.complexity or 0 for one in others), official=bool(ranked))


def rivals_on(leaderboard: Path, competition: str, task: str) -> Rivals:
    """Those on a leaderboard that `haet-eval leaderboard --json` has written.

    Raises:
        UsageProblem: it is no such file.
    """
    try:
        rows: list[dict[str, Any]] = json.loads(read_file(leaderboard, MAX_TEXT_BYTES))["entries"]
        ranked = tuple(
            int(row["complexity"])
            for row in rows
            # A leaderboard with --all has rows without a place as well.
            if row["position"] is not None and (row["competition"], row["task"]) == (competition, task)
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageProblem(
            f"{leaderboard} is no leaderboard: {type(error).__name__}: {error}",
            "Give the file that `haet-eval leaderboard DIR --json > FILE` writes.",
            code="leaderboard-unreadable",
        ) from None
    return Rivals(ranked, official=True)
