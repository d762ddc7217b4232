"""What was judged is kept, whatever happens to display and results; a failure of ours is written down."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from haet_eval.dataset import load_dataset
from haet_eval.errors import ExitCode, Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from haet_eval.incidents import incidents
from haet_eval.progress import ReportValue, Tick
from haet_eval.record import Record, artifacts_of, from_json
from haet_eval.store import Store
from tests.fixtures.batches import PATIENCE_SECONDS, Batches, events, wait_for_training
from tests.fixtures.evaluator import FOREVER, QUICK, Evaluator, ended
from tests.fixtures.program import PROGRAM
from tests.fixtures.submissions import write_competition, write_submission
from tests.integration.test_our_faults import SOME_SECONDS, assert_our_fault, worker_of

PROCESS = ("--sandbox", "process")
QUICK_THEN_ENDLESS = """
def train(task):
    print("seed", task.seed)
    x = torch.ones(1)
    while task.seed:
        x = x * 1
    return Linear()
"""
FAILS_THEN_ENDLESS = """
def train(task):
    x = torch.ones(1)
    while task.seed:
        x = x * 1
    raise ValueError("no")
"""


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    return write_submission(tmp_path / "quick", QUICK)


def only_record(results: Path) -> tuple[Path, Record]:
    """The record, with all of its artefacts, unranked as every stored one."""
    (path,) = results.glob("*.json")
    record = from_json(path.read_bytes())
    assert record.rank is None
    for name, artifact in artifacts_of(record):
        assert Store(results).read_artifact(artifact) is not None, name
    return path, record


# The display.

BROKEN = {  # by the shell, and whether stdout is
    "stderr is full": ("2>/dev/full", False),
    "stderr is closed": ("2>&-", False),
    "the reader of stderr is gone": ("2>&1 >/dev/null | true", False),
    "stdout is full": (">/dev/full", True),
    "stdout is closed": (">&-", True),
    "the reader of stdout is gone": ("| true", True),
    "both are full": (">/dev/full 2>&1", True),
    "both are closed": (">&- 2>&-", True),
    "all three are closed": ("<&- >&- 2>&-", True),
    "the reader of both is gone": ("2>&1 | true", True),
}


@pytest.mark.parametrize(("redirection", "undelivered"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_broken_display_costs_no_record(
    evaluator: Evaluator, quick: Path, redirection: str, undelivered: bool, form: str
) -> None:
    status = redirected(evaluator, quick, redirection, *(["--json"] if form == "json" else []))
    _, record = only_record(evaluator.results)
    assert record.status.verdict is Verdict.BELOW_THRESHOLD
    assert status == (ExitCode.ENVIRONMENT if undelivered and form == "json" else ExitCode.NOT_QUALIFIED)


@pytest.mark.parametrize("redirection", [">/dev/full", "| true", "2>&1 | true"])
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_full_check_evaluates_without_a_display(
    evaluator: Evaluator, quick: Path, redirection: str, form: str
) -> None:
    evaluator.program = (*PROGRAM, "check")
    status = redirected(evaluator, quick, redirection, "--full", *(["--json"] if form == "json" else []))
    only_record(evaluator.results)
    assert status == (ExitCode.ENVIRONMENT if form == "json" else ExitCode.NOT_QUALIFIED)


def redirected(evaluator: Evaluator, submission: Path, redirection: str, *options: str) -> int:
    """The exit status of an evaluation whose display the shell has redirected."""
    command = shlex.join(evaluator.command(submission, *PROCESS, *options))
    redirected, pipe, reader = redirection.partition("|")
    script = f"{{ {command} {redirected}; echo $? >status; }} {pipe} {reader}"
    subprocess.run(["bash", "-c", script], cwd=evaluator.folder, env=evaluator.environment(), check=True)
    return int((evaluator.folder / "status").read_text())


def test_a_result_that_cannot_be_delivered_is_named_on_stderr(evaluator: Evaluator, quick: Path) -> None:
    command = evaluator.command(quick, *PROCESS, "--json")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=evaluator.folder,
            env=evaluator.environment(),
        )
    path, _ = only_record(evaluator.results)
    assert done.returncode == ExitCode.ENVIRONMENT
    assert done.stderr.splitlines()[-1] == (
        f"The result could not be printed: No space left on device. Its record is {path}"
    )


def test_a_check_whose_reader_leaves_names_the_record_of_its_evaluation(
    evaluator: Evaluator, quick: Path
) -> None:
    command = [*evaluator.program, "check", str(quick), "--full", "--seconds", "0.5"]
    folders = ("--results", str(evaluator.results), "--data-dir", str(evaluator.folder / "data"))
    with evaluator.start([*command, *folders]) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        # The check has no such stage: its lines are printed, and the evaluation has begun.
        assert any(line.startswith("unpack") for line in program.stderr)
        program.stdout.close()
        told = program.stderr.read()
    path, _ = only_record(evaluator.results)
    assert f"The result could not be printed: Broken pipe. Its record is {path}" in told


def test_a_signal_ends_a_program_whose_messages_nobody_reads(evaluator: Evaluator, quick: Path) -> None:
    assert evaluator.run(quick, *PROCESS).returncode == ExitCode.NOT_QUALIFIED
    page = evaluator.folder / "page.html"
    command = [*evaluator.program, "leaderboard", str(evaluator.results), "--html", str(page)]
    with (
        full_pipe() as writer,
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=writer) as program,
    ):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not page.exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        # The message on the page is what it waits with, as every program does.
        with suppress(subprocess.TimeoutExpired):
            program.wait(1)
        program.terminate()
        assert program.wait(PATIENCE_SECONDS) == ExitCode.INTERRUPTED


@contextmanager
def full_pipe() -> Iterator[int]:
    """A pipe as a pager leaves it that shows its first page: it is full, and nobody reads."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    os.set_blocking(writer, True)
    try:
        yield writer
    finally:
        os.close(writer)
        os.close(reader)


def test_an_evaluation_goes_on_although_nobody_reads_what_it_says(evaluator: Evaluator, quick: Path) -> None:
    with full_pipe() as pipe:
        done = subprocess.run(
            evaluator.command(quick, *PROCESS),
            stdout=subprocess.DEVNULL,
            stderr=pipe,
            check=False,
            cwd=evaluator.folder,
            env=evaluator.environment(),
            timeout=PATIENCE_SECONDS,
        )
    assert done.returncode == ExitCode.NOT_QUALIFIED
    only_record(evaluator.results)


@pytest.mark.parametrize("signals", [1, 2])
def test_an_evaluation_can_be_interrupted_although_nobody_reads_what_it_says(
    evaluator: Evaluator, tmp_path: Path, signals: int
) -> None:
    with full_pipe() as pipe:
        endless = write_submission(tmp_path / "endless", FOREVER)
        with evaluator.running(endless, *PROCESS, stderr=pipe) as program:
            for _ in range(signals):
                program.send_signal(signal.SIGINT)
                time.sleep(0.5)
            assert program.wait(PATIENCE_SECONDS) == ExitCode.INTERRUPTED
    if signals == 1:
        only_record(evaluator.results)


class Unwilling:
    """A display that fails at the first event of one kind, as a terminal does that was closed."""

    def __init__(self, fails_at: str) -> None:
        self._fails_at = fails_at

    def _event(self, name: str) -> None:
        if name == self._fails_at:
            raise BrokenPipeError

    def stage(self, name: str, detail: str = "") -> None:
        self._event("stage")

    def tick(self, tick: Tick) -> None:
        self._event("tick")

    def report(self, values: Mapping[str, ReportValue]) -> None:
        self._event("report")

    def transfer(self, what: str, done_bytes: int, total_bytes: int | None) -> None:
        self._event("transfer")

    def note(self, text: str) -> None:
        self._event("note")


@pytest.mark.parametrize("event", ["stage", "tick", "report", "note"])
def test_an_observer_that_cannot_write_ends_no_run(tmp_path: Path, event: str) -> None:
    submission = write_submission(
        tmp_path / "telling", "def train(task):\n    task.report(epoch=1)\n    return Linear()"
    )
    request = Request(submission, tmp_path / "data", tmp_path / "results", sandbox="process", runs=2)
    record = evaluate(request, Unwilling(event)).record
    assert record.status.verdict is Verdict.BELOW_THRESHOLD, record.status.reason
    assert record.reports == ({"epoch": 1},)


def test_a_batch_whose_events_nobody_reads_judges_all_the_same(tmp_path: Path) -> None:
    batches = Batches(tmp_path)
    batches.add("one")
    batches.add("two")
    with subprocess.Popen(
        batches.command("--jobs", "2"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=batches.folder,
        env=batches.environment(),
    ) as program:
        assert program.stdout is not None
        program.stdout.close()
        assert program.stderr is not None
        told = program.stderr.read()
        status = program.wait()
    shutil.rmtree(batches.temporary)
    assert status == ExitCode.ENVIRONMENT, told
    assert "Not all could be printed: Broken pipe. The records are in results" in told
    assert batches.verdicts() == {"one": ["below_threshold"], "two": ["below_threshold"]}


# The results.


@pytest.mark.parametrize("strange", ["a link to itself", "a link to nothing"])
def test_a_folder_that_cannot_be_listed_costs_no_record(
    evaluator: Evaluator, quick: Path, strange: str
) -> None:
    evaluator.results.mkdir()
    target = "loop.json" if strange == "a link to itself" else "nowhere.json"
    (evaluator.results / "loop.json").symlink_to(target)
    done = evaluator.run(quick, *PROCESS)
    assert done.returncode == ExitCode.NOT_QUALIFIED, done.stderr
    (evaluator.results / "loop.json").unlink()
    only_record(evaluator.results)


def test_results_that_fail_at_the_very_end_are_kept_elsewhere_and_one_command_takes_them_in(
    evaluator: Evaluator, tmp_path: Path
) -> None:
    submission = write_submission(tmp_path / "slow", SOME_SECONDS)
    with evaluator.running(submission, *PROCESS) as program:
        shutil.rmtree(evaluator.results)
        evaluator.results.write_text("a file")
        done = ended(program)
    assert_our_fault(done, "cannot be written", "are kept in", "Then take them in: cp -r ")
    evaluator.results.unlink()
    command = done.stderr.splitlines()[-1].partition("Then take them in: ")[2]
    evaluator.results.mkdir()
    subprocess.run(command, shell=True, check=True)
    only_record(evaluator.results)
    (kept,) = evaluator.temporary.iterdir()
    assert kept.stat().st_mode & 0o077 == 0
    listing = Store(evaluator.results).listing()
    assert [entry.verdict for entry in listing.entries] == [Verdict.BELOW_THRESHOLD]
    assert not listing.problems


def test_a_batch_whose_results_fail_keeps_each_record_elsewhere(tmp_path: Path) -> None:
    batches = Batches(tmp_path)
    batches.add("one", SOME_SECONDS)
    with batches.running("--jobs", "1") as program:
        wait_for_training(batches)
        shutil.rmtree(batches.results)
        batches.results.write_text("a file")
        out, told = program.communicate(timeout=PATIENCE_SECONDS)
    assert program.returncode == ExitCode.ENVIRONMENT, told
    assert "are kept in" in told
    assert "itself failed" not in told
    assert [line["event"] for line in events(out)].count("started") == 1, "it was judged: not to be repeated"
    (kept,) = batches.temporary.glob("haet-eval.kept-*")
    batches.results.unlink()
    shutil.move(kept, batches.results)
    assert batches.verdicts() == {"one": ["below_threshold"]}
    shutil.rmtree(batches.temporary)


# Our failures.


def test_an_audit_that_fails_in_an_unforeseen_way_leaves_the_run_that_it_was_to_audit(
    tmp_path: Path, quick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_dataset("digits", tmp_path)  # its package needs what is missing afterwards
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    request = Request(quick, tmp_path, tmp_path / "results", sandbox="process", split_seed=1)
    record = evaluate(request).record
    assert record.status.verdict is Verdict.BELOW_THRESHOLD
    assert record.audit is None
    only_record(tmp_path / "results")


def fail_in_the_second_run(
    evaluator: Evaluator, submission: Path, *options: str
) -> subprocess.CompletedProcess[str]:
    with evaluator.running(submission, *options) as program:
        assert program.stderr is not None
        for line in ("run 2 of 2", "train: a test"):
            while not program.stderr.readline().startswith(line):
                assert program.poll() is None
        time.sleep(1)
        worker_of(program, "executor").kill()
        done = ended(program)
    assert_our_fault(done, "the executor was killed")
    return done


def test_a_fault_of_ours_in_a_later_run_leaves_the_earlier_ones_and_the_retry_goes_on(
    evaluator: Evaluator, tmp_path: Path
) -> None:
    submission = write_submission(tmp_path / "two", QUICK_THEN_ENDLESS)
    rules = write_competition(tmp_path / "rules.toml", wall_seconds=5)
    options = (*PROCESS, "--runs", "2", "--competition", str(rules))
    fail_in_the_second_run(evaluator, submission, *options)
    assert not list(evaluator.results.glob("*.json"))
    again = evaluator.run(submission, *options)
    assert again.returncode == ExitCode.LIMIT, again.stderr
    assert "run 1 of 2, seed 0: it is over, and was kept" in again.stderr
    assert again.stderr.splitlines().count("train: a test") == 1, again.stderr
    _, record = only_record(evaluator.results)
    assert record.runs is not None
    verdicts = [run.status.verdict for run in record.runs]
    assert verdicts == [Verdict.BELOW_THRESHOLD, Verdict.LIMIT_TIME]
    assert record.runs[0].log.head == "seed 0\n"
    assert {path.name for path in evaluator.results.iterdir() if path.is_dir()} == {"artifacts", "incidents"}
    once_more = evaluator.run(submission, *options)
    assert "was kept" not in once_more.stderr


def test_two_faults_at_once_leave_the_earlier_runs_elsewhere_and_the_retry_goes_on(
    evaluator: Evaluator, tmp_path: Path
) -> None:
    submission = write_submission(tmp_path / "two", QUICK_THEN_ENDLESS)
    rules = write_competition(tmp_path / "rules.toml", wall_seconds=10)
    options = (*PROCESS, "--runs", "2", "--competition", str(rules))
    evaluator.results.mkdir()
    in_the_way = evaluator.results / ".haet-runs"
    in_the_way.write_text("a file")
    done = fail_in_the_second_run(evaluator, submission, *options)
    (kept,) = evaluator.temporary.glob("haet-eval.kept-*")
    assert f"they (1) are kept in {kept} [worker-ended]" in done.stderr
    in_the_way.unlink()
    (line,) = (line for line in done.stderr.splitlines() if "cp -r " in line)
    subprocess.run(shlex.split(line[line.index("cp -r ") :]), check=True)
    again = evaluator.run(submission, *options)
    assert "run 1 of 2, seed 0: it is over, and was kept" in again.stderr
    only_record(evaluator.results)


def test_a_retry_with_another_pytorch_makes_every_run_again(evaluator: Evaluator, tmp_path: Path) -> None:
    """Its runs would otherwise be of two programs, in a record that names one."""
    submission = write_submission(tmp_path / "two", QUICK_THEN_ENDLESS)
    rules = write_competition(tmp_path / "rules.toml", wall_seconds=5)
    options = (*PROCESS, "--runs", "2", "--competition", str(rules))
    fail_in_the_second_run(evaluator, submission, *options)
    facts = tmp_path / "newer" / "torch-99.dist-info" / "METADATA"
    facts.parent.mkdir(parents=True)
    facts.write_text("Metadata-Version: 2.1\nName: torch\nVersion: 99\n")
    again = evaluator.run(submission, *options, PYTHONPATH=str(facts.parents[1]))
    assert again.returncode == ExitCode.LIMIT, again.stderr
    assert "was kept" not in again.stderr
    assert again.stderr.splitlines().count("train: a test") == 2, again.stderr


def test_a_retry_that_says_when_the_entry_came_is_believed_although_a_run_was_kept(
    evaluator: Evaluator, tmp_path: Path
) -> None:
    """The record shows the first run that failed, which is the kept one."""
    submission = write_submission(tmp_path / "two", FAILS_THEN_ENDLESS)
    rules = write_competition(tmp_path / "rules.toml", wall_seconds=5)
    options = (*PROCESS, "--runs", "2", "--competition", str(rules))
    fail_in_the_second_run(evaluator, submission, *options)
    again = evaluator.run(submission, *options, "--received", "2026-05-01T12:00:00Z")
    assert "run 1 of 2, seed 0: it is over, and was kept" in again.stderr
    _, record = only_record(evaluator.results)
    assert record.status.verdict is Verdict.FAILED
    assert record.submission.received_at == datetime(2026, 5, 1, 12, tzinfo=UTC)


def test_a_local_process_that_someone_killed_judges_nobody(evaluator: Evaluator, tmp_path: Path) -> None:
    submission = write_submission(tmp_path / "endless", "print('hello')\n" + FOREVER)
    with evaluator.running(submission, *PROCESS) as program:
        worker_of(program, "submission").kill()
        done = ended(program)
    assert_our_fault(done, "local processes do not show by whom")
    assert not list(evaluator.results.glob("*.json"))


def test_a_failure_of_ours_leaves_an_incident_that_doctor_lists_and_nobody_ranks(
    evaluator: Evaluator, tmp_path: Path
) -> None:
    submission = write_submission(tmp_path / "endless", "print('hello')\n" + FOREVER)
    with evaluator.running(submission, *PROCESS) as program:
        worker_of(program, "executor").kill()
        done = ended(program)
    assert_our_fault(done, "the executor was killed")
    (path,) = incidents(evaluator.results)
    assert f"What is known of this is in {path}" in done.stderr
    told = json.loads(path.read_bytes())
    assert "the executor was killed" in told["what"]
    assert (told["code"], told["stage"], told["log"]["head"]) == ("worker-ended", "train", "hello\n")
    assert {"haet_eval", "torch", "python", "platform"} <= told.keys()
    listing = Store(evaluator.results).listing()
    assert (listing.entries, listing.problems) == ([], ())
    command = [sys.executable, "-m", "haet_eval.cli.main", "doctor", "--quick", "--json"]
    looked = subprocess.run(
        [*command, "--results", str(evaluator.results)],
        capture_output=True,
        check=False,
        env=os.environ | {"DOCKER_HOST": "unix:///nowhere/docker.sock"},
    )
    rows = {row["name"]: row for row in json.loads(looked.stdout)["findings"]}
    assert rows["incidents"]["state"] == "warning"
    said = rows["incidents"]["message"]
    assert "failed on our side: 1; the last: the executor was killed" in said
    shutil.copy(path, evaluator.results / "copied.json")
    listing = Store(evaluator.results).listing()
    assert (listing.entries, listing.problems) == ([], ())


def test_a_rerun_that_was_killed_leaves_nothing_that_is_not_removed(
    evaluator: Evaluator, quick: Path
) -> None:
    evaluator.run(quick, *PROCESS)
    path, _ = only_record(evaluator.results)
    command = [*evaluator.program, "verify", str(path), "--rerun", "--submission", str(quick)]
    with subprocess.Popen(command, env=evaluator.environment()) as rerun:
        while not any(evaluator.temporary.glob("haet-eval[.-]r*")):
            assert rerun.poll() is None
            time.sleep(0.01)
        rerun.kill()
    # Whatever lay beside the folders of runs would stay for ever: its owner is dead.
    clean = [*evaluator.program, "clean", "--results", str(evaluator.results)]
    subprocess.run(clean, env=evaluator.environment(), check=True)
    assert not list(evaluator.temporary.iterdir())
