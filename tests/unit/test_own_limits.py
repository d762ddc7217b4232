"""Limits of the shell that are lower than what a worker may use: nothing is started, nobody judged."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from haet_eval.errors import EnvironmentProblem
from haet_eval.runtimes.failures import judge_end
from haet_eval.runtimes.interface import Exit, Role
from haet_eval.runtimes.processes_left import ProcessesLeft, left_in_groups
from tests.fixtures.few_processes import few_processes

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


def start(socket_path: Path, kind: int, limits: tuple[int, int], group: Path = Path(os.devnull)) -> str:
    """What is said when a worker is started under a limit, and in a control group; nothing if it was."""

    def confine() -> None:
        # First the group: this child still has the open files of the tests, perhaps more than the limit.
        group.write_text(str(os.getpid()))
        resource.setrlimit(kind, limits)

    done = subprocess.run(
        [sys.executable, "-c", STARTING, str(socket_path)],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=confine,
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


# Version 1 has a tree for each controller, version 2 one for all.
@pytest.mark.parametrize(("line", "tree"), [("8:pids:/job/step", "pids"), ("0::/job/step", "")])
def test_the_processes_that_control_groups_leave_are_known(tmp_path: Path, line: str, tree: str) -> None:
    job = tmp_path / tree / "job"
    for group, allowed, used in ((job, 100, 90), (job / "step", "max", 3)):
        group.mkdir(parents=True, exist_ok=True)
        (group / "pids.max").write_text(f"{allowed}\n")
        (group / "pids.current").write_text(f"{used}\n")
    # A group that holds more processes than were allowed since leaves none.
    (job / "step" / "pids.max").write_text("2\n")
    groups = f"4:memory:/other\n{line}\n"
    assert list(left_in_groups(tmp_path, groups)) == [
        ProcessesLeft(0, f"{job / 'step'}/pids.max is 2, and 3 run already"),
        ProcessesLeft(10, f"{job}/pids.max is 100, and 90 run already"),
    ]


def test_control_groups_that_cannot_be_seen_leave_what_they_may(tmp_path: Path) -> None:
    (tmp_path / "pids.max").write_text("max\n")
    (tmp_path / "pids.current").write_text("7\n")
    assert list(left_in_groups(tmp_path, "0::/../elsewhere\n1:name=systemd:/\n0::/\n")) == []


def test_a_lack_of_processes_is_not_held_against_a_submission(tmp_path: Path) -> None:
    """A worker that was refused a thread ended with status 1, and the submission had `failed`."""
    with few_processes(20) as group:
        said = start(tmp_path / "run" / "socket", resource.RLIMIT_CORE, (0, 0), group / "cgroup.procs")
    assert said.startswith("own-limit ")
    assert "more processes and threads may be started here, and an evaluation needs 64" in said
    assert f"{group}/pids.max is 20" in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root has no such limit")
def test_the_users_limit_on_processes_is_named(tmp_path: Path) -> None:
    said = start(tmp_path / "run" / "socket", resource.RLIMIT_NPROC, (50, 50))
    assert "ulimit -Hu" in said
