"""Limits of the shell that are lower than what a worker may use: nothing is started, nobody judged."""

import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from haet_eval.errors import EnvironmentProblem
from haet_eval.runtimes.failures import judge_end
from haet_eval.runtimes.interface import Exit, Role

STARTING = """
import sys
from pathlib import Path
from haet_eval.errors import EnvironmentProblem
from haet_eval.runtimes.interface import Role, WorkerLimits
from haet_eval.runtimes.process import ProcessRuntime
limits = WorkerLimits(memory_bytes=2**30, processes=64, deadline_seconds=3600, cpus=2.0)
mains = {Role.SUBMISSION: [sys.executable, "-c", "import resource as r, sys\\nprint(*map(r.getrlimit,"
    " (r.RLIMIT_AS, r.RLIMIT_DATA, r.RLIMIT_CPU)), file=open(sys.argv[1] + '.limits', 'w'))"]}
with ProcessRuntime(mains=mains) as runtime:
    try:
        worker = runtime.start(Role.SUBMISSION, Path(sys.argv[1]), limits, {})
        while worker.poll() is None:
            pass
    except EnvironmentProblem as problem:
        print(problem.code, problem.message, problem.hint)
"""


def start(socket_path: Path, kind: int, limits: tuple[int, int]) -> str:
    """What is said when a worker is started under a limit; nothing if it was."""
    done = subprocess.run(
        [sys.executable, "-c", STARTING, str(socket_path)],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(kind, limits),
    )
    return done.stdout


@pytest.mark.parametrize(
    ("kind", "limit", "words"),
    [
        (resource.RLIMIT_DATA, 4 << 30, "4,096 MiB of data here, and an evaluation needs 9,216"),
        (resource.RLIMIT_CPU, 60, "60 s of processor time here, and an evaluation needs 7,200"),
        (resource.RLIMIT_FSIZE, 128 << 20, "128 MiB in a file here, and an evaluation needs 2,048"),
        (resource.RLIMIT_AS, 6 << 30, "6,144 MiB of addresses here, and an evaluation needs 9,216"),
        (resource.RLIMIT_NOFILE, 256, "256 files at once here, and an evaluation needs 1,024"),
    ],
    ids=["data", "processor time", "file size", "addresses", "open files"],
)
def test_a_limit_below_the_budgets_is_named_and_nothing_is_started(
    tmp_path: Path, kind: int, limit: int, words: str
) -> None:
    said = start(tmp_path / "run" / "socket", kind, (limit, limit))
    assert said.startswith(f"own-limit a process may have {words}")
    assert "ulimit -H" in said
    assert not (tmp_path / "run-home").exists()


@pytest.mark.parametrize("kind", [resource.RLIMIT_DATA, resource.RLIMIT_AS, resource.RLIMIT_CPU])
def test_a_soft_limit_of_the_shell_does_not_hold_for_a_worker(tmp_path: Path, kind: int) -> None:
    hard = resource.getrlimit(kind)[1]
    soft = 300 if kind == resource.RLIMIT_CPU else 4 << 30
    (tmp_path / "run").mkdir()
    assert start(tmp_path / "run" / "socket", kind, (soft, hard)) == ""
    assert (tmp_path / "run" / "socket.limits").read_text().count(str(soft)) == 0


@pytest.mark.parametrize(
    ("number", "words"), [(signal.SIGXCPU, "processor time"), (signal.SIGXFSZ, "a file larger than a limit")]
)
def test_a_signal_that_a_limit_sends_is_explained(number: int, words: str) -> None:
    problem = judge_end(Role.EXECUTOR, Exit(None, number, sender_unknown=True), submission_started=True)
    assert isinstance(problem, EnvironmentProblem)
    assert words in problem.message
