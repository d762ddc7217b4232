"""The events of a batch for its watcher. A submission is named by a label: its path, as the user gave it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from haet_eval.batch.plan import SubmissionState
from haet_eval.errors import Verdict
from haet_eval.progress import Tick


@dataclass(frozen=True, slots=True)
class Planned:
    """A submission is on the list. `detail` is as in its item of the plan."""

    submission: str
    seed: int
    state: SubmissionState
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run begins, or waits for a free place; `attempt` counts from 1."""

    submission: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Moved:
    """A run came to a stage on this node. If there is a tick, the run was in that stage already."""

    submission: str
    node: str
    stage: str
    tick: Tick | None = None


@dataclass(frozen=True, slots=True)
class Retried:
    """A run failed on our side and will be made again."""

    submission: str
    attempt: int
    wait_seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class SubmissionJudged:
    """A submission was judged; `record` is the file of its record."""

    submission: str
    verdict: Verdict
    record_id: str
    record: Path
    complexity: int | None
    accuracy: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A submission could not be judged, and this batch will not try again."""

    submission: str
    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class NotStored(GivenUp):
    """A submission was judged, but the results did not take its record, which is kept elsewhere."""


@dataclass(frozen=True, slots=True)
class Noted:
    """A note for the user."""

    text: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A check of an entry was made; `submission` names the entry and the check."""

    submission: str
    held: bool
    detail: str


Event: TypeAlias = Planned | RunStarted | Moved | Retried | SubmissionJudged | GivenUp | Noted | Checked


class Watcher(Protocol):
    """Receives the events of a batch, from one thread at a time."""

    def tell(self, event: Event) -> None:
        """Receive one event."""
