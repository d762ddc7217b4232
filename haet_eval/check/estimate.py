"""From what a sample has shown to what the whole training will take, with the method and its error."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import numpy as np
from scipy.optimize import nnls

from haet_eval.check.rehearsal import Moment
from haet_eval.check.sample import Milestone, Sample

_UNITS: Final = ("epoch", "step", "iteration", "iter", "batch", "round")
_TOTAL: Final = "{0}s", "total_{0}s", "num_{0}s", "n_{0}s", "max_{0}s", "{0}_total", "of", "total"


@dataclass(frozen=True, slots=True)
class OperationsEstimate:
    """Operations of the training, `low` to `high`. `basis` says how they were found, in a sentence.

    `method`: `computed` to the end; `counted` to the end, with the later calls not computed; `extrapolated`
    from reported progress; `lower_bound` where nothing tells how far the training had come.
    """

    total: int
    low: int
    high: int
    method: Literal["computed", "counted", "extrapolated", "lower_bound"]
    basis: str


@dataclass(frozen=True, slots=True)
class Range:
    """An estimate that lies between two others."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class _Progress:
    """So many operations when `done` of `of` units were done."""

    unit: str
    done: int
    of: int
    operations: int


def estimate_operations(sample: Sample, clock: Sequence[str] = ()) -> OperationsEstimate:
    """Operations of the whole training; `clock` are the places where its code looks at a clock."""
    assert sample.operations is not None
    counted = sample.operations.total
    if sample.finished and sample.computed:
        return OperationsEstimate(counted, counted, counted, "computed", "exact: it was computed to its end")
    if sample.finished:
        return OperationsEstimate(counted, counted, counted, "counted", _basis(sample, clock))
    progress = list(_progress(sample.milestones))
    if len(progress) < 2:
        return OperationsEstimate(
            counted,
            counted,
            counted,
            "lower_bound",
            f"a lower bound: counting ended {sample.stopped}; with task.report(epoch=…, epochs=…) in the code"
            " the rest is estimated",
        )
    return _extrapolate(progress, sample.stopped)


def _basis(sample: Sample, clock: Sequence[str]) -> str:
    how = f"computed for {sample.computed_seconds:.0f} s, then counted to its end without computing"
    made_up = sample.made_up
    if made_up.shapes:
        return f"{how}; {made_up.shapes:,} shapes depended on data, and are the last ones seen, in turn"
    doubts = []
    if made_up.values:
        doubts.append(f"decides by one of the {made_up.values:,} values that it read there")
    if clock:
        doubts.append(f"decides by the clock ({', '.join(clock[:3])})")
    return f"{how}: exact" + (f", unless the code {' or '.join(doubts)}" if doubts else "")


def _progress(milestones: Sequence[Milestone]) -> Iterator[_Progress]:
    """Reports of how far the training is, as in `epoch=3, epochs=10` or `step="300/2400"`."""
    for milestone in milestones:
        for unit in _UNITS:
            found = _done_of(unit, milestone.values)
            if found is not None and 0 < found[0] <= found[1]:
                yield _Progress(unit, *found, milestone.operations)
                break


def _done_of(unit: str, values: Mapping[str, str]) -> tuple[int, int] | None:
    fraction = re.fullmatch(r"\s*(\d+)\s*(?:/|of)\s*(\d+)\s*", values.get(unit, ""))
    if fraction:
        return int(fraction[1]), int(fraction[2])
    totals = (values.get(name.format(unit), "") for name in _TOTAL)
    total = next((total for total in totals if total.isdecimal()), None)
    done = values.get(unit, "")
    return (int(done), int(total)) if total is not None and done.isdecimal() else None


def _extrapolate(progress: list[_Progress], stopped: str) -> OperationsEstimate:
    """Go on as in the later half of what was reported; the error is the spread of its units."""
    later = progress[(len(progress) - 1) // 2 :]
    each = [
        (after.operations - before.operations) / (after.done - before.done)
        for before, after in pairwise(later)
        if after.done > before.done
    ]
    last = progress[-1]
    left = last.of - last.done
    ends = [last.operations + round(left * one) for one in (float(np.mean(each)), min(each), max(each))]
    return OperationsEstimate(
        ends[0],
        ends[1],
        ends[2],
        "extrapolated",
        f"counting ended {stopped}, at {last.unit} {last.done} of {last.of}; the rest is taken to be as the"
        f" {len(each)} before",
    )


def estimate_seconds(sample: Sample, operations: OperationsEstimate) -> Range | None:
    """Wall time of the training on this machine; None where nothing was computed.

    A least-squares fit of the time to operations and calls in the later half of the computed part. The
    bounds are what the operations alone, and the calls alone, would make of it.
    """
    if sample.finished and sample.computed:
        return Range(sample.wall_seconds, sample.wall_seconds, sample.wall_seconds)
    if not sample.moments:
        return None
    moments = [Moment(0.0, 0, 0), *sample.moments]
    assert sample.operations is not None
    last, first = moments[-1], _halfway(moments)
    share = operations.total / max(sample.operations.total, 1)
    left = (operations.total - last.operations, sample.messages * share - last.messages)
    seen = (last.operations - first.operations, last.messages - first.messages)
    span = last.seconds - first.seconds
    alone = [span / done * rest for done, rest in zip(seen, left, strict=True) if done > 0]
    if not alone:
        return None
    fitted = sum(rate * rest for rate, rest in zip(_rates(moments, first), left, strict=True))
    low, high = min(*alone, fitted), max(*alone, fitted)
    return Range(*(last.seconds + seconds for seconds in (fitted, low, high)))


def _halfway(moments: Sequence[Moment]) -> Moment:
    """The first calls of a kind are slow: they are left out where there is enough beside them."""
    half = moments[-1].seconds / 2
    return next((m for m in moments[:-1] if m.seconds >= half), moments[0])


def _rates(moments: Sequence[Moment], first: Moment) -> tuple[float, float]:
    """Seconds for an operation and for a call, neither below zero."""
    later = [moment for moment in moments if moment.seconds >= first.seconds]
    steps = np.array(
        [
            (
                after.operations - before.operations,
                after.messages - before.messages,
                after.seconds - before.seconds,
            )
            for before, after in pairwise(later)
        ],
        dtype=float,
    )
    scale = np.maximum(steps[:, :2].max(axis=0), 1)  # counts are ten orders of magnitude apart
    rates, _ = nnls(steps[:, :2] / scale, steps[:, 2])
    by_operation, by_call = rates / scale
    return float(by_operation), float(by_call)


def estimate_memory_bytes(sample: Sample) -> int | None:
    """Peak of the executor: what was seen while it computed, and what tensors grew by afterwards."""
    if sample.peak_memory_bytes is None:
        return None
    computed, counted = sample.living_bytes
    return sample.peak_memory_bytes + max(0, counted - computed)
