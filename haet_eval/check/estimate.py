"""From what a sample has shown to what the whole training will take, with the method and its error."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from haet_eval.check.rehearsal import RehearsedSoFar
from haet_eval.check.sample import Milestone, Sample
from haet_eval.pace import advance_in

_ENOUGH_SPANS: Final = 5
_FEWEST_MOMENTS: Final = 2
_MOST_UNLIKE: Final = 2.0
_MOST_NEW: Final = 0.1
_STEPS_OF_MANY: Final = 4
"""So many calls for each kind are some steps; the kinds are still new if shapes change from step to step."""


@dataclass(frozen=True, slots=True)
class OperationsEstimate:
    """Operations of the training, `low` to `high`. `basis` says how they were found, in a sentence.

    `method`: `computed` to the end; `counted` to the end, with the later calls not computed; `extrapolated`
    from reported progress; `lower_bound` if nothing shows how far the training had come; `cannot_tell` if a
    value that was made up decides. `high` is None if nothing bounds the operations from above.
    """

    total: int
    low: int
    high: int | None
    method: Literal["computed", "counted", "extrapolated", "lower_bound", "cannot_tell"]
    basis: str


@dataclass(frozen=True, slots=True)
class EstimateRange:
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
    # Nothing was left out, so this is no estimate.
    if sample.finished and sample.computed:
        return OperationsEstimate(counted, counted, counted, "computed", "exact: it was computed to its end")
    if sample.decides or sample.doubt or (sample.made_up.shapes and sample.range is None):
        return _cannot_tell(sample, counted)
    if sample.range is not None:
        # The count in turn may lie outside of both: sizes of different calls do not add up in order.
        low, high = min(counted, sample.range[0]), max(counted, sample.range[1])
        return OperationsEstimate(counted, low, high, "counted", _sizes(sample))
    if sample.finished:
        return OperationsEstimate(counted, counted, counted, "counted", _basis(sample, clock))
    progress = _advances(_progress(sample.milestones))
    # A rate needs two reports: what comes before the first is setup.
    if len(progress) < 2:
        # What was counted after a made-up value may not happen in the evaluation.
        sure = sample.computed_operations if sample.made_up else counted
        return OperationsEstimate(
            sure,
            sure,
            None,
            "lower_bound",
            f"a lower bound: counting ended {sample.stopped}; with task.report(epoch=…, epochs=…) in the code"
            " the rest is estimated",
        )
    return _extrapolate(progress, counted, sample.stopped)


def _cannot_tell(sample: Sample, counted: int) -> OperationsEstimate:
    """Only the computed part is certain. The counted part depends on a made-up value."""
    low = sample.computed_operations
    longer = "compute for longer: --seconds, --within"
    if sample.decides:
        lines = ", ".join(sample.decides[:3])
        why = f"the code decides at {lines} by values that were not computed"
    elif sample.made_up.shapes and not sample.doubt:
        why = f"{sample.made_up.shapes:,} shapes depend on values that were not computed"
    else:
        why = "the run ended early, perhaps by a value that was not computed"
    if sample.finished:
        basis = f"cannot tell: {why}; {counted:,} if it goes on as in the part that was computed; {longer}"
        return OperationsEstimate(counted, low, None, "cannot_tell", basis)
    return OperationsEstimate(low, low, None, "cannot_tell", f"cannot tell: {why}; {longer}")


def _sizes(sample: Sample) -> str:
    return (
        f"computed for {sample.computed_seconds:.0f} s, then counted to its end without computing;"
        f" {sample.made_up.shapes:,} shapes depended on data: the range is that of the smallest and the"
        " largest that the same calls had returned, or of nothing and everything if they had not been made"
    )


def _basis(sample: Sample, clock: Sequence[str]) -> str:
    how = f"computed for {sample.computed_seconds:.0f} s, then counted to its end without computing"
    doubts = []
    if sample.made_up.values:
        doubts.append(f"decides by one of the {sample.made_up.values:,} values that it read there")
    if clock:
        doubts.append(f"decides by the clock ({', '.join(clock[:3])})")
    finite = " if the values that it tests for NaN and infinity are finite" if sample.made_up.finite else ""
    return f"{how}: exact{finite}" + (f", unless the code {' or '.join(doubts)}" if doubts else "")


def _progress(milestones: Sequence[Milestone]) -> Iterator[_Progress]:
    for milestone in milestones:
        if found := advance_in(milestone.values):
            yield _Progress(found.unit, found.done, found.of, milestone.operations)


def _advances(progress: Iterable[_Progress]) -> list[_Progress]:
    """The first report of each number of units done: a program may report many times in each epoch."""
    first: list[_Progress] = []
    for one in progress:
        # A program that begins again at 1 has no one rate: its reports count only when they come further than
        # before.
        if not first or (one.unit == first[-1].unit and one.done > first[-1].done):
            first.append(one)
    return first


def _extrapolate(progress: list[_Progress], counted: int, stopped: str) -> OperationsEstimate:
    """Go on as in the later half of the reports; the error is the spread of its units."""
    # The later half: warm-up epochs and the first sizes of progressive ones are not like the rest.
    later = progress[(len(progress) - 1) // 2 :]
    each = [
        (after.operations - before.operations) / (after.done - before.done)
        for before, after in pairwise(later)
    ]
    last = progress[-1]
    left = last.of - last.done
    rates = (float(np.mean(each)), min(each), max(each))
    # An estimate below the operations counted so far would be wrong for certain.
    ends = [max(counted, last.operations + round(left * rate)) for rate in rates]
    return OperationsEstimate(
        ends[0],
        ends[1],
        ends[2],
        "extrapolated",
        f"counting ended {stopped}, at {last.unit} {last.done} of {last.of}; the rest is taken to be as the"
        f" {len(each)} before",
    )


def why_no_seconds(sample: Sample) -> str:
    """Why the computed part does not stand for the rest, if there is no estimate of the time."""
    longer = "(--seconds computes more)"
    if len(sample.moments) < _FEWEST_MOMENTS:
        return f"not estimated: nothing was computed {longer}"
    last = sample.moments[-1]
    settled = sum(span.messages for span in _settled(sample.moments))
    if settled < max(last.definitions, 1) and last.messages < _STEPS_OF_MANY * last.definitions:
        return f"not estimated: too little was computed, not even a whole step {longer}"
    if settled < max(last.definitions, 1):
        return (
            f"not estimated: up to the end of what was computed, calls were the first of their kind "
            f"({last.definitions:,} of {last.messages:,}), which take longer {longer}"
        )
    return f"not estimated: the rest of the training makes other calls than what was computed {longer}"


def estimate_seconds(sample: Sample, operations: OperationsEstimate) -> EstimateRange | None:
    """Wall time of the training on this machine; None if the computed part does not stand for the rest.

    A least-squares fit of the time to operations and calls, where the training had settled. The bounds are
    what the operations alone, and the calls alone, would make of it.
    """
    if sample.finished and sample.computed:
        return EstimateRange(sample.wall_seconds, sample.wall_seconds, sample.wall_seconds)
    if len(sample.moments) < _FEWEST_MOMENTS:  # the time before the first is that of imports
        return None
    assert sample.operations is not None
    last = sample.moments[-1]
    # If counting was stopped, the rest has as many messages for each operation as the counted part.
    share = operations.total / max(sample.operations.total, 1)
    left = (operations.total - last.operations, sample.messages * share - last.messages)
    spans = _settled(sample.moments)
    done = np.array([[span.operations, span.messages] for span in spans], dtype=float).reshape(-1, 2)
    seconds = np.array([span.seconds for span in spans])
    totals = done.sum(axis=0)
    if totals[1] < max(last.definitions, 1) or not _alike(totals, left):
        return None
    # `nnls` gives a point and no error. What one of both causes alone would give bounds it from either side.
    alone = [seconds.sum() / total * rest for total, rest in zip(totals, left, strict=True) if total]
    scale = np.maximum(totals, 1)  # counts are ten orders of magnitude apart
    # Not negative: a plain fit may give a call a negative time if both counts grow together.
    rates, _ = nnls(done / scale, seconds)
    fitted = float(rates / scale @ np.array(left, dtype=float))
    bounds = min(*alone, fitted), max(*alone, fitted)
    return EstimateRange(*(float(last.seconds + more) for more in (fitted, *bounds)))


def _alike(done: npt.NDArray[np.float64], left: tuple[float, float]) -> bool:
    """Whether a call had about as many operations as in the rest: setup has few, and a rate of its own."""
    here, there = done[0] * left[1], left[0] * done[1]
    return bool(max(here, there) <= _MOST_UNLIKE * min(here, there))


def _settled(moments: Sequence[RehearsedSoFar]) -> list[RehearsedSoFar]:
    """What was done from one moment to the next, without calls of a new kind where that leaves enough.

    The first call of each kind waits for its answer and finds its kernel cold. A training that has made as
    many settled calls as it knows kinds of them has taken about a whole step.
    """
    spans = [
        RehearsedSoFar(
            after.seconds - before.seconds,
            after.operations - before.operations,
            after.messages - before.messages,
            after.definitions - before.definitions,
        )
        for before, after in pairwise(moments)
    ]
    later = [
        span
        # One moment more than spans: each span goes with the moment at which it began.
        for span, moment in zip(spans, moments, strict=False)
        if moment.seconds >= moments[-1].seconds / 2
    ]
    settled = [span for span in spans if not span.definitions]
    if sum(span.messages for span in settled) >= moments[-1].definitions:
        return settled
    messages, new = (sum(getattr(span, name) for span in later) for name in ("messages", "definitions"))
    few_are_new = messages >= moments[-1].definitions and new <= _MOST_NEW * messages
    return later if few_are_new or len(later) >= _ENOUGH_SPANS else settled


def estimate_memory_bytes(sample: Sample) -> int | None:
    """Peak of the executor: what was seen while it computed, and what tensors grew by afterwards."""
    if sample.peak_memory_bytes is None:
        return None
    computed, counted = sample.living_bytes
    # The difference of the living tensors: what torch itself takes is in the peak already.
    return sample.peak_memory_bytes + max(0, counted - computed)
