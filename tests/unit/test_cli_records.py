"""Records that commands take by file, by id or by folder."""

import json
import tracemalloc
from pathlib import Path

import pytest

from haet_eval.cli.records import find_records
from haet_eval.errors import ExitCode, UsageProblem
from haet_eval.store import Store
from tests.fixtures.records import make_record
from tests.unit.test_cli_main import run


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder with two records."""
    store = Store(tmp_path / "results")
    for name in ("first", "second"):
        store.add(make_record(name=name))
    return store.directory


def test_a_folder_stands_for_its_records(results: Path) -> None:
    files = sorted(results.glob("*.json"))
    assert len(files) == 2
    assert find_records([str(results)], Path("unused")) == files


def test_a_damaged_record_of_a_folder_is_not_left_out(results: Path) -> None:
    first, _ = sorted(results.glob("*.json"))
    first.write_text("{}")
    assert first in find_records([str(results)], Path("unused"))
    done = run("verify", "results", "--json", cwd=results.parent)
    assert done.returncode == ExitCode.NOT_QUALIFIED
    assert len(json.loads(done.stdout)) == 2


def test_a_folder_gives_the_files_that_a_listing_of_it_has(results: Path) -> None:
    first, second = sorted(results.glob("*.json"))
    (results / "a copy.json").write_bytes(second.read_bytes())
    (results / "zz copy.json").write_bytes(first.read_bytes())
    (results / "damaged.json").write_bytes(first.read_bytes()[:-20])
    (results / "claims.json").write_text('{"record_id": 1, "schema_version": 2}')
    (results / "other.json").write_text("{}")
    (results / f"x{first.name}").symlink_to("nowhere")
    first.with_name(first.name.replace("first", "third")).symlink_to("nowhere")
    listing = Store(results).listing()
    files = find_records([str(results)], Path("unused"))
    assert files == sorted([*listing.records, *(problem.path for problem in listing.problems)])
    assert {first, second, results / "claims.json"} < set(files)
    assert not {results / "a copy.json", results / "damaged.json"} & set(files)


def test_the_files_of_many_records_take_no_more_memory_than_those_of_a_few(tmp_path: Path) -> None:
    def peak_bytes(count: int) -> int:
        store = Store(tmp_path / str(count))
        for seed in range(count):
            store.add(make_record(name="x" * 200, seed=seed, log="epoch 1\n" * 200))
        tracemalloc.start()
        assert sum(1 for _ in store.record_files()) == count
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    peak_bytes(3)  # what the first use of a validator builds is not to be measured
    few, many = peak_bytes(20), peak_bytes(400)
    assert many < few + 400 * 600  # a name of 200 letters and an id of each are kept


def test_a_folder_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="no record in the folder"):
        find_records([str(tmp_path)], Path("unused"))


def test_verify_takes_a_folder(results: Path) -> None:
    done = run("verify", "results/", "--json", cwd=results.parent)
    assert [one["file"] for one in json.loads(done.stdout)] == [
        f"results/{path.name}" for path in sorted(results.glob("*.json"))
    ]


def test_sign_takes_ids_of_the_results_folder(results: Path) -> None:
    record = make_record(name="first")
    assert run("keygen", "k", cwd=results.parent).returncode == ExitCode.QUALIFIED
    done = run("sign", record.record_id[:8], "--key", "k", cwd=results.parent)
    assert done.returncode == ExitCode.QUALIFIED, done.stderr
    (signature,) = results.glob("*.dsse.json")
    assert record.record_id in signature.name


def test_sign_and_export_look_ids_up_in_the_named_folder(results: Path) -> None:
    results.rename(results.parent / "elsewhere")
    beginning, there = make_record(name="first").record_id[:8], ("--results", "elsewhere")
    assert run("keygen", "k", cwd=results.parent).returncode == ExitCode.QUALIFIED
    signed = run("sign", beginning, "--key", "k", *there, cwd=results.parent)
    assert signed.returncode == ExitCode.QUALIFIED, signed.stderr
    exported = run("export", beginning, "-o", "bundle.zip", *there, cwd=results.parent)
    assert f"record {make_record(name='first').record_id}" in exported.stderr  # found, with other rules
