"""What whoever starts a long training sees of it, and what becomes of it when the terminal is closed."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from haet_eval.errors import Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from haet_eval.progress import Silent, Tick
from haet_eval.record import from_json
from tests.fixtures.evaluator import PATIENCE_SECONDS, Evaluator
from tests.fixtures.submissions import write_submission

EPOCHS_WITH_PAUSES = """
import time

def train(task):
    for epoch in range(4):
        time.sleep(1.5)
        task.report(epoch=epoch + 1, epochs=4)
    time.sleep(1.5)
    return Linear()
"""


class Watching(Silent):
    """Keeps what the ticks of the training show."""

    def __init__(self) -> None:
        self.ticks: list[Tick] = []

    def tick(self, tick: Tick) -> None:
        self.ticks.append(tick)


def test_a_training_that_reports_epochs_shows_its_percentage_and_the_time_left(tmp_path: Path) -> None:
    submission = write_submission(tmp_path / "mine", EPOCHS_WITH_PAUSES)
    watching = Watching()
    outcome = evaluate(
        Request(submission, tmp_path / "data", tmp_path / "results", sandbox="process"), watching
    )
    assert outcome.record.status.verdict is Verdict.BELOW_THRESHOLD
    training = [tick for tick in watching.ticks if tick.stage == "train"]
    shares = [tick.share for tick in training if tick.share is not None]
    assert shares == sorted(shares)
    assert set(shares) <= {0.25, 0.5, 0.75, 1.0}
    assert shares[-1] == 1.0
    assert training[0].share is None
    assert any(tick.seconds_left for tick in training if tick.share and tick.share < 1)
    assert all(tick.seconds_left is None for tick in training if tick.share in (None, 1.0))
    prediction = [tick for tick in watching.ticks if tick.stage == "predict"]
    assert all(tick.share is None for tick in prediction)


@pytest.mark.slow
def test_under_nohup_a_training_outlives_its_terminal(evaluator: Evaluator, tmp_path: Path) -> None:
    submission = write_submission(tmp_path / "mine", EPOCHS_WITH_PAUSES)
    command = ["nohup", *evaluator.command(submission, "--sandbox", "process")]
    terminal = pexpect.spawn(
        command[0], command[1:], cwd=str(tmp_path), env={**evaluator.environment(), "TERM": "xterm"}
    )
    log = tmp_path / "nohup.out"
    _wait_until(lambda: log.exists() and "train:" in log.read_text("utf-8"))
    os.close(terminal.child_fd)  # the terminal is gone: its processes are sent SIGHUP
    _wait_until(lambda: bool(list(evaluator.results.glob("*.json"))))
    (path,) = evaluator.results.glob("*.json")
    assert from_json(path.read_bytes()).status.verdict is Verdict.BELOW_THRESHOLD
    terminal.wait()
    assert "verdict       below_threshold" in log.read_text("utf-8")
    assert not list(evaluator.temporary.iterdir())


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)
