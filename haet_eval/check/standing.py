"""Where a submission would rank on a leaderboard, if it qualified."""

import json
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from haet_eval.errors import UsageProblem
from haet_eval.ranking import rank
from haet_eval.store import Store


@dataclass(frozen=True, slots=True)
class Standing:
    """The place among those ranked, itself included; `best` is the least complexity there is."""

    position: int
    of: int
    official: bool
    best: int | None


def standing_among(results: Path, competition: str, task: str, complexity: int) -> Standing:
    """The place among the records of a results directory: the official ones, or all where there are none."""
    entries = [
        entry
        for entry in Store(results).listing().entries
        if entry.competition == competition and entry.task == task
    ]
    ranked = rank(entries)
    others = ranked or rank(entries, unofficial=True)
    return _place([one.entry.complexity or 0 for one in others], complexity, official=bool(ranked))


def standing_on(leaderboard: Path, competition: str, task: str, complexity: int) -> Standing:
    """The place on a leaderboard that `haet-eval leaderboard --json` has written.

    Raises:
        UsageProblem: it is no such file.
    """
    try:
        rows: list[dict[str, Any]] = json.loads(leaderboard.read_text("utf-8"))["entries"]
        ranked = [
            int(row["complexity"])
            for row in rows
            if row["position"] is not None and (row["competition"], row["task"]) == (competition, task)
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageProblem(
            f"{leaderboard} is no leaderboard: {type(error).__name__}: {error}",
            "Give the file that `haet-eval leaderboard DIR --json > FILE` writes.",
        ) from None
    return _place(ranked, complexity, official=True)


def _place(others: list[int], complexity: int, *, official: bool) -> Standing:
    position = bisect_left(sorted(others), complexity) + 1
    return Standing(position, len(others) + 1, official, min(others, default=None))
