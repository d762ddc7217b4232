"""Judges several runs again: seeds, statistics, verdict."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from haet_eval.evaluation.repetition import merge, seeds, split
from haet_eval.record import Record, Run
from haet_eval.verification.check import Check, differs, holds, same, unchecked
from haet_eval.verification.evidence import Evidence

_DIGITS: Final = 9
"""Compared digits of statistics: their last bits depend on the library that computes them."""


def check_runs(record: Record, evidence: Evidence) -> Iterator[Check]:
    """Whether the record follows from its runs."""
    # `verify` calls this only for a record with runs.
    assert record.runs is not None
    if len(record.runs) < 2:
        yield differs("runs", "a record of several runs has at least two")
    derived = seeds(record.environment.seed, len(record.runs))
    found = [run.seed for run in record.runs]
    yield same("seeds", derived, found, f"the {len(found)} seeds follow from {record.environment.seed}")
    if twins := _twins(record.runs):
        yield unchecked(
            "runs", f"{twins} trained the same weights, as if their seeds did nothing; only --rerun shows it"
        )
    task = evidence.task(record)
    # The rules say what passes and what ranks, so nothing below follows without them.
    if evidence.competition is None or task is None:
        yield unchecked("statistics, verdict", "needs the rules of the competition")
        return
    # The evaluator's own function makes the record again, so that there is only one definition of the
    # statistics.
    again = merge(split(record), evidence.competition.runs, task.threshold)
    if rounded(record.statistics) == rounded(again.statistics):
        yield holds("statistics", "follow from the runs")
    else:
        yield same("statistics", record.statistics, again.statistics, "")
    yield same("verdict", record.status, again.status, f"{record.status.verdict} follows from the runs")
    yield same("complexity", record.complexity, again.complexity, "is the one that the rules rank by")
    # These parts stand outside of `runs` for readers who know one run only (decision 0062). A better run than
    # the median must not stand there.
    shown = ("trace", "training", "native", "energy", "evaluation", "log")
    yield same(
        "the run that is shown",
        [getattr(record, name) for name in shown],
        [getattr(again, name) for name in shown],
        "is the one whose ranked figure is the median, or the first that failed",
    )


def _twins(runs: Sequence[Run]) -> str:
    """The numbers of two runs with the same weights; empty without such runs.

    A training that draws nothing is the same under each seed. So one run could stand for all of them.
    """
    seen: dict[str, int] = {}
    for number, run in enumerate(runs, start=1):
        model = run.native.model if run.native else run.training.model if run.training else None
        if model is None:
            continue
        if model.sha256 in seen:
            return f"runs {seen[model.sha256]} and {number}"
        seen[model.sha256] = number
    return ""


def rounded(value: Any) -> Any:
    """Statistics without their last digits."""
    if hasattr(value, "model_dump"):
        return rounded(value.model_dump())
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, tuple):
        return tuple(map(rounded, value))
    return round(value, _DIGITS) if isinstance(value, float) else value
