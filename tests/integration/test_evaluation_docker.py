"""Whole evaluations in the real containers: the same count as outside, and nothing left behind."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import docker
import pytest

from haet_eval.errors import EnvironmentProblem, Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request, WrittenRecord
from haet_eval.record import from_json
from haet_eval.runtimes.docker import leftovers
from haet_eval.runtimes.docker.engine import remove_container
from haet_eval.runtimes.leftovers import remove_leftovers
from tests.fixtures.submissions import write_competition, write_submission

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("sandbox_image")]

LINEAR = Path(__file__).parents[1] / "fixtures" / "linear"
CONVOLUTIONAL = Path(__file__).parents[2] / "submissions" / "digits-cnn"
FOREVER = "def train(task):\n    print('started', flush=True)\n    while True: task.images.float().mean()"


def judge(submission: Path, results: Path, sandbox: str, competition: Path | None = None) -> WrittenRecord:
    return evaluate(
        Request(
            submission,
            data_dir=results / "data",
            results=results,
            competition=str(competition) if competition else None,
            sandbox="docker" if sandbox == "docker" else "process",
        )
    )


def containers() -> list[str]:
    client = docker.from_env()
    try:
        return [container.name for container in client.containers.list(all=True)]
    finally:
        client.close()


def test_the_record_names_the_python_of_the_container(tmp_path: Path) -> None:
    code = "import platform\n\ndef train(task):\n    print(platform.python_version())\n    return Linear()"
    record = judge(write_submission(tmp_path / "submission", code), tmp_path / "results", "docker").record
    assert record.environment.python == record.log.head.strip()


@pytest.mark.parametrize("submission", [LINEAR, CONVOLUTIONAL], ids=lambda path: path.name)
def test_containers_and_local_processes_count_alike(tmp_path: Path, submission: Path) -> None:
    before = containers()
    inside, local = (judge(submission, tmp_path / kind, kind).record for kind in ("docker", "process"))
    assert inside.status == local.status
    assert inside.training is not None
    assert local.training is not None
    assert inside.training.operations == local.training.operations
    assert inside.training.histogram == local.training.histogram
    assert inside.training.parameters == local.training.parameters
    assert inside.training.memory is not None
    assert inside.training.memory == local.training.memory
    assert inside.training.precision == local.training.precision
    assert inside.training.bytes_moved == local.training.bytes_moved
    assert inside.environment.image_digest is not None
    assert inside.environment.image_digest.startswith("sha256:")
    assert containers() == before


LIMITS = {
    "memory in the executor": (
        "def train(task):\n    many = [torch.ones(50_000_000) for _ in range(100)]\n    many[9].sum().item()",
        Verdict.LIMIT_MEMORY,
        {"memory_bytes": 1_500_000_000},
    ),
    "memory in the submission": (
        "def train(task):\n    kept = [bytearray(50_000_000) for _ in range(1000)]",
        Verdict.LIMIT_MEMORY,
        {"memory_bytes": 1_500_000_000},
    ),
    "processor time": (
        "def train(task):\n    while True: pass",
        Verdict.LIMIT_CPU,
        {"submission_cpu_seconds": 6},
    ),
    "time": (FOREVER, Verdict.LIMIT_TIME, {"wall_seconds": 3}),
    "processes": (
        "def train(task):\n    import os\n    while True: os.fork() or __import__('time').sleep(60)",
        Verdict.LIMIT_PROCESSES,
        {"processes": 40},
    ),
}


@pytest.mark.parametrize(("code", "verdict", "budget"), LIMITS.values(), ids=LIMITS)
def test_a_limit_of_the_container_ends_the_run_with_its_verdict(
    tmp_path: Path, code: str, verdict: Verdict, budget: dict[str, int]
) -> None:
    before = containers()
    rules = write_competition(tmp_path / "rules.toml", **budget)
    submission = write_submission(tmp_path / "submission", code)
    record = judge(submission, tmp_path / "results", "docker", rules).record
    assert record.status.verdict is verdict, record.status.reason
    assert containers() == before


def stop_an_evaluator(results: Path, number: signal.Signals) -> None:
    """Start an evaluation that would not end, and stop it by a signal when its containers run."""
    submission = write_submission(results.parent / "submission", FOREVER)
    command = [sys.executable, "-m", "haet_eval.cli.main", str(submission), "--results", str(results)]
    before = containers()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as evaluator:
        deadline = time.monotonic() + 120
        while len(containers()) < len(before) + 2:
            assert evaluator.poll() is None, "it ended before its containers ran"
            assert time.monotonic() < deadline
            time.sleep(0.2)
        time.sleep(3)
        evaluator.send_signal(number)
        evaluator.wait(timeout=60)
    assert evaluator.returncode == (130 if number != signal.SIGKILL else -signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_stopping_the_evaluator_leaves_no_container_and_no_half_record(
    tmp_path: Path, number: signal.Signals
) -> None:
    results = tmp_path / "results"
    before = containers()
    stop_an_evaluator(results, number)
    remove_leftovers()
    assert containers() == before
    records = [from_json(path.read_bytes()) for path in results.glob("*.json")]
    told = [] if number == signal.SIGKILL else [Verdict.INTERRUPTED]
    assert [record.status.verdict for record in records] == told


def test_a_container_that_cannot_be_removed_keeps_no_other_one_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = containers()
    stop_an_evaluator(tmp_path / "results", signal.SIGKILL)
    stuck: list[str] = []

    def remove_all_but_the_first(api: object, container_id: str) -> None:
        if not stuck:
            stuck.append(container_id)
            raise EnvironmentProblem("the container is stuck", code="container-stuck")
        remove_container(api, container_id)

    monkeypatch.setattr(leftovers, "remove_container", remove_all_but_the_first)
    removed = remove_leftovers()
    assert removed.engine_problem == "the container is stuck"
    assert len(removed.containers) == 1
    assert len(containers()) == len(before) + 1
    monkeypatch.undo()
    assert remove_leftovers().engine_problem == ""
    assert containers() == before
