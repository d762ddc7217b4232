"""What is heard of a run while it goes on: some of it is kept for the record, and a watcher is told of it."""

from collections import deque
from collections.abc import Mapping
from typing import Final

from haet_eval.progress import Observer, Tick
from haet_eval.remote.log import OutputLog

KEPT_REPORTS: Final = 200


class Heard:
    """An observer that passes everything on, and keeps what the submission reported and printed."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self.log = OutputLog()
        self.reports: deque[dict[str, str]] = deque(maxlen=KEPT_REPORTS)

    def stage(self, name: str, detail: str = "") -> None:
        self._observer.stage(name, detail)

    def tick(self, tick: Tick) -> None:
        self._observer.tick(tick)

    def report(self, values: Mapping[str, str]) -> None:
        self.reports.append(dict(values))
        self._observer.report(values)

    def transfer(self, what: str, done_bytes: int, total_bytes: int | None) -> None:
        self._observer.transfer(what, done_bytes, total_bytes)

    def note(self, text: str) -> None:
        self._observer.note(text)
