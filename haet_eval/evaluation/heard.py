"""What is heard of a run while it goes on: some of it is kept for the record, and a watcher is told of it."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from haet_eval.progress import Observer, Silent, Tick
from haet_eval.remote.log import OutputLog

KEPT_REPORTS: Final = 200


class Heard:
    """An observer that passes everything on, and keeps what the submission reported and printed.

    A watcher that fails to write is told nothing more: no run ends for want of a display. `reached` is the
    stage that began last.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self.reached = "unpack"
        self.log = OutputLog()
        self.reports: deque[dict[str, str]] = deque(maxlen=KEPT_REPORTS)

    def of_a_run(self) -> "Heard":
        """One more hearer, of one run of several; its log is also this one's until the next."""
        run = Heard(self)
        self.log = run.log
        return run

    def stage(self, name: str, detail: str = "") -> None:
        self.reached = name
        self._tell(lambda: self._observer.stage(name, detail))

    def tick(self, tick: Tick) -> None:
        self._tell(lambda: self._observer.tick(tick))

    def report(self, values: Mapping[str, str]) -> None:
        self.reports.append(dict(values))
        self._tell(lambda: self._observer.report(values))

    def transfer(self, what: str, done_bytes: int, total_bytes: int | None) -> None:
        self._tell(lambda: self._observer.transfer(what, done_bytes, total_bytes))

    def note(self, text: str) -> None:
        self._tell(lambda: self._observer.note(text))

    def _tell(self, tell: Callable[[], None]) -> None:
        try:
            tell()
        except (OSError, ValueError):  # a file that is closed is a ValueError
            self._observer = Silent()
