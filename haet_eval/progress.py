"""The events of an evaluation for its observer. The core never imports the terminal library."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

ReportValue: TypeAlias = int | float | str
"""A value given to `task.report`. A number that is not finite is a text: `nan`, `inf` or `-inf`."""


def not_finite(values: Mapping[str, ReportValue]) -> tuple[str, str] | None:
    """The name and the value of the first that is not a number, or of a loss that is infinite."""
    for name, value in values.items():
        # Other infinite values can be right, as the best value so far before there is one.
        if value == "nan" or (value in ("inf", "-inf") and "loss" in name.casefold()):
            return name, str(value)
    return None


@dataclass(frozen=True, slots=True)
class Tick:
    """A look at a running stage. Times in seconds; `budget_seconds` is None if the stage has no budget.

    `operations` are those counted so far; None without a count. `share` is the part of the stage that is
    done, and `seconds_left` the time that remains, both by the submission's reports; None if unknown.
    """

    stage: str
    elapsed_seconds: float
    budget_seconds: float | None
    operations: int | None
    share: float | None = None
    seconds_left: float | None = None


class Observer(Protocol):
    """Receives events of one evaluation, always from one thread at a time."""

    def stage(self, name: str, detail: str = "") -> None:
        """A stage begins: `unpack`, `start`, `catch up`, `train`, `predict`, `score` or `record`."""

    def tick(self, tick: Tick) -> None:
        """The running stage is alive; comes a few times a second."""

    def report(self, values: Mapping[str, ReportValue]) -> None:
        """The submission called `task.report`. Values are untrusted text."""

    def transfer(self, what: str, done_bytes: int, total_bytes: int | None) -> None:
        """A download or an upload makes progress."""

    def note(self, text: str) -> None:
        """A note for the user."""


class Silent:
    """An observer that ignores all events."""

    def stage(self, name: str, detail: str = "") -> None: ...
    def tick(self, tick: Tick) -> None: ...
    def report(self, values: Mapping[str, ReportValue]) -> None: ...
    def transfer(self, what: str, done_bytes: int, total_bytes: int | None) -> None: ...
    def note(self, text: str) -> None: ...
