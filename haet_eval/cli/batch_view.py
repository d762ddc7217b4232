"""What is seen of a batch while it runs: one live view of all runs, plain lines, or JSON lines."""

import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from haet_eval.batch.events import (
    Checked,
    Event,
    GivenUp,
    Moved,
    Noted,
    NotStored,
    Planned,
    Retried,
    RunStarted,
    SubmissionJudged,
    Watcher,
)
from haet_eval.batch.plan import SubmissionState
from haet_eval.cli.boundary import say_line
from haet_eval.cli.screen import progress_text
from haet_eval.cli.streams import deliver, not_waiting
from haet_eval.cli.text import safe
from haet_eval.errors import Verdict
from haet_eval.reports.text import readable_accuracy, readable_count

# These states get an event at their end, so the figures of the view add up. Others are skipped at once.
_TO_DO: Final = (
    SubmissionState.NEW,
    SubmissionState.FAILED_BEFORE,
    SubmissionState.REFUSED,
    SubmissionState.BLOCKED,
)
_REFRESHES_PER_SECOND: Final = 4
# rich cuts off what does not fit into the terminal, and with it the line that counts the runs left out.
_SHOWN_RUNS: Final = 24
_NAMES: Final = {
    Planned: "planned",
    RunStarted: "started",
    Retried: "retried",
    SubmissionJudged: "finished",
    GivenUp: "given_up",
    NotStored: "given_up",
}


@contextmanager
def open_view(lines: "JsonLines | None" = None) -> Iterator[Watcher]:
    """The watcher that suits this process's stderr; the JSON lines, if any, get the same events."""
    # Labels are file names of contestants: nothing in them may act as markup.
    console = Console(stderr=True, highlight=False, emoji=False, markup=False)
    if not sys.stderr.isatty() or console.is_dumb_terminal:
        with not_waiting():
            yield Both(lines, PlainLines()) if lines else PlainLines()
        return
    view = LiveView(console)
    live = Live(
        view,
        console=console,
        refresh_per_second=_REFRESHES_PER_SECOND,
        transient=True,
        # By default rich would write the JSON lines and the messages of `say_line` through its own console on
        # stderr.
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with not_waiting(), live:
        yield Both(lines, view) if lines else view


class Both:
    """Two watchers, told the same."""

    def __init__(self, first: Watcher, second: Watcher) -> None:
        self._watchers = (first, second)

    def tell(self, event: Event) -> None:
        for watcher in self._watchers:
            watcher.tell(event)


class JsonLines:
    """One line on stdout for each event, but for the progress within a run. Counts are decimal strings.

    `lost` says why the first line that could not be written was lost, and those after it.
    """

    def __init__(self) -> None:
        self.lost = ""

    def tell(self, event: Event) -> None:
        # After one lost line no other is written: a reader must not take a list with a gap for a whole one.
        if not self.lost and (name := _NAMES.get(type(event))):
            self.lost = deliver(lambda: click.echo(json.dumps({"event": name} | _facts(event))))


class PlainLines:
    """A line on stderr for each event that changes how it stands with a submission."""

    def __init__(self) -> None:
        self._tally = BatchTally()

    def tell(self, event: Event) -> None:
        self._tally.take(event)
        if text := headline(event):
            count = (
                f"[{self._tally.ended}/{self._tally.wanted}] " if isinstance(event, SubmissionJudged) else ""
            )
            say_line(f"{count}{text}")


class LiveView:
    """How many are queued, running and judged, and a line for each that runs; what ended scrolls by."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tally = BatchTally()
        self._running: dict[str, tuple[float, Moved | None]] = {}

    def tell(self, event: Event) -> None:
        self._tally.take(event)
        match event:
            case RunStarted():
                self._running[event.submission] = (time.monotonic(), None)
            case Moved() if event.submission in self._running:
                since, before = self._running[event.submission]
                # An event without a tick would replace the progress of the same stage by a bare clock.
                if before is None or before.stage != event.stage or event.tick:
                    self._running[event.submission] = (since, event)
            case SubmissionJudged() | GivenUp() | Checked():
                self._running.pop(event.submission, None)
        if not isinstance(event, RunStarted) and (text := headline(event)):
            self._console.print(safe(text, _style(event)), soft_wrap=True)

    def __rich__(self) -> Table:
        # rich draws from its own thread while `tell` changes the dictionary, so this works on a copy.
        tally, running = self._tally, dict(self._running)
        queued = tally.wanted - tally.ended - tally.given_up - len(running)
        table = Table.grid(padding=(0, 2))
        title = f"{tally.ended} of {tally.wanted} judged · {len(running)} running · {max(0, queued)} queued"
        failed = f" · {tally.given_up} could not be judged" if tally.given_up else ""
        table.add_row(Text(title + failed, "bold"))
        runs = Table.grid(padding=(0, 2))
        for label, (since, moved) in list(running.items())[:_SHOWN_RUNS]:
            runs.add_row(safe(f"  {label}"), *_progress(since, moved))
        table.add_row(runs)
        if len(running) > _SHOWN_RUNS:
            table.add_row(f"  … and {len(running) - _SHOWN_RUNS} more")
        return table


@dataclasses.dataclass
class BatchTally:
    """How many submissions are to be judged, and what came of them so far."""

    wanted: int = 0
    ended: int = 0
    given_up: int = 0

    def take(self, event: Event) -> None:
        self.wanted += isinstance(event, Planned) and event.state in _TO_DO
        self.ended += isinstance(event, SubmissionJudged)
        self.given_up += isinstance(event, GivenUp)


def headline(event: Event) -> str:
    """One line on an event; empty for those that have none."""
    match event:
        case Planned(state=SubmissionState.NEW | SubmissionState.BLOCKED) | Moved():
            return ""
        case Planned():
            return f"{event.submission}: {event.state} ({event.detail})"
        case RunStarted():
            return f"{event.submission}: started" + (f", attempt {event.attempt}" * (event.attempt > 1))
        case Retried():
            return f"{event.submission}: {event.reason}; again in {event.wait_seconds:.0f} s"
        case SubmissionJudged():
            score = f"{readable_accuracy(event.accuracy)}, complexity {readable_count(event.complexity)}"
            shown = f" ({score})" if event.accuracy is not None else ""
            return f"{event.submission}: {event.verdict}{shown}, {event.seconds:.0f} s"
        case Noted():
            return event.text
        case Checked():
            return f"{event.submission} {'holds' if event.held else 'does not hold'}: {event.detail}"
        case NotStored():
            return f"{event.submission}: judged, but not stored: {event.reason}"
        case GivenUp():
            return f"{event.submission}: could not be judged: {event.reason}"


def _style(event: Event) -> str:
    match event:
        case SubmissionJudged(verdict=Verdict.QUALIFIED) | Checked(held=True):
            return "green"
        case SubmissionJudged() | Checked():
            return "yellow"
        case GivenUp() | Retried():
            return "red"
        case _:
            return "dim"


def _progress(since: float, moved: Moved | None) -> tuple[Text, Text]:
    if moved is None:
        return Text("waiting", "dim"), Text(f"{time.monotonic() - since:.0f} s", "dim")
    progress = progress_text(moved.tick) if moved.tick else f"{time.monotonic() - since:.0f} s"
    return Text(moved.stage, "bold"), safe(f"{progress}  {moved.node}", "dim")


def _facts(event: Event) -> dict[str, Any]:
    facts = dataclasses.asdict(event)
    if isinstance(event, SubmissionJudged):
        # Complexities exceed 2⁵³, and most readers of JSON take numbers for floats.
        complexity = None if event.complexity is None else str(event.complexity)
        facts |= {"record": str(event.record), "complexity": complexity}
    return facts
