import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from haet_eval.batch import pool
from haet_eval.batch.pool import ProcessDied, ProcessPool
from haet_eval.errors import EnvironmentProblem, UsageProblem
from tests.fixtures.few_processes import few_processes


def identity(value: int) -> tuple[int, int]:
    pool.send(("working on", value))
    return value, os.getpid()


def die(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(60)


def fail() -> None:
    raise EnvironmentProblem("no disk", "buy one", code="disk-full")


def variable() -> str:
    time.sleep(0.2)  # both calls shall be under way at once
    return os.environ["CUDA_VISIBLE_DEVICES"]


def sleep_and_tidy(path: Path) -> None:
    try:
        path.write_text("here")
        time.sleep(60)
    finally:
        path.unlink()


def unpicklable() -> object:
    return lambda: 1


class TwoArguments(Exception):
    """Pickle makes it again with one argument, and fails."""

    def __init__(self, what: str, number: int) -> None:
        super().__init__(what)
        self.number = number


def fail_with_a_lock() -> None:
    error = ValueError("no disk")
    error.lock = threading.Lock()  # type: ignore[attr-defined]
    raise error


def fail_with_arguments() -> None:
    raise TwoArguments("no disk", 1)


def hang(path: Path) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    path.write_text("here")
    time.sleep(600)


def test_calls_give_results_and_messages_and_processes_are_used_again() -> None:
    messages: list[object] = []
    with ProcessPool(1, messages.append) as executor:
        results = [executor.submit(identity, value).result() for value in range(3)]
    assert [value for value, _ in results] == [0, 1, 2]
    assert len({process for _, process in results}) == 1
    assert messages == [("working on", value) for value in range(3)]


def test_a_killed_process_fails_its_call_only() -> None:
    with ProcessPool(2, print) as executor:
        futures = [executor.submit(identity, value) for value in range(2)]
        dying = executor.submit(die, signal.SIGKILL)
        futures += [executor.submit(identity, value) for value in range(2, 6)]
        assert sorted(future.result()[0] for future in futures) == list(range(6))
        with pytest.raises(ProcessDied, match="SIGKILL"):
            dying.result()
        assert executor.submit(identity, 7).result()[0] == 7


def test_errors_arrive_whole() -> None:
    with ProcessPool(1, print) as executor:
        with pytest.raises(EnvironmentProblem, match="no disk") as caught:
            executor.submit(fail).result()
        assert caught.value.hint == "buy one"
        assert executor.submit(identity, 1).result()[0] == 1


def test_each_process_has_its_own_variables() -> None:
    turns = [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1"}]
    with ProcessPool(2, print, turns) as executor:
        futures = [executor.submit(variable) for _ in range(2)]
        assert sorted(future.result() for future in futures) == ["0", "1"]


def test_stopping_lets_a_call_tidy_up(tmp_path: Path) -> None:
    sign = tmp_path / "sign"
    executor = ProcessPool(1, print)
    running, queued = executor.submit(sleep_and_tidy, sign), executor.submit(identity, 1)
    while not sign.exists():
        time.sleep(0.01)
    executor.shutdown(cancel_futures=True)
    assert not sign.exists()
    assert queued.cancelled()
    with pytest.raises(ProcessDied):
        running.result()


def test_what_cannot_be_sent_fails_its_call_only() -> None:
    with ProcessPool(1, print) as executor:
        with pytest.raises(Exception, match=r"pickle|local object"):
            executor.submit(unpicklable).result()
        with pytest.raises(Exception, match=r"pickle|local object"):
            executor.submit(identity, lambda: 1).result()  # type: ignore[arg-type]
        assert executor.submit(identity, 1).result()[0] == 1


@pytest.mark.parametrize("fault", [ValueError("no reader"), BrokenPipeError("no reader")], ids=repr)
def test_a_message_that_is_not_received_costs_its_call_only(fault: Exception) -> None:
    def receive(message: tuple[str, int]) -> None:
        if message[1] == 0:
            raise fault

    with ProcessPool(1, receive) as executor:
        with pytest.raises(type(fault), match="no reader"):
            executor.submit(identity, 0).result()
        assert executor.submit(identity, 1).result()[0] == 1


@pytest.mark.parametrize("fail", [fail_with_a_lock, fail_with_arguments])
def test_an_error_that_cannot_be_sent_arrives_as_its_text(fail: Callable[[], None]) -> None:
    with ProcessPool(1, print) as executor:
        process = executor.submit(identity, 1).result()[1]
        with pytest.raises(RuntimeError, match="no disk"):
            executor.submit(fail).result()
        assert executor.submit(identity, 1).result()[1] == process


def test_hung_processes_are_killed_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_END_SECONDS", 0.5)
    executor = ProcessPool(3, print)
    signs = [tmp_path / name for name in "abc"]
    hung = [executor.submit(hang, sign) for sign in signs]
    while not all(sign.exists() for sign in signs):
        time.sleep(0.01)
    executor.shutdown(cancel_futures=True)
    for call in hung:
        with pytest.raises(ProcessDied, match="SIGKILL"):
            call.result()


def test_usage_problems_stay_what_they_are() -> None:
    with ProcessPool(1, print) as executor, pytest.raises(UsageProblem):
        executor.submit(_misuse).result()


def _misuse() -> None:
    raise UsageProblem("wrong", code="wrong")


REFUSED = """
import os, sys
from pathlib import Path
from haet_eval.batch.pool import ProcessPool
from haet_eval.errors import EnvironmentProblem

if __name__ == "__main__":
    Path(sys.argv[1]).write_text(str(os.getpid()))
    with ProcessPool(1, print) as pool:
        problem = pool.submit(abs, -1).exception()
    assert isinstance(problem, EnvironmentProblem), repr(problem)
    print(problem.code, problem.message)
"""


def test_a_refused_process_fails_its_call_and_the_pool_still_ends(tmp_path: Path) -> None:
    program = tmp_path / "refused.py"
    program.write_text(REFUSED)
    with few_processes(2) as group:
        done = subprocess.run(
            [sys.executable, program, group / "cgroup.procs"], capture_output=True, text=True, check=False
        )
    assert "own-limit this machine starts no more processes" in done.stdout, done.stderr
    assert done.returncode == 0
