"""Estimates the progress of a training from its reports, and the time that remains at its pace."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# In this order: in a report with epochs and steps, the steps may be those of the running epoch.
_UNITS: Final = ("epoch", "step", "iteration", "iter", "batch", "round")
_MOST_UNITS: Final = 10**12
"""No training has more steps. A submission may report any number, and a float cannot hold every one."""
_TOTAL: Final = "{0}s", "total_{0}s", "num_{0}s", "n_{0}s", "max_{0}s", "{0}_total", "of", "total"


@dataclass(frozen=True, slots=True)
class Advance:
    """`done` of `of` units are done; `done` is at least 1 and at most `of`."""

    unit: str
    done: int
    of: int


def advance_in(values: Mapping[str, str]) -> Advance | None:
    """The progress in a report, as in `epoch=3, epochs=10` or `step="300/2400"`; None without such values."""
    for unit in _UNITS:
        found = _done_of(unit, values)
        if found is not None and 0 < found[0] <= found[1] <= _MOST_UNITS:
            return Advance(unit, *found)
    return None


def _done_of(unit: str, values: Mapping[str, str]) -> tuple[int, int] | None:
    fraction = re.fullmatch(r"\s*(\d+)\s*(?:/|of)\s*(\d+)\s*", values.get(unit, ""))
    if fraction:
        return int(fraction[1]), int(fraction[2])
    totals = (values.get(name.format(unit), "") for name in _TOTAL)
    total = next((total for total in totals if total.isdecimal()), None)
    # `isdecimal`, because `isdigit` also accepts characters such as "²", for which `int` raises an error.
    done = values.get(unit, "")
    return (int(done), int(total)) if total is not None and done.isdecimal() else None


class Pace:
    """Follows the reports of one stage. Times are seconds since the stage began.

    Of the reports with the same number of units done, the first counts: it comes when the unit is over. The
    remaining units are expected to take as long as those between the first report and the last. After a
    single report, the time before it is used instead, which includes the setup.
    """

    def __init__(self) -> None:
        # A report carries no time. The next look, which comes a few times a second, takes it with its own.
        self._reported: Advance | None = None
        self._last: tuple[float, Advance] | None = None
        self._since: tuple[float, int] | None = (0.0, 0)

    def report(self, values: Mapping[str, str]) -> None:
        """Take a report of the submission. It counts from the next look on."""
        # A report without progress, as of an accuracy in between, does not undo the one before.
        self._reported = advance_in(values) or self._reported

    def look(self, elapsed_seconds: float) -> tuple[float | None, float | None]:
        """The share that is done and the remaining seconds, at this moment; None if unknown."""
        if self._reported is not None:
            self._take(elapsed_seconds, self._reported)
            self._reported = None
        if self._last is None:
            return None, None
        seconds, advance = self._last
        return advance.done / advance.of, self._left(elapsed_seconds - seconds, seconds, advance)

    def _take(self, elapsed_seconds: float, reported: Advance) -> None:
        if self._last is not None:
            seconds, before = self._last
            goes_on = (before.unit, before.of) == (reported.unit, reported.of)
            if goes_on and reported.done == before.done:
                return
            if not goes_on or reported.done < before.done:
                self._since = None  # the submission is in another loop, whose beginning is not known
            # From the second report on, the time before the first no longer counts: it includes the setup.
            elif self._since == (0.0, 0) or self._since is None:
                self._since = seconds, before.done
        self._last = elapsed_seconds, reported

    def _left(self, later_seconds: float, seconds: float, advance: Advance) -> float | None:
        """The remaining seconds. If the running unit is overdue, those after it; None if it is the last."""
        # After the last unit there may be work that no report announces, so 0 seconds would be a promise.
        if self._since is None or advance.done == advance.of:
            return None
        began, done = self._since
        # Not zero: `_take` keeps an earlier report as the start only if more units are done since.
        each = (seconds - began) / (advance.done - done)
        left = max(each * (advance.of - advance.done) - later_seconds, each * (advance.of - advance.done - 1))
        return left if left > 0 else None
