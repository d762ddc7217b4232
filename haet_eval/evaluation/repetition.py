"""Several runs of one submission: their seeds, their statistics, and the verdict on all of them."""

import hashlib
import math
from collections.abc import Sequence
from statistics import mean, median_low, stdev

from haet_eval.competition import Runs
from haet_eval.errors import Verdict
from haet_eval.ranking import summarize
from haet_eval.record import (
    AccuracyStatistics,
    ComplexityStatistics,
    Content,
    Record,
    Run,
    Statistics,
    Status,
    seal,
)
from haet_eval.spelling import percent


def seeds(seed: int, runs: int) -> list[int]:
    """The seeds of the runs: the first is the seed itself.

    Seed i, from 1 on, is the first four bytes of the SHA-256 of `haet-eval run {i} of seed {seed}`, read as
    an unsigned number with the greatest byte first.
    """
    texts = (f"haet-eval run {number} of seed {seed}" for number in range(1, runs))
    return [seed, *(int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) for text in texts)]


def merge(records: Sequence[Record], rules: Runs, threshold: float) -> Record:
    """One record of several runs, in the order of their seeds.

    If a run failed, the record has its verdict. The mean of the others does not count: a contestant could
    otherwise fail on purpose whenever a run goes badly.

    Args:
        records: one of each run, at least two, which differ only in seed and results.
        rules: how the runs pass, and which figure ranks.
        threshold: the accuracy to reach, as a fraction.
    """
    statistics = summarize_runs([as_run(record) for record in records], rules, threshold)
    status = _status(records, statistics, rules, threshold)
    shown = _shown(records)
    # A mean or median of some of the runs would depend on which runs failed.
    counted = statistics.complexity is not None and statistics.complexity.runs == len(records)
    changes = {
        "status": status,
        # The seed of the first run is the one from which `verify` derives the others (decision 0062).
        "environment": shown.environment.model_copy(update={"seed": records[0].environment.seed}),
        "complexity": statistics.ranked_complexity() if counted else None,
        "runs": tuple(map(as_run, records)),
        "statistics": statistics,
    }
    # Built anew, because a copy of a model with changes is not checked. Id, digest and rank belong to one
    # run.
    facts = {name: getattr(shown, name) for name in Content.model_fields}
    return seal(Content(**facts | changes))


def split(record: Record) -> list[Record]:
    """Each run of a record as a record of its own, with the digest of the whole. They are not for files."""
    return [as_record(record, run) for run in record.runs or ()]


def as_record(record: Record, run: Run) -> Record:
    """One run of a record as a record of its own, with the digest of the whole. It is not for a file."""
    return record.model_copy(
        update={
            "environment": record.environment.model_copy(update={"seed": run.seed}),
            "status": run.status,
            "trace": run.trace,
            "training": run.training,
            "complexity": run.complexity,
            "evaluation": run.evaluation,
            "log": run.log,
            "native": run.native,
            "energy": run.energy,
            "runs": None,
            "statistics": None,
            "audit": None,
            "second_audit": None,
            "rank": None,
        }
    )


def as_run(record: Record) -> Run:
    """The part of a run's record that a record of several runs keeps."""
    return Run(
        seed=record.environment.seed,
        status=record.status,
        trace=record.trace,
        training=record.training,
        complexity=record.complexity,
        evaluation=record.evaluation,
        log=record.log,
        native=record.native,
        energy=record.energy,
    )


def summarize_runs(runs: Sequence[Run], rules: Runs, threshold: float) -> Statistics:
    """The statistics of several runs."""
    accuracies = [run.evaluation.accuracy for run in runs if run.evaluation is not None]
    complexities = [run.complexity for run in runs if run.complexity is not None]
    return Statistics(
        accuracy=_accuracy(accuracies) if accuracies else None,
        complexity=_complexity(complexities) if complexities else None,
        passes=rules.passes,
        p_value=_p_value(accuracies, threshold) if rules.passes == "one_sided" else None,
        ranks=rules.ranks,
    )


def _accuracy(accuracies: Sequence[float]) -> AccuracyStatistics:
    several = len(accuracies) > 1
    return AccuracyStatistics(
        runs=len(accuracies),
        mean=mean(accuracies),
        standard_deviation=stdev(accuracies) if several else None,
        confidence_95=_interval(accuracies) if several else None,
    )


def _interval(accuracies: Sequence[float]) -> tuple[float, float]:
    from scipy.stats import t  # only now: slow to import

    count, middle = len(accuracies), mean(accuracies)
    half = float(t.ppf(0.975, count - 1)) * stdev(accuracies) / math.sqrt(count)
    return middle - half, middle + half


def _complexity(complexities: Sequence[int]) -> ComplexityStatistics:
    return ComplexityStatistics(
        runs=len(complexities),
        # Rounded up (decision 0062) in integers: a float does not hold every number of this size.
        mean=-(-sum(complexities) // len(complexities)),
        # The lower one of two in the middle is the figure of a real run, which `_shown` can show.
        median=median_low(complexities),
    )


def _p_value(accuracies: Sequence[float], threshold: float) -> float | None:
    """The p-value of a one-sided t-test against a mean at the threshold or below; None below two runs."""
    from scipy.stats import t

    if len(accuracies) < 2:
        return None
    excess, deviation = mean(accuracies) - threshold, stdev(accuracies)
    # The test statistic would divide by zero. Runs that are all alike pass at the threshold (decision 0062).
    if deviation == 0:
        return 0.0 if excess >= 0 else 1.0
    return float(t.sf(excess / (deviation / math.sqrt(len(accuracies))), len(accuracies) - 1))


def _status(records: Sequence[Record], statistics: Statistics, rules: Runs, threshold: float) -> Status:
    # The first run that failed decides; see `merge` for the reason.
    for number, record in enumerate(records, start=1):
        if not record.status.verdict.is_judged:
            reason = (
                f"Run {number} of {len(records)} (seed {record.environment.seed}): {record.status.reason}"
            )
            return record.status.model_copy(update={"reason": reason})
    assert statistics.accuracy is not None
    passed, told = _judge(records, statistics, rules, threshold, statistics.accuracy.mean)
    verdict = Verdict.QUALIFIED if passed else Verdict.BELOW_THRESHOLD
    code = "" if passed else "below-threshold"
    return Status(verdict=verdict, stage="record", reason="" if passed else told, code=code)


def _judge(
    records: Sequence[Record], statistics: Statistics, rules: Runs, threshold: float, middle: float
) -> tuple[bool, str]:
    """Whether the runs pass, and the reason for the record if they do not."""
    asked = f"the {percent(threshold)} asked for"
    match rules.passes:
        case "mean":
            return middle >= threshold, f"The mean accuracy {percent(middle)} is below {asked}."
        case "every":
            below = sum(record.status.verdict is Verdict.BELOW_THRESHOLD for record in records)
            return not below, f"{below} of {len(records)} runs are below {asked}."
        case "one_sided":
            p_value = statistics.p_value
            passed = p_value is not None and p_value <= rules.p
            told = (
                f"The mean accuracy {percent(middle)} is not above {asked} at p = {rules.p:g}: "
                f"p is {p_value:.3g}."
            )
            return passed, told


def _shown(records: Sequence[Record]) -> Record:
    """The run whose parts stand for all: one that failed, or the one whose ranked figure is the median."""
    for record in records:
        if not record.status.verdict.is_judged:
            return record
    figures = [summarize(record).figure or 0 for record in records]
    return records[figures.index(median_low(figures))]
