"""Receives the events of an evaluation, keeps some for the record, and passes all on to an observer."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from haet_eval.evaluation.reported import Reported
from haet_eval.pace import Pace
from haet_eval.progress import Observer, ReportValue, Silent, Tick
from haet_eval.remote.log import OutputLog


class Heard:
    """An observer that passes everything on, and keeps what the submission reported and printed.

    If an observer fails to write, it gets no more events: a run must not end because a display is gone.
    `reached` is the stage that began last. Ticks get the pace of the submission's reports.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self.reached = "unpack"
        self.log = OutputLog()
        self.reported = Reported()
        self._pace = Pace()

    def of_a_run(self) -> "Heard":
        """A new `Heard` for one run of several. Its log is also this one's, until the next run."""
        run = Heard(self)
        self.log = run.log
        return run

    def begin_again(self) -> None:
        """The run begins anew: forget its reports and its output so far."""
        self.log.clear()
        self.reported = Reported()

    def stage(self, name: str, detail: str = "") -> None:
        self.reached = name
        # The pace of one stage says nothing about the next.
        self._pace = Pace()
        self._tell(lambda: self._observer.stage(name, detail))

    def tick(self, tick: Tick) -> None:
        if tick.share is None:
            share, seconds_left = self._pace.look(tick.elapsed_seconds)
            tick = replace(tick, share=share, seconds_left=seconds_left)
        self._tell(lambda: self._observer.tick(tick))

    def report(self, values: Mapping[str, ReportValue]) -> None:
        if found := self.reported.add(values):
            self.note(f"Report {found.report}: {found.name} is {found.value}, the first that is not finite.")
        self._pace.report({name: str(value) for name, value in values.items()})
        self._show(values)

    def _show(self, values: Mapping[str, ReportValue]) -> None:
        """Pass a report on to the observer. The `Heard` of several runs does not keep the reports of each."""
        outer = self._observer
        self._tell(lambda: outer._show(values) if isinstance(outer, Heard) else outer.report(values))

    def transfer(self, what: str, done_bytes: int, total_bytes: int | None) -> None:
        self._tell(lambda: self._observer.transfer(what, done_bytes, total_bytes))

    def note(self, text: str) -> None:
        self._tell(lambda: self._observer.note(text))

    def _tell(self, tell: Callable[[], None]) -> None:
        try:
            tell()
        except (OSError, ValueError):  # a file that is closed is a ValueError
            # The display is gone for good: the evaluation goes on, and its record is worth more.
            self._observer = Silent()
