"""Ctrl-C, once and twice, and what the system sends when it wants a program to end. With real signals."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from haet_eval.errors import ExitCode, Verdict
from haet_eval.ranking import rank
from haet_eval.record import Record, from_json
from haet_eval.store import Store
from tests.fixtures.evaluator import FOREVER, PATIENCE_SECONDS, QUICK, Evaluator, containers_of, ended
from tests.fixtures.submissions import write_submission

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
SIZE, PRODUCTS = 700, 4000
FOREVER_AT_PREDICTION = """
class Endless(Linear):
    def forward(self, images):
        while True: images = images * 1

def train(task):
    return Endless()
"""
FAR_AHEAD = f"""
def train(task):
    x = torch.eye({SIZE})
    for _ in range({PRODUCTS}):
        x = x @ x
    task.report(all_sent=1)
    return Linear(float(x.sum()))
"""
ONE_QUICK_RUN = """
def train(task):
    if task.seed == 0:
        return Linear()
    x = torch.ones(1)
    while True: x = x * 1
"""


INTERRUPTED_AT_A_STAGE = """
import os, signal, sys
from pathlib import Path
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from haet_eval.interruption import listening
from haet_eval.progress import Silent

class Interrupting(Silent):
    def stage(self, name, detail=""):
        if name == sys.argv[3]:
            os.kill(os.getpid(), signal.SIGTERM)

with listening(lambda: None):
    evaluate(Request(Path(sys.argv[1]), Path("data"), Path(sys.argv[2]), sandbox="process"), Interrupting())
"""


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    return write_submission(tmp_path / "endless", FOREVER)


def only_record(evaluator: Evaluator) -> Record:
    """What was written, after a look that nothing else was."""
    assert not list(evaluator.results.rglob("*.tmp"))
    assert not list(evaluator.temporary.iterdir())
    (path,) = evaluator.results.glob("*.json")
    return from_json(path.read_bytes())


@pytest.mark.parametrize("number", SIGNALS)
def test_one_signal_ends_it_in_order_with_a_record(
    evaluator: Evaluator, endless: Path, number: signal.Signals
) -> None:
    with evaluator.running(endless, "--sandbox", "process") as program:
        workers = psutil.Process(program.pid).children(recursive=True)
        program.send_signal(number)
        done = ended(program)
    assert done.returncode == ExitCode.INTERRUPTED, done.stderr
    assert "Interrupted: stopping the workers." in done.stderr
    assert "Traceback" not in done.stderr
    assert not any(worker.is_running() for worker in workers)
    record = only_record(evaluator)
    assert record.status.verdict is Verdict.INTERRUPTED
    assert record.status.stage == "train"
    assert number.name in record.status.reason
    assert record.training is not None
    assert record.training.operations.total > 0
    assert record.evaluation is None
    assert record.rank is None
    assert "verdict       interrupted" in done.stdout


def test_the_trace_of_an_interrupted_run_gives_its_count(evaluator: Evaluator, endless: Path) -> None:
    with evaluator.running(endless, "--sandbox", "process") as program:
        program.send_signal(signal.SIGINT)
        ended(program)
    (path,) = evaluator.results.glob("*.json")
    done = evaluator.run(Path("verify"), str(path))
    assert done.returncode == ExitCode.QUALIFIED, done.stdout + done.stderr
    assert "holds       count" in done.stdout
    assert "the evaluation was interrupted" in done.stdout


@pytest.mark.parametrize("stage", ["unpack", "start", "train", "predict", "score", "record"])
def test_a_record_of_an_interruption_at_any_stage_is_not_contradicted(
    evaluator: Evaluator, tmp_path: Path, stage: str
) -> None:
    submission = write_submission(tmp_path / "quick", QUICK)
    command = [sys.executable, "-c", INTERRUPTED_AT_A_STAGE, str(submission), str(evaluator.results), stage]
    subprocess.run(command, check=True, cwd=tmp_path, env=evaluator.environment())
    record = only_record(evaluator)
    if stage == "unpack":  # later ones may be over before anyone looks for a signal
        assert (record.status.verdict, record.status.stage) == (Verdict.INTERRUPTED, "unpack")
    done = evaluator.run(Path("verify"), str(evaluator.results))
    assert done.returncode == ExitCode.QUALIFIED, done.stdout + done.stderr


def test_calls_that_were_sent_but_not_executed_are_not_counted(evaluator: Evaluator, tmp_path: Path) -> None:
    """The submission has asked for all its products while the executor is at the first ones."""
    submission = write_submission(tmp_path / "ahead", FAR_AHEAD)
    with evaluator.running(submission, "--sandbox", "process") as program:
        assert program.stderr is not None
        for line in program.stderr:
            if "all_sent" in line:
                break
        program.send_signal(signal.SIGINT)
        ended(program)
    record = only_record(evaluator)
    assert record.status.verdict is Verdict.INTERRUPTED
    assert record.training is not None
    price = 2 * SIZE**3 - SIZE**2
    assert 0 < record.training.operations.total < PRODUCTS * price // 2
    assert record.training.operations.total % price < price // 2  # whole products, and the identity
    done = evaluator.run(Path("verify"), *(str(path) for path in evaluator.results.glob("*.json")))
    assert done.returncode == ExitCode.QUALIFIED, done.stdout + done.stderr


def test_an_interrupted_prediction(evaluator: Evaluator, tmp_path: Path) -> None:
    submission = write_submission(tmp_path / "endless", FOREVER_AT_PREDICTION)
    with evaluator.running(submission, "--sandbox", "process", "--json") as program:
        program.send_signal(signal.SIGINT)
        done = ended(program)
    assert done.returncode == ExitCode.INTERRUPTED
    record = only_record(evaluator)
    assert from_json(done.stdout) == record
    assert (record.status.verdict, record.status.stage) == (Verdict.INTERRUPTED, "predict")
    assert record.complexity is not None
    assert record.rank is None


def test_the_second_of_several_runs(evaluator: Evaluator, tmp_path: Path) -> None:
    submission = write_submission(tmp_path / "endless", ONE_QUICK_RUN)
    with evaluator.running(submission, "--sandbox", "process", "--runs", "3") as program:
        assert program.stderr is not None
        while not program.stderr.readline().startswith("run 2 of 3"):
            assert program.poll() is None
        program.send_signal(signal.SIGINT)
        done = ended(program)
    assert done.returncode == ExitCode.INTERRUPTED, done.stderr
    record = only_record(evaluator)
    assert record.status.verdict is Verdict.INTERRUPTED
    assert record.submission.name == "a test"
    assert record.runs is not None
    assert [run.status.verdict for run in record.runs] == [Verdict.BELOW_THRESHOLD, Verdict.INTERRUPTED]


def test_two_signals_end_it_at_once(evaluator: Evaluator, endless: Path) -> None:
    with evaluator.running(endless, "--sandbox", "process") as program:
        workers = psutil.Process(program.pid).children(recursive=True)
        program.send_signal(signal.SIGSTOP)  # so that both are there when it goes on
        program.send_signal(signal.SIGINT)
        program.send_signal(signal.SIGTERM)
        program.send_signal(signal.SIGCONT)
        done = ended(program)
    assert done.returncode == ExitCode.INTERRUPTED
    assert "Interrupted twice: left at once." in done.stderr
    assert done.stdout == ""
    assert not list(evaluator.results.glob("*.json"))
    _, alive = psutil.wait_procs(workers, timeout=PATIENCE_SECONDS)
    assert not alive
    evaluator.assert_next_run_works()


@pytest.mark.docker
@pytest.mark.usefixtures("sandbox_image")
def test_one_signal_leaves_no_container(evaluator: Evaluator, endless: Path) -> None:
    with evaluator.running(endless) as program:
        assert len(containers_of(evaluator)) == 2
        program.send_signal(signal.SIGINT)
        done = ended(program)
    assert done.returncode == ExitCode.INTERRUPTED, done.stderr
    assert not containers_of(evaluator)
    record = only_record(evaluator)
    assert record.status.verdict is Verdict.INTERRUPTED
    assert not record.official or record.rank is None


@pytest.mark.docker
@pytest.mark.usefixtures("sandbox_image")
def test_what_two_signals_leave_the_next_run_removes(evaluator: Evaluator, endless: Path) -> None:
    with evaluator.running(endless) as program:
        program.send_signal(signal.SIGSTOP)
        program.send_signal(signal.SIGINT)
        program.send_signal(signal.SIGTERM)
        program.send_signal(signal.SIGCONT)
        assert ended(program).returncode == ExitCode.INTERRUPTED
    assert not list(evaluator.results.glob("*.json"))
    evaluator.assert_next_run_works()
    assert not containers_of(evaluator)


def test_it_is_never_ranked(evaluator: Evaluator, endless: Path) -> None:
    with evaluator.running(endless, "--sandbox", "process") as program:
        program.send_signal(signal.SIGINT)
        ended(program)
    entries = Store(evaluator.results).listing().entries
    assert [entry.verdict for entry in entries] == [Verdict.INTERRUPTED]
    assert not rank(entries, unofficial=True)
