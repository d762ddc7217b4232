"""What is seen on stderr while an evaluation runs: a live view on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from haet_eval.cli.boundary import say_line
from haet_eval.cli.streams import not_waiting
from haet_eval.cli.text import safe
from haet_eval.progress import Observer, ReportValue, Tick
from haet_eval.reports.text import printable, readable_count, readable_duration

SECONDS_BETWEEN_LINES: Final = 10.0
"""A plain log gets one line about a running stage in this time."""

_MAX_VALUES = 8
_MAX_VALUE_CHARACTERS = 40
_REFRESHES_PER_SECOND = 8


@contextmanager
def open_screen() -> Iterator[Observer]:
    """The observer that suits this process's stderr. What runs does not wait for whoever looks at it."""
    console = Console(stderr=True, highlight=False, emoji=False, markup=False)
    # In a log each redrawn frame would be a line of its own.
    if not sys.stderr.isatty() or console.is_dumb_terminal:
        with not_waiting():
            yield PlainScreen()
        return
    screen = LiveScreen(console)
    live = Live(
        screen,
        console=console,
        refresh_per_second=_REFRESHES_PER_SECOND,
        transient=True,
        # By default rich would send stdout through its console on stderr: a record as JSON would end there.
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with not_waiting(), live:
        yield screen
        # Not in a `finally`: a stage that failed gets no check mark.
        screen.finish_stage()


class PlainScreen:
    """One line for each stage, and now and then one about the stage that runs."""

    def __init__(self) -> None:
        self._next_line_seconds = SECONDS_BETWEEN_LINES
        self._values = ""
        self._transfer = ""

    def stage(self, name: str, detail: str = "") -> None:
        self._next_line_seconds = SECONDS_BETWEEN_LINES
        self._values = ""
        say_line(f"{name}: {detail}" if detail else name)

    def tick(self, tick: Tick) -> None:
        if tick.elapsed_seconds < self._next_line_seconds:
            return
        # From this tick on and not from the last line: after a pause there is one line and no burst.
        self._next_line_seconds = tick.elapsed_seconds + SECONDS_BETWEEN_LINES
        say_line(f"{tick.stage}: {progress_text(tick)} {self._values}")

    def report(self, values: Mapping[str, ReportValue]) -> None:
        self._values = values_text(values)

    def transfer(self, what: str, done_bytes: int, total_bytes: int | None) -> None:
        # Transfers report every block, and a log needs to know only that one has begun.
        if what != self._transfer:
            self._transfer = what
            say_line(transfer_text(what, done_bytes, total_bytes))

    def note(self, text: str) -> None:
        say_line(text)


class LiveScreen:
    """Finished stages scroll by; the running one is drawn again and again, from another thread."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._spinner = Spinner("dots")
        self._begin("", "")

    def _begin(self, name: str, detail: str) -> None:
        self._name = name
        self._detail = detail
        self._began_seconds = time.monotonic()
        self._tick: Tick | None = None
        self._values = ""
        self._transfer = ""

    def stage(self, name: str, detail: str = "") -> None:
        self.finish_stage()
        self._begin(name, detail)

    def finish_stage(self) -> None:
        """Leave a line about the stage that ran."""
        if self._name:
            self._console.print(Text.assemble(("✓ ", "green"), self._headline()))

    def tick(self, tick: Tick) -> None:
        self._tick = tick

    def report(self, values: Mapping[str, ReportValue]) -> None:
        self._values = values_text(values)

    def transfer(self, what: str, done_bytes: int, total_bytes: int | None) -> None:
        self._transfer = transfer_text(what, done_bytes, total_bytes)

    def note(self, text: str) -> None:
        self._console.print(safe(text))

    def __rich__(self) -> Group:
        self._spinner.update(text=self._headline())
        details = [safe(f"  {line}", "dim") for line in (self._values, self._transfer) if line]
        return Group(self._spinner, *details)

    def _headline(self) -> Text:
        tick = self._tick
        seconds = f"{time.monotonic() - self._began_seconds:.1f} s"
        progress = progress_text(tick) if tick and tick.stage == self._name else seconds
        headline = safe(self._name, "bold")
        headline.append(" " * max(1, 9 - len(headline)))
        return headline.append(f"{progress}  ", "not bold").append(safe(self._detail, "dim not bold"))


def progress_text(tick: Tick) -> str:
    """How far a stage is, as in `12.5 s of 600 s, 50 % done, about 12 s left, 1.234×10⁹ operations`."""
    budget = "" if tick.budget_seconds is None else f" of {tick.budget_seconds:,.0f} s"
    parts = [f"{tick.elapsed_seconds:,.1f} s{budget}"]
    if tick.share is not None:
        parts.append(f"{100 * tick.share:.0f} % done")
    if tick.seconds_left is not None:
        parts.append(f"about {readable_duration(tick.seconds_left)} left")
    if tick.operations is not None:
        parts.append(f"{readable_count(tick.operations)} operations")
    return ", ".join(parts)


def values_text(values: Mapping[str, ReportValue]) -> str:
    """The first reported values on one short line, printable, as in `epoch=3 loss=0.41`."""
    # Submissions choose the names, the values and their number. There is one short line for all of them.
    shown = list(values.items())[:_MAX_VALUES]
    pairs = [f"{_cut(name)}={_cut(_shown(value))}" for name, value in shown]
    return " ".join(pairs + ["…"] * (len(values) > len(shown)))


def _shown(value: ReportValue) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _cut(text: str) -> str:
    short = printable(text[:_MAX_VALUE_CHARACTERS])
    # Cut before it is made printable, which takes time for each character.
    return short if len(text) <= _MAX_VALUE_CHARACTERS else f"{short}…"


def transfer_text(what: str, done_bytes: int, total_bytes: int | None) -> str:
    """How far a transfer is, as in `cifar10: 12.3 MB of 170.5 MB`."""
    of = "" if total_bytes is None else f" of {total_bytes / 1e6:,.1f} MB"
    return f"{what}: {done_bytes / 1e6:,.1f} MB{of}"
