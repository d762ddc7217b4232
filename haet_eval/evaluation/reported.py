"""The values that a submission gave to `task.report`: all for an artefact, a few for the record."""

import json
from collections import deque
from collections.abc import Iterable, Mapping
from itertools import accumulate, islice
from typing import Final

from haet_eval.progress import ReportValue, not_finite
from haet_eval.record import NotFinite, ReportHistory
from haet_eval.store import Store

SHOWN_REPORTS: Final = 100
"""The number of first reports, and of last reports, in the record."""
_SHOWN_BYTES: Final = 512 * 1024
HISTORY_BYTES: Final = 8 * 1024 * 1024
"""The limit of the artefact; reports beyond it are counted, but not kept."""


class Reported:
    """The reports of one run, in order."""

    def __init__(self) -> None:
        self._history = bytearray()
        self._first: list[dict[str, ReportValue]] = []
        self._last: deque[tuple[int, dict[str, ReportValue]]] = deque()
        self._first_bytes = self._last_bytes = 0
        self._count = self._kept = 0
        self.not_finite: NotFinite | None = None

    def add(self, values: Mapping[str, ReportValue]) -> NotFinite | None:
        """Keep a report. Returns the value that is not finite, if this is the first report with one."""
        self._count += 1
        # Numbers that are not finite have arrived as texts, so every line is valid JSON.
        line = _line(values)
        self._keep(line)
        self._show(dict(values), len(line))
        found = None if self.not_finite else not_finite(values)
        if found is None:
            return None
        self.not_finite = NotFinite(report=self._count, name=found[0], value=found[1])
        return self.not_finite

    @property
    def shown(self) -> tuple[dict[str, ReportValue], ...]:
        """The first and the last reports. If there are few, these are all reports."""
        return (*self._first, *(values for _, values in self._last))

    def put(self, store: Store) -> ReportHistory | None:
        """Write the history as JSON lines; None if nothing was reported."""
        if not self._count:
            return None
        artifact = store.put_artifact(bytes(self._history), "reports.jsonl")
        return ReportHistory(**dict(artifact), reports=self._count, kept=self._kept)

    def _keep(self, line: bytes) -> None:
        # A report that does not fit ends the history. Smaller ones after it would leave a gap that nobody
        # sees.
        if self._kept == self._count - 1 and len(self._history) + len(line) <= HISTORY_BYTES:
            self._history += line
            self._kept += 1

    def _show(self, values: dict[str, ReportValue], size: int) -> None:
        # A report that does not fit ends the first ones, so that they have no gap.
        if len(self._first) == self._count - 1 < SHOWN_REPORTS and self._first_bytes + size <= _SHOWN_BYTES:
            self._first.append(values)
            self._first_bytes += size
            return
        self._last.append((size, values))
        self._last_bytes += size
        # The last report is shown whatever its size.
        while len(self._last) > SHOWN_REPORTS or (len(self._last) > 1 and self._last_bytes > _SHOWN_BYTES):
            self._last_bytes -= self._last.popleft()[0]


def number_of_first(shown: Iterable[Mapping[str, ReportValue]]) -> int:
    """How many of the reports in a record are its first ones; those after them are its last ones."""
    sizes = accumulate(len(_line(values)) for values in islice(shown, SHOWN_REPORTS))
    return sum(size <= _SHOWN_BYTES for size in sizes)


def _line(values: Mapping[str, ReportValue]) -> bytes:
    return json.dumps(values, allow_nan=False).encode() + b"\n"
