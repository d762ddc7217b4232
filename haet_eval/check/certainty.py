"""Samples of a submission, until it is known how it goes or the time is over.

The first sample is computed for some seconds and counted to its end. If something that was made up has a say
in how it goes on, the training is computed as far as the time allows, so that the report does not
depend on when the first sample stopped computing.
"""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from haet_eval.check.estimate import estimate_operations, estimate_seconds
from haet_eval.check.rehearsal import Sizes
from haet_eval.check.sample import Sample, Terms, take_sample
from haet_eval.evaluation.request import Assignment
from haet_eval.progress import Observer
from haet_eval.runtimes.interface import Runtime

_NOT_BY_VALUES: Final = frozenset(
    {
        "AttributeError",
        "ImportError",
        "ModuleNotFoundError",
        "NameError",
        "TypeError",
        "UnboundLocalError",
    }
)
"""Exceptions that Python raises because of what the code says, whatever the values are."""
# Without this margin a sample could begin that has no time to compute anything.
_START_SECONDS: Final = 5.0
"""What it takes to start the workers and to import torch, about."""


class Sampling:
    """Takes samples of one submission, all of them within `terms.all_seconds`."""

    def __init__(
        self,
        assignment: Assignment,
        runtime: Callable[[], Runtime],
        terms: Terms,
        observer: Observer,
        *,
        real_data: bool = True,
    ) -> None:
        self._assignment = assignment
        self._runtime = runtime
        self._terms = terms
        self._observer = observer
        self._real_data = real_data
        self._began = time.monotonic()

    def take(self) -> Sample:
        """The sample that shows most.

        Raises:
            EnvironmentProblem: it cannot be run here.
        """
        first = self._one(self._terms)
        # Nothing made up had a say, so a second sample could show nothing else.
        if not first.is_open:
            return first
        # A mistake in the code shows in seconds, so this comes before a sample that takes all the time.
        if first.failure and self._is_certain(first):
            first.conclude_from(first.failure)
            return first
        if self._may_be_computed(first):
            left = self._left
            whole = self._one(
                # No limit by messages: only the end of the time may stop the computing.
                replace(self._terms, computed_seconds=left, computed_messages=math.inf, all_seconds=left)
            )
            # An unfinished sample stopped in the middle of computing. The first one, which counted on, shows
            # more.
            if whole.finished or whole.verdict is not None:
                return whole
            # The operations that were computed are the only certain bound, and the longer sample has more.
            first.computed_operations = max(first.computed_operations, _computed(whole))
        # If a made-up value decides, other sizes do not bound the count: the range would promise too much.
        if first.made_up.shapes and first.finished and not first.decides:
            first.range = self._range()
        return first

    def _one(self, terms: Terms) -> Sample:
        return take_sample(
            self._assignment, self._runtime(), terms, self._observer, real_data=self._real_data
        )

    @property
    def _left(self) -> float:
        """Seconds until the time is over."""
        return self._terms.all_seconds - (time.monotonic() - self._began)

    def _may_be_computed(self, first: Sample) -> bool:
        """Whether the whole training may be computed in the time that is left, as far as is known."""
        if self._left < _START_SECONDS:
            return False
        # Without an end there is no estimate to go by, so it is simply tried.
        if not first.finished:
            return True
        seconds = estimate_seconds(first, estimate_operations(first))
        return seconds is None or seconds.low + _START_SECONDS < self._left

    def _is_certain(self, first: Sample) -> bool:
        """Whether the failure has nothing to do with what was made up.

        It has not if its kind is one that values do not bring about, no line was seen to decide by a value,
        and with other values and sizes the same comes of it. A kernel that fails on inputs that were made up
        may mind their values, unless it names their dtypes.
        """
        if first.made_up.failed and "dtype" not in first.doubt:
            return False
        if first.decides or not _is_of_code(first.doubt) or self._left < self._terms.computed_seconds:
            return False
        # With the smallest sizes masks select nothing, so inputs and shapes are as unlike as they can be.
        other = self._one(replace(self._terms, sizes=Sizes.SMALLEST, all_seconds=self._left))
        return _without_lines(other.doubt) == _without_lines(first.doubt) and not other.decides

    def _range(self) -> tuple[int, int] | None:
        """Operations with the smallest and the largest sizes that were seen."""
        ends = []
        for sizes in (Sizes.SMALLEST, Sizes.LARGEST):
            if self._left < self._terms.computed_seconds + _START_SECONDS:
                return None
            sample = self._one(replace(self._terms, sizes=sizes, all_seconds=self._left))
            if not sample.finished or sample.operations is None:
                return None
            ends.append(sample.operations.total)
        return min(ends), max(ends)


def _is_of_code(reason: str) -> bool:
    """Whether a failure is of an operator, or of a name or a type. A reason begins with its exception."""
    raised, colon, _ = reason.partition(":")
    # A reason without an exception's name is the refusal of an operator, which goes by dtypes and shapes.
    return raised in _NOT_BY_VALUES or not (colon and raised.isidentifier())


def _without_lines(reason: str) -> str:
    """A reason without the lines that have read most: with other sizes they may be others."""
    return reason.partition(" Most was read in ")[0]


def _computed(sample: Sample) -> int:
    """Operations that were computed before the sample was stopped."""
    if sample.computed and sample.operations is not None:
        return sample.operations.total
    return sample.computed_operations
