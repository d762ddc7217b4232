"""Artefacts that no record refers to. Deadlines are by the file system's clock: no test waits for a day."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from haet_eval.atomic import LEFTOVER_SECONDS, Draft
from haet_eval.cli.clean import clean
from haet_eval.errors import UsageProblem
from haet_eval.orphans import day_ago, find_orphans, remove_orphan
from haet_eval.record import artifacts_of
from haet_eval.results_folder import INTERRUPTED_RUNS
from haet_eval.store import Store
from tests.fixtures.records import make_record

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "results")
    store.prepare()
    return store


def later(store: Store) -> float:
    """A moment after all that was written, by the file system's clock, which may tick seldom."""

    def now() -> float:
        with Draft(store.artifacts) as probe:
            return probe.modified_seconds()

    began = now()
    while (moment := now()) == began:
        time.sleep(0.001)
    return moment


def put(store: Store, *texts: str) -> list[Path]:
    for text in texts:
        store.put_artifact(text.encode(), "trace")
    return [store.artifacts / f"{store.put_artifact(text.encode(), 'trace').sha256}.trace" for text in texts]


def test_what_a_record_or_an_interrupted_run_refers_to_stays(store: Store) -> None:
    trace, model, left = put(store, "trace", "model", "left by a killed run")
    store.add(make_record())
    deadline = later(store)
    assert find_orphans(store, deadline) == [left]
    runs = Store(store.directory / INTERRUPTED_RUNS / "0123456789abcdef")
    (path,) = store.directory.glob("*.json")
    runs.directory.mkdir(parents=True)
    path.rename(runs.directory / path.name)
    assert find_orphans(store, deadline) == [left]
    (runs.directory / path.name).unlink()
    assert find_orphans(store, deadline) == sorted([trace, model, left])


def test_what_is_younger_than_the_deadline_stays(store: Store) -> None:
    deadline = later(store)
    put(store, "young")
    assert find_orphans(store, deadline) == []


def test_a_copy_that_keeps_the_time_of_its_original_is_as_young_as_the_copy(store: Store) -> None:
    deadline = later(store)
    (path,) = put(store, "copied")
    os.utime(path, (0, 0))
    assert find_orphans(store, deadline) == []


def test_the_deadline_is_a_day_before_now_by_the_clock_of_the_file_system(store: Store) -> None:
    before = later(store)
    assert before - LEFTOVER_SECONDS <= day_ago(store) <= later(store) - LEFTOVER_SECONDS


def test_files_that_are_not_artefacts_stay(store: Store) -> None:
    digest = "0" * 64
    (store.artifacts / "notes.txt").write_text("mine")
    (store.artifacts / f"{digest}.zip").write_text("mine")
    (store.artifacts / f"{digest}.safetensors").symlink_to(store.artifacts / "notes.txt")
    (store.artifacts / f"{digest}.trace").mkdir()
    assert find_orphans(store, later(store)) == []


@pytest.mark.parametrize("content", [b"{", b"", b"\xff"])
def test_a_damaged_record_keeps_all_artefacts(store: Store, content: bytes) -> None:
    put(store, "trace")
    path = store.add(make_record())
    path.write_bytes(content)
    with pytest.raises(UsageProblem, match=r"cannot be read as a record"):
        find_orphans(store, later(store))


@pytest.mark.parametrize("name", ["", "winner.json"])
@pytest.mark.parametrize("target", ["/nowhere/archive.json", ""], ids=["not mounted", "a loop"])
def test_a_record_that_cannot_be_read_keeps_all_artefacts(store: Store, name: str, target: str) -> None:
    """Its disk is not mounted, or has a fault: a loop of links raises an error of the system as well."""
    put(store, "trace", "left")
    path = store.add(make_record())
    path.unlink()
    link = path.with_name(name or path.name)
    link.symlink_to(target or link.name)
    with pytest.raises(UsageProblem, match=r"cannot be read as a record"):
        find_orphans(store, later(store))


def test_interrupted_runs_on_a_disk_that_is_not_mounted_keep_all_artefacts(store: Store) -> None:
    put(store, "left")
    (store.directory / INTERRUPTED_RUNS).symlink_to("/nowhere/runs")
    with pytest.raises(OSError, match="No such file"):
        find_orphans(store, later(store))


def test_what_cannot_be_a_record_keeps_no_artefact(store: Store) -> None:
    (path,) = put(store, "left")
    (store.directory / "folder.json").mkdir()
    os.mkfifo(store.directory / "pipe.json")
    (store.directory / INTERRUPTED_RUNS).mkdir()
    (store.directory / INTERRUPTED_RUNS / "notes.txt").write_text("mine")
    assert find_orphans(store, later(store)) == [path]


def test_an_orphan_is_removed_once(store: Store) -> None:
    (path,) = put(store, "left")
    deadline = later(store)
    assert remove_orphan(path, deadline)
    assert not remove_orphan(path, deadline)
    assert list(store.artifacts.iterdir()) == []


def test_an_orphan_that_a_writer_takes_over_stays(store: Store, tmp_path: Path) -> None:
    """The writer has the same artefact and has not added its record yet; it was found old before."""
    mine = Store(tmp_path / "mine")
    put(mine, "trace")
    (path,) = put(store, "trace")
    deadline = later(store)
    assert find_orphans(store, deadline) == [path]
    store.take_in(mine)
    assert not remove_orphan(path, deadline)
    assert path.read_text() == "trace"
    assert find_orphans(store, deadline) == []


WRITER = """
import sys
from pathlib import Path
from haet_eval.results_folder import INTERRUPTED_RUNS
from haet_eval.store import Store
from tests.fixtures.records import make_record
store, mine = Store(Path(sys.argv[1])), Store(Path(sys.argv[2]))
print("ready", flush=True)
for number in range(150):
    store.take_in(mine)
    store.add(make_record(name=f"entry {number}"))
    next(store.directory.glob("*.json")).unlink()
store.take_in(mine)
store.add(make_record(name="last"))
"""


def test_records_that_are_written_meanwhile_keep_their_artefacts(store: Store, tmp_path: Path) -> None:
    """A writer adds and removes records that refer to old artefacts while this process removes orphans."""
    mine = Store(tmp_path / "mine")
    texts = ("trace", "histogram", "model", "predictions")
    put(mine, *texts)
    paths = put(store, *texts)
    deadline = later(store)
    command = [sys.executable, "-c", WRITER, str(store.directory), str(mine.directory)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        while writer.poll() is None:
            for path in paths:
                remove_orphan(path, deadline)
    assert writer.returncode == 0
    (record,) = store.listing().records
    assert "last" in record.name
    assert {path.read_text() for path in paths} == set(texts)
    assert all(store.read_artifact(artifact) for _, artifact in artifacts_of(make_record()))


def test_clean_leaves_fresh_artefacts_and_names_the_results_folder(store: Store) -> None:
    (path,) = put(store, "fresh")
    for options in ([], ["--dry-run"]):
        result = CliRunner().invoke(clean, ["--results", str(store.directory), *options])
        assert result.exit_code == 0
        assert "artefact" not in result.stdout
        assert path.exists()
    assert list(store.artifacts.iterdir()) == [path]


def test_clean_removes_old_artefacts_and_a_dry_run_only_shows_them(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day is made to be no time at all: `ctime` of a real file cannot be set."""
    monkeypatch.setattr("haet_eval.orphans.LEFTOVER_SECONDS", 0)
    (path,) = put(store, "left")
    later(store)
    arguments = ["--results", str(store.directory)]
    before = store.artifacts.stat().st_mtime_ns
    shown = CliRunner().invoke(clean, [*arguments, "--dry-run"])
    # A file that is made and removed changes this time, and cannot be made in a folder that is read-only.
    assert store.artifacts.stat().st_mtime_ns == before
    assert (f"artefact {path}" in shown.stdout, path.exists()) == (True, True)
    assert "dry run: nothing was removed" in shown.stderr
    removed = CliRunner().invoke(clean, arguments)
    assert (f"artefact {path}" in removed.stdout, path.exists()) == (True, False)
    assert "nothing was left behind" in CliRunner().invoke(clean, arguments).stderr


def test_clean_removes_nothing_without_results(tmp_path: Path) -> None:
    result = CliRunner().invoke(clean, ["--results", str(tmp_path / "none")])
    assert result.exit_code == 0
    assert not (tmp_path / "none").exists()
