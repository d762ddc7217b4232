"""The folders of runs that can go on: found by identity and name, locked, listed and cleaned."""

import errno
import fcntl
import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from haet_eval import resumable
from haet_eval.cli.main import cli
from haet_eval.doctor import examine
from haet_eval.errors import UsageProblem
from haet_eval.evaluation.course import Course
from haet_eval.evaluation.heard import Heard
from haet_eval.resumable import (
    CLEANED_SECONDS,
    RunFacts,
    RunHome,
    cleaned_homes,
    described,
    find_home,
    homes,
    make_home,
    named_home,
)
from tests.fixtures.resuming import Notes, plan_in

DAY = 24 * 3600
IDENTITY: dict[str, str | int | None] = {"submission": "0" * 64, "seed": 3, "image": None}


def facts(identity: dict[str, str | int | None] = IDENTITY) -> RunFacts:
    return RunFacts(
        haet_eval="0.2",
        created_at=datetime.now(UTC),
        host="node7",
        submission="entry.zip",
        identity=identity,
        request={"seed": 3},
    )


def a_run(base: Path, *, checkpoints: int = 1, age_seconds: float = 0.0, **identity: str | int) -> RunHome:
    home = make_home(base, facts({**IDENTITY, **identity}), b"zip", None)
    for _ in range(checkpoints):
        path = home.next_checkpoint()
        path.write_bytes(b"x" * 1000)
        os.utime(path, (time.time() - age_seconds,) * 2)
    os.utime(home.path, (time.time() - age_seconds,) * 2)
    home.unlock()
    return home


@pytest.mark.parametrize("name", ["submission.zip", "competition.toml"])
def test_a_run_whose_files_were_damaged_or_lost_is_refused_by_name(tmp_path: Path, name: str) -> None:
    home = make_home(tmp_path, facts(), b"a zip", b"rules")
    home.check_files()
    (home.path / name).write_bytes(b"other")
    with pytest.raises(UsageProblem, match=f"{name} cannot be used: it was changed or damaged"):
        home.check_files()
    (home.path / name).unlink()
    with pytest.raises(UsageProblem, match=f"{name} cannot be used: No such file"):
        home.check_files()


def test_a_run_is_found_by_its_identity(tmp_path: Path) -> None:
    a_run(tmp_path, seed=4)
    ours = a_run(tmp_path)
    found = find_home(tmp_path, IDENTITY)
    assert found is not None
    assert found.path == ours.path
    assert find_home(tmp_path, {**IDENTITY, "seed": 5}) is None
    assert find_home(tmp_path / "nowhere", IDENTITY) is None


def test_a_run_without_a_checkpoint_is_not_found(tmp_path: Path) -> None:
    a_run(tmp_path, checkpoints=0)
    assert find_home(tmp_path, IDENTITY) is None


def test_a_run_that_another_process_works_with_is_left_alone(tmp_path: Path) -> None:
    home = a_run(tmp_path, age_seconds=2 * CLEANED_SECONDS)
    code = (
        "import sys; from pathlib import Path; from haet_eval.resumable import RunHome\n"
        "print(RunHome(Path(sys.argv[1])).lock(), flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(home.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        assert not home.lock()
        assert find_home(tmp_path, IDENTITY) is None
        assert not list(cleaned_homes(tmp_path))
        other.communicate("")
    assert find_home(tmp_path, IDENTITY) is not None


def test_a_run_that_ended_before_it_was_locked_is_not_found_and_not_kept_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, lock = a_run(tmp_path), RunHome.lock

    def lock_late(home: RunHome) -> bool:
        for path in home.checkpoints():
            path.unlink()
        return lock(home)

    with monkeypatch.context() as patched:
        patched.setattr(RunHome, "lock", lock_late)
        assert find_home(tmp_path, IDENTITY) is None
    assert home.lock()
    assert home.is_alone


def test_a_run_whose_leftovers_cannot_be_removed_is_not_kept_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    home = a_run(tmp_path)
    monkeypatch.setattr(resumable, "remove_leftovers", refuse)
    assert find_home(tmp_path, IDENTITY) is None
    assert home.lock()


def test_a_run_with_an_archive_of_any_size_can_be_checked(tmp_path: Path) -> None:
    size = (64 << 20) + 1
    home = make_home(tmp_path, facts(), bytes(size), None)
    home.check_files()


def test_a_run_is_named_by_its_folder_or_by_a_beginning_that_only_it_has(tmp_path: Path) -> None:
    home = a_run(tmp_path)
    assert named_home(str(home.path), tmp_path / "elsewhere").path == home.path
    assert named_home(home.name, tmp_path).path == home.path
    assert named_home(home.name[:-1], tmp_path).path == home.path
    with pytest.raises(UsageProblem, match="no run"):
        named_home("1999", tmp_path)
    a_run(tmp_path)
    with pytest.raises(UsageProblem, match="2 runs"):
        named_home(home.name[:4], tmp_path)


def test_only_the_newest_checkpoints_and_what_they_name_are_kept(tmp_path: Path) -> None:
    home = a_run(tmp_path, checkpoints=4)
    for name in ("trace-" + "0" * 16, "trace-" + "1" * 16, "answers-" + "1" * 16):
        (home.path / name).write_bytes(b"x")
    home.keep_newest(frozenset({"trace-" + "1" * 16, "answers-" + "1" * 16}), 2)
    assert [path.name for path in home.checkpoints()] == ["checkpoint-000004", "checkpoint-000003"]
    assert not (home.path / ("trace-" + "0" * 16)).exists()
    assert home.archive.exists()
    assert home.facts() == home.facts()
    assert home.next_checkpoint().name == "checkpoint-000005"


FACTS = facts().model_copy(update={"restarts": -5}).model_dump_json().encode()
"""Facts with a number that no record admits."""


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b'{"version": 2}', b"\xff", FACTS],
    ids=["empty", "nothing in it", "another version", "no text", "no record admits"],
)
def test_a_run_whose_facts_are_broken_is_named_and_stops_nothing(tmp_path: Path, content: bytes) -> None:
    home = a_run(tmp_path)
    (home.path / "run.json").write_bytes(content)
    with pytest.raises(UsageProblem, match=r"run\.json cannot be read"):
        home.facts()
    assert find_home(tmp_path, IDENTITY) is None
    assert "cannot be read" in described(home)


@pytest.mark.parametrize(("name", "value"), [("dataset", "other"), ("seed", 4)])
def test_a_named_run_goes_on_with_its_own_data_and_seed(tmp_path: Path, name: str, value: str | int) -> None:
    """On other data it trained from its first line, without a word."""
    home = a_run(tmp_path, dataset="mine")
    plan = replace(plan_in(tmp_path, resume=True), named=home)
    identity = IDENTITY | {"dataset": "mine", name: value}
    with pytest.raises(UsageProblem, match=f"cannot go on here: {name} {value} instead of"):
        Course(plan, identity, "a processor", Heard(Notes()))
    # Several runs differ in their seeds, and audits in their data: another run of the same evaluation is due.
    plan = replace(plan, varied=frozenset({name}))
    assert Course(plan, identity, "a processor", Heard(Notes())).home is None


def test_clean_removes_old_runs_and_abandoned_beginnings(tmp_path: Path) -> None:
    runs = tmp_path / "results" / "runs"
    old = a_run(runs, age_seconds=CLEANED_SECONDS + DAY)
    begun = a_run(runs, checkpoints=0, age_seconds=2 * DAY)
    kept = {a_run(runs, age_seconds=DAY).name, a_run(runs, checkpoints=0).name}
    (runs / "something else").mkdir()
    clean = ["clean", "--results", str(tmp_path / "results")]
    shown = CliRunner().invoke(cli, [*clean, "--dry-run"])
    assert f"run {old.path}" in shown.output
    assert f"run {begun.path}" in shown.output
    assert old.path.exists()
    CliRunner().invoke(cli, clean)
    assert {home.name for home in homes(runs)} == kept
    assert (runs / "something else").exists()


def test_the_age_of_a_run_is_by_the_clock_of_the_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_run(tmp_path)
    a_run(tmp_path, checkpoints=0)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 2 * CLEANED_SECONDS)
    assert not list(cleaned_homes(tmp_path))


def test_a_run_of_unknown_age_is_left_alone(tmp_path: Path) -> None:
    home = RunHome(tmp_path / "gone" / "run")
    assert home.age_seconds is None
    assert "of unknown age" in described(home)


def test_clean_leaves_runs_alone_if_the_file_system_has_no_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may work with them. No file system here lacks locks, so one is made to."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    a_run(tmp_path, age_seconds=2 * CLEANED_SECONDS)
    monkeypatch.setattr(fcntl, "flock", refuse)
    assert not list(cleaned_homes(tmp_path))
    assert find_home(tmp_path, IDENTITY) is not None


def test_doctor_lists_runs_with_age_and_size(tmp_path: Path) -> None:
    home = a_run(tmp_path / "results" / "runs", age_seconds=3 * 3600)
    found = {one.name: one for one in examine(tmp_path, tmp_path / "results", quick=True)}
    message = found["runs to go on"].message
    assert home.name in message
    assert "entry.zip, seed 3, begun on node7; 3 h old, 0.0 MB" in message
    assert home.name in found["runs to go on"].fix


def test_resume_without_a_name_lists_the_runs(tmp_path: Path) -> None:
    home = a_run(tmp_path / "results" / "runs")
    done = CliRunner().invoke(cli, ["resume", "--results", str(tmp_path / "results")])
    assert done.exit_code == 0
    assert home.name in done.output
