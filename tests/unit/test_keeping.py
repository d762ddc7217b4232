"""Finished runs are somewhere, whatever fails: in the results, or beside the temporary files."""

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from haet_eval.errors import Verdict
from haet_eval.evaluation.keeping import Keeping, KeptElsewhere
from haet_eval.record import Record
from haet_eval.results_folder import INTERRUPTED_RUNS
from haet_eval.runtimes.folder import RunFolder
from haet_eval.store import Store, read_record
from tests.fixtures.records import make_record

KEY = "0123456789abcdef"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary files"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def results(tmp_path: Path) -> Store:
    store = Store(tmp_path / "my results")
    store.prepare()
    return store


@pytest.fixture
def keeping(results: Store) -> Iterator[Keeping]:
    """Several runs are to be kept; each leaves a trace and a model."""
    with RunFolder() as folder:
        made = Keeping(folder, results)
        made._runs = Store(results.directory / INTERRUPTED_RUNS / KEY)
        for content, suffix in (("trace", "trace"), ("model", "safetensors")):
            made.store.put_artifact(content.encode(), suffix)
        yield made


def break_results(results: Store) -> None:
    (results.directory / INTERRUPTED_RUNS).write_text("a file")


def mend_results(results: Store) -> None:
    (results.directory / INTERRUPTED_RUNS).unlink()


def kept_runs(results: Store) -> list[Record]:
    return [read_record(path) for path in sorted((results.directory / INTERRUPTED_RUNS / KEY).glob("*.json"))]


def test_runs_that_the_results_did_not_take_are_kept_elsewhere_and_one_command_takes_them_in(
    results: Store, keeping: Keeping, temporary: Path
) -> None:
    first, second = make_record(name="one"), make_record(name="two")
    break_results(results)
    keeping.keep_run(first)
    keeping.keep_run(second)
    told = keeping.runs_elsewhere()
    assert told is not None
    (kept,) = temporary.glob("haet-eval.kept-*")
    where, what_to_do = told
    assert where.endswith(f"they (2) are kept in {kept}")
    assert kept.stat().st_mode & 0o077 == 0
    mend_results(results)
    subprocess.run(shlex.split(what_to_do[what_to_do.index("cp -r") :]), check=True)
    assert {record.record_id for record in kept_runs(results)} == {first.record_id, second.record_id}
    assert not list(results.directory.glob("*.json"))
    assert len(list(results.artifacts.iterdir())) == 2


def test_runs_that_the_results_take_later_are_kept_there_alone(results: Store, keeping: Keeping) -> None:
    first, second = make_record(name="one"), make_record(name="two")
    break_results(results)
    keeping.keep_run(first)
    mend_results(results)
    keeping.keep_run(second)
    assert {record.record_id for record in kept_runs(results)} == {first.record_id, second.record_id}
    assert keeping.runs_elsewhere() is None


def test_an_interrupted_record_that_is_kept_elsewhere_has_the_finished_runs_beside_it(
    results: Store, keeping: Keeping
) -> None:
    run = make_record(name="one")
    results.artifacts.rmdir()
    results.artifacts.write_text("a file")
    keeping.keep_run(run)
    with pytest.raises(KeptElsewhere) as raised:
        keeping.finish(make_record(verdict=Verdict.INTERRUPTED))
    results.artifacts.unlink()
    subprocess.run(shlex.split(raised.value.hint.partition("take them in: ")[2]), check=True)
    assert [record.record_id for record in kept_runs(results)] == [run.record_id]
    assert len(list(results.directory.glob("*.json"))) == 1


def test_without_finished_runs_nothing_is_kept(keeping: Keeping, temporary: Path) -> None:
    assert keeping.runs_elsewhere() is None
    assert not list(temporary.glob("haet-eval.kept-*"))
