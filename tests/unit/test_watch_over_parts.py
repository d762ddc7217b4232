"""The clock of a training that goes on: it begins where the earlier parts have ended."""

import time
from dataclasses import dataclass

import pytest

from haet_eval.errors import SubmissionFailure, Verdict
from haet_eval.evaluation.watch import Spent, Watch
from haet_eval.runtimes.interface import Exit, Role


@dataclass
class Clocked:
    """A worker that has used that much processor time: no process of a test uses a known amount."""

    seconds: float

    def poll(self) -> Exit | None:
        return None

    def kill(self) -> None: ...

    def peak_memory_bytes(self) -> int | None:
        return None

    def cpu_seconds(self) -> float | None:
        return self.seconds

    def processes_exhausted(self) -> bool:
        return False


def test_time_goes_on_from_the_earlier_parts() -> None:
    watch = Watch({0: (Role.SUBMISSION, Clocked(0.0))})
    watch.go_on("train", 100, Spent(wall_seconds=60, paused_seconds=5, cpu_seconds=3))
    assert 60 <= watch.elapsed_seconds < 90
    assert watch.paused_seconds == 5
    assert not watch.is_over()
    watch.go_on("train", 100, Spent(wall_seconds=100, paused_seconds=5, cpu_seconds=3))
    time.sleep(0.001)
    assert watch.is_over()
    with pytest.raises(SubmissionFailure) as caught:
        watch.look()
    assert caught.value.verdict is Verdict.LIMIT_TIME


def test_processor_time_of_the_way_back_is_not_charged() -> None:
    worker = Clocked(7.0)
    watch = Watch({0: (Role.SUBMISSION, worker)})
    watch.cpu_allowance = lambda: 4.0
    watch.go_on("train", 100, Spent(cpu_seconds=3))
    assert watch.submission_cpu_seconds == 3.0
    worker.seconds = 7.5
    assert watch.submission_cpu_seconds == 3.5
    watch.check_cpu()
    worker.seconds = 9.0
    with pytest.raises(SubmissionFailure) as caught:
        watch.check_cpu()
    assert caught.value.verdict is Verdict.LIMIT_CPU


def test_a_way_back_that_takes_too_long_is_called_by_its_name() -> None:
    watch = Watch({0: (Role.SUBMISSION, Clocked(0.0))})
    watch.begin("catch up", -1)
    with pytest.raises(SubmissionFailure, match="way back to the checkpoint took longer"):
        watch.look()
