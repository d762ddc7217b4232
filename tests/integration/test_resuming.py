"""A training that loses its processes goes on at a checkpoint, and ends in the record of one that did not."""

import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest

from haet_eval.errors import ExitCode, Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from haet_eval.progress import Silent, Tick
from haet_eval.record import Record, from_json
from haet_eval.resumable import RunHome, homes
from haet_eval.store import Store
from haet_eval.submission import load_submission
from tests.fixtures.evaluator import Evaluator, containers_of
from tests.fixtures.submissions import write_competition, write_submission

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "submissions"
START_DOCKER = Path(__file__).parents[2] / "scripts" / "start-docker.sh"
SANDBOXES = [pytest.param("docker", marks=pytest.mark.docker), "process"]
ROLES = ("submission", "executor", "host")
PATIENCE_SECONDS = 600
OF_THE_MACHINE = ("wall_seconds", "submission_cpu_seconds", "peak_memory_bytes", "paused_seconds", "stalls")
BY_A_FILE = """
import os

def train(task):
    x = torch.ones(64, 64)
    hurry = os.path.exists({path!r})
    for step in range(100_000):
        x = x.sin()
        if step % 20 == 0:
            x.sum().item()
        if hurry and step == 50:
            x = x.cos()
        if hurry and step > 400:
            break
    return Linear()
"""
LONG = """
def train(task):
    x = torch.rand(256, 256)
    for step in range(200_000):
        x = (x @ x).sin()
        if step % 20 == 0:
            x.sum().item()  # it waits for the executor, so that a checkpoint is soon reached
    return Linear()
"""


@pytest.fixture(scope="module", params=SANDBOXES)
def undisturbed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Record]]:
    """A sandbox, and the record of the example that ran in it without an interruption or a checkpoint."""
    if request.param == "docker":
        request.getfixturevalue("sandbox_image")
    evaluator = Evaluator(tmp_path_factory.mktemp("undisturbed"))
    done = evaluator.run(EXAMPLES / "digits-cnn", "--sandbox", request.param, "--checkpoint-every", "0")
    assert done.returncode == ExitCode.QUALIFIED, done.stderr
    yield request.param, only_record(evaluator.results)
    shutil.rmtree(evaluator.temporary)


def only_record(results: Path) -> Record:
    (path,) = results.glob("*.json")
    return from_json(path.read_bytes())


def settled(record: Record) -> dict[str, Any]:
    """All that a record says that does not depend on time and memory of the machine."""
    document = record.model_dump(mode="json", exclude={"created_at", "record_id", "integrity"})
    document["training"] = {
        name: value
        for name, value in document["training"].items()
        if name not in (*OF_THE_MACHINE, "resumed")
    }
    return document


@contextmanager
def running(evaluator: Evaluator, command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """The program in the middle of its work; it is killed if the test leaves it running."""
    with evaluator.start(command) as program:
        try:
            yield program
        finally:
            program.kill()


def evaluation(evaluator: Evaluator, submission: Path, *options: str) -> list[str]:
    """The command that evaluates a submission, with a checkpoint every tenth of a second."""
    return evaluator.command(submission, "--checkpoint-every", "0.1", *options)


def resumption(evaluator: Evaluator, name: str) -> list[str]:
    """The command that goes on with a run."""
    return [*evaluator.command(Path("resume"))[:-4], name, "--results", str(evaluator.results)]


def ended(program: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """The program's end, in the form of a run's."""
    stdout, stderr = program.communicate(timeout=PATIENCE_SECONDS)
    return subprocess.CompletedProcess(program.args, program.returncode, stdout, stderr)


def wait_for_checkpoint(program: subprocess.Popen[str], runs: Path, newer_than: str = "") -> RunHome | None:
    """The run once it has a checkpoint with a greater number; None if the program has ended before."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while program.poll() is None:
        for home in homes(runs):
            if home.checkpoints() and home.checkpoints()[0].name > newer_than:
                return home
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return None


def kill(evaluator: Evaluator, program: subprocess.Popen[str], sandbox: str, role: str) -> None:
    """SIGKILL to the program, or to one of its workers."""
    if role == "host":
        program.kill()
    elif sandbox == "process":
        for process in psutil.Process(program.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # it has just ended by itself
                line = process.cmdline()
                if any(part.endswith(f"/{role}.py") for part in line) and "supervisor" not in " ".join(line):
                    process.kill()
    else:
        for container in containers_of(evaluator):
            if f"{role}.py" in str(container.attrs["Config"]):
                with suppress(docker.errors.APIError):  # it has just ended by itself
                    container.kill()


@pytest.mark.parametrize("seed", range(2))
def test_a_run_whose_processes_are_killed_at_random_ends_in_the_same_record(
    undisturbed: tuple[str, Record], evaluator: Evaluator, seed: int
) -> None:
    sandbox, expected = undisturbed
    chance, runs = random.Random(seed), evaluator.results / "runs"
    command = evaluation(evaluator, EXAMPLES / "digits-cnn", "--sandbox", sandbox)
    newest = ""
    for role in [*chance.sample(ROLES, len(ROLES)), None]:
        with running(evaluator, command) as program:
            home = wait_for_checkpoint(program, runs, newest) if role else None
            if home and role:
                newest = home.checkpoints()[0].name
                time.sleep(chance.uniform(0, 0.4))
                kill(evaluator, program, sandbox, role)
            done = ended(program)
        if not home or done.returncode in (ExitCode.QUALIFIED, ExitCode.NOT_QUALIFIED):
            break
        command = resumption(evaluator, home.name)
    assert done.returncode == ExitCode.QUALIFIED, done.stderr
    record = only_record(evaluator.results)
    assert settled(record) == settled(expected)
    assert record.training is not None
    assert record.training.resumed is not None
    assert len(record.training.resumed.parts) > 1
    assert record.training.resumed.restarts == 0
    assert not runs.exists()
    verified = evaluator.run(Path("verify"), *map(str, evaluator.results.glob("*.json")))
    assert verified.returncode == ExitCode.QUALIFIED, verified.stdout


@pytest.fixture
def engine() -> Iterator[Callable[[], None]]:
    """A function that kills the machine's Docker engine; the engine is started again after it."""
    if os.environ.get("HAET_MAY_KILL_ENGINE") != "1":
        pytest.skip("it kills the machine's Docker engine, so it runs only with HAET_MAY_KILL_ENGINE=1")

    def kill_and_start() -> None:
        daemons = [process for process in psutil.process_iter() if process.name() == "dockerd"]
        for daemon in daemons:
            daemon.kill()
        psutil.wait_procs(daemons)
        start()

    def start() -> None:
        subprocess.run([START_DOCKER], check=True, capture_output=True)

    yield kill_and_start
    start()


@pytest.mark.parametrize("undisturbed", SANDBOXES[:1], indirect=True)
def test_a_run_whose_engine_is_killed_goes_on_when_the_engine_is_back(
    undisturbed: tuple[str, Record], evaluator: Evaluator, engine: Callable[[], None]
) -> None:
    command = evaluation(evaluator, EXAMPLES / "digits-cnn", "--sandbox", "docker")
    with running(evaluator, command) as program:
        home = wait_for_checkpoint(program, evaluator.results / "runs")
        assert home is not None
        engine()
        done = ended(program)
    assert done.returncode == ExitCode.ENVIRONMENT, done.stderr
    assert "haet-eval resume" in done.stderr
    done = resumed(evaluator, home.name)
    assert done.returncode == ExitCode.QUALIFIED, done.stderr
    record = only_record(evaluator.results)
    assert settled(record) == settled(undisturbed[1])
    assert record.training is not None
    assert record.training.resumed is not None
    assert len(record.training.resumed.parts) == 2


def interrupted(evaluator: Evaluator, submission: Path, *options: str) -> tuple[str, RunHome]:
    """What the program printed that was stopped after a checkpoint, and the run's folder."""
    with running(evaluator, evaluation(evaluator, submission, "--sandbox", "process", *options)) as program:
        home = wait_for_checkpoint(program, evaluator.results / "runs")
        program.send_signal(signal.SIGTERM)
        done = ended(program)
    assert done.returncode == ExitCode.INTERRUPTED, done.stderr
    assert home is not None
    return done.stderr, home


def resumed(evaluator: Evaluator, name: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        resumption(evaluator, name),
        capture_output=True,
        text=True,
        check=False,
        cwd=evaluator.folder,
        env=evaluator.environment(),
    )


def test_an_interrupted_run_says_how_to_go_on_and_its_record_stays(
    evaluator: Evaluator, tmp_path: Path
) -> None:
    rules = write_competition(tmp_path / "rules.toml", wall_seconds=600, messages=10**9)
    submission = write_submission(tmp_path / "long", LONG.replace("200_000", "8_000"))
    told, home = interrupted(evaluator, submission, "--competition", str(rules))
    assert "haet-eval resume" in told
    assert home.name in told
    before = only_record(evaluator.results)
    assert before.status.verdict is Verdict.INTERRUPTED
    shutil.rmtree(submission)  # the run's folder has a copy, and of the rules as well
    rules.unlink()
    done = resumed(evaluator, home.name[:20])
    assert done.returncode == ExitCode.NOT_QUALIFIED, done.stderr
    records = [from_json(path.read_bytes()) for path in evaluator.results.glob("*.json")]
    (after,) = [record for record in records if record.record_id != before.record_id]
    assert len(records) == 2
    assert after.submission == before.submission
    assert after.competition == before.competition
    assert after.status.verdict is Verdict.BELOW_THRESHOLD
    assert not list(homes(evaluator.results / "runs"))
    assert resumed(evaluator, home.name).returncode == ExitCode.USAGE


def test_limits_of_time_hold_over_all_parts(evaluator: Evaluator, tmp_path: Path) -> None:
    rules = write_competition(tmp_path / "rules.toml", wall_seconds=10, messages=10**9)
    submission = write_submission(tmp_path / "long", LONG)
    _, home = interrupted(evaluator, submission, "--competition", str(rules))
    done = resumed(evaluator, home.name)
    assert done.returncode == ExitCode.LIMIT, done.stderr
    records = [from_json(path.read_bytes()) for path in evaluator.results.glob("*.json")]
    (record,) = [one for one in records if one.status.verdict is Verdict.LIMIT_TIME]
    assert record.training is not None
    assert record.training.resumed is not None
    first, second = record.training.resumed.parts
    assert first.wall_seconds > 0
    assert first.wall_seconds + second.wall_seconds == pytest.approx(record.training.wall_seconds)
    assert record.training.wall_seconds < 14
    (path,) = [path for path in evaluator.results.glob("*.json") if record.record_id in path.name]
    verified = evaluator.run(Path("verify"), str(path))
    assert verified.returncode == ExitCode.QUALIFIED, verified.stdout


def test_a_training_that_does_something_else_begins_again_and_the_first_difference_is_named(
    evaluator: Evaluator, tmp_path: Path
) -> None:
    rules = write_competition(tmp_path / "rules.toml", wall_seconds=600, messages=10**9)
    seen = tmp_path / "seen"
    submission = write_submission(tmp_path / "other", BY_A_FILE.format(path=str(seen)))
    _, home = interrupted(evaluator, submission, "--competition", str(rules))
    seen.touch()
    done = resumed(evaluator, home.name)
    assert done.returncode == ExitCode.NOT_QUALIFIED, done.stderr
    assert re.search(r"record \d+ is another one, and was aten.sin.default before", done.stderr)
    assert "submission.py, line" in done.stderr
    assert "it begins from its beginning" in done.stderr
    records = [from_json(path.read_bytes()) for path in evaluator.results.glob("*.json")]
    (record,) = [one for one in records if one.status.verdict is Verdict.BELOW_THRESHOLD]
    assert record.training is not None
    assert record.training.resumed is not None
    assert record.training.resumed.restarts == 1
    assert len(record.training.resumed.parts) == 1


def test_a_run_that_is_under_way_is_not_taken_up_by_another_process(
    evaluator: Evaluator, tmp_path: Path
) -> None:
    rules = write_competition(tmp_path / "rules.toml", wall_seconds=600, messages=10**9)
    submission = write_submission(tmp_path / "long", LONG)
    options = ("--sandbox", "process", "--competition", str(rules))
    with running(evaluator, evaluation(evaluator, submission, *options)) as program:
        home = wait_for_checkpoint(program, evaluator.results / "runs")
        assert home is not None
        done = resumed(evaluator, home.name)
        assert done.returncode == ExitCode.USAGE
        assert "run-busy" in done.stderr
    assert Store(evaluator.results).listing().records == {}


class EndsTheAudit(Silent):
    """Ends the audit with an error when a checkpoint of it is there."""

    def __init__(self, error: type[BaseException], runs: Path) -> None:
        self.error = error
        self.runs = runs
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def tick(self, tick: Tick) -> None:
        if len([home for home in homes(self.runs) if home.checkpoints()]) > 1:
            raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_audit_that_is_cut_short_is_given_up_with_its_checkpoints(
    tmp_path: Path, error: type[BaseException]
) -> None:
    results = tmp_path / "results"
    observer = EndsTheAudit(error, results / "runs")
    request = Request(
        EXAMPLES / "digits-cnn",
        tmp_path,
        results,
        sandbox="process",
        split_seed=1,
        checkpoint_seconds=0.2,
    )
    record = evaluate(request, observer).record
    assert record.status.verdict is Verdict.QUALIFIED, record.status.reason
    assert record.audit is None
    assert any(note.lower().endswith("the record is without it.") for note in observer.notes)
    assert not any("haet-eval resume" in note for note in observer.notes)
    assert not (results / "runs").exists()


class Meddling(Silent):
    """Changes the submission's folder when the training has begun, and looks at what checkpoints keep."""

    def __init__(self, submission: Path, runs: Path) -> None:
        self.submission = submission
        self.runs = runs
        self.kept: set[str] = set()

    def stage(self, name: str, detail: str = "") -> None:
        if name == "train":
            (self.submission / "latest").symlink_to("/nowhere")
            (self.submission / "submission.py").write_text("unfinished(")

    def tick(self, tick: Tick) -> None:
        self.kept |= {load_submission(home.archive).sha256 for home in homes(self.runs) if home.checkpoints()}


def test_a_folder_that_changes_while_it_trains_is_kept_as_it_was_read(tmp_path: Path) -> None:
    submission, results = tmp_path / "entry", tmp_path / "results"
    shutil.copytree(EXAMPLES / "digits-cnn", submission)
    observer = Meddling(submission, results / "runs")
    request = Request(submission, tmp_path, results, sandbox="process", checkpoint_seconds=0.2)
    record = evaluate(request, observer).record
    assert record.status.verdict is Verdict.QUALIFIED, record.status.reason
    assert observer.kept == {record.submission.sha256}
