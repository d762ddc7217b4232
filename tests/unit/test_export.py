"""Bundles of records, among them one of a real evaluation in local processes."""

import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from haet_eval.atomic import LEFTOVER_SECONDS, DraftFolder
from haet_eval.cli.export import export
from haet_eval.errors import EnvironmentProblem, UsageProblem
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from haet_eval.export import bundle
from haet_eval.record import artifacts_of
from haet_eval.signing import make_keys, sign
from haet_eval.store import Store, read_record
from haet_eval.verification.evidence import Sources
from haet_eval.verification.signature import check_signed
from haet_eval.verification.verify import verify
from tests.fixtures.records import make_record
from tests.fixtures.submissions import write_competition, write_submission

TRAIN = """
def train(task):
    model = Linear()
    loss = nn.functional.cross_entropy(model(task.images[:100]), task.labels[:100])
    loss.backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    return model
"""


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record of two runs under rules that are not built in; the submission and the rules lie above it."""
    folder = tmp_path_factory.mktemp("evaluated")
    submission = write_submission(folder / "submission", TRAIN)
    rules = str(write_competition(folder / "rules.toml", threshold=0.05))
    request = Request(submission, folder, folder / "results", competition=rules, sandbox="process", runs=2)
    return evaluate(request).path


@pytest.fixture
def record(evaluated: Path, tmp_path: Path) -> Path:
    """A copy of it, to tamper with."""
    shutil.copytree(evaluated.parents[1], tmp_path / "all")
    return tmp_path / "all" / "results" / evaluated.name


def run(*arguments: object) -> Result:
    return CliRunner().invoke(export, list(map(str, arguments)))


def export_all(record: Path, bundle: Path) -> Result:
    above = record.parents[1]
    options = ["--competition", above / "rules.toml", "--submission", above / "submission"]
    result = run(record, "-o", bundle, *options)
    assert result.exit_code == 0, result.exception
    return result


def test_the_unpacked_bundle_can_be_verified(record: Path, tmp_path: Path) -> None:
    make_keys(tmp_path / "judge")
    sign(record, tmp_path / "judge")
    export_all(record, tmp_path / "bundle.zip")
    shutil.rmtree(record.parents[1])
    with zipfile.ZipFile(tmp_path / "bundle.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    unpacked = tmp_path / "unpacked"
    path = unpacked / "results" / record.name
    (rules,) = unpacked.glob("competitions/*.toml")
    found = verify(path, Sources(Store(path.parent), tmp_path, str(rules)))[0]
    assert found.believable
    results = {check.subject: check.result.value for check in found.checks}
    assert {name for name, result in results.items() if result == "not checked"} == {
        "model",
        "times, machine",
    }
    assert check_signed(path, tmp_path / "judge.pub").result.value == "holds"


def test_the_metadata_name_every_file_with_its_size_and_digest(record: Path, tmp_path: Path) -> None:
    export_all(record, tmp_path / "bundle")
    bundle = tmp_path / "bundle"
    graph = json.loads((bundle / "ro-crate-metadata.json").read_text("utf-8"))["@graph"]
    entities = {entity["@id"]: entity for entity in graph}
    assert len(entities) == len(graph)
    parts = {part["@id"] for part in entities["./"]["hasPart"]}
    files = {path.relative_to(bundle).as_posix(): path for path in bundle.rglob("*") if path.is_file()}
    assert parts == files.keys() - {"ro-crate-metadata.json"}
    for name in parts:
        data = files[name].read_bytes()
        assert entities[name]["contentSize"] == str(len(data))
        assert entities[name]["sha256"] == hashlib.sha256(data).hexdigest()
    (mention,) = entities["./"]["mentions"]
    action = entities[mention["@id"]]
    assert action["@type"] == "CreateAction"
    assert len(action["result"]) == 1 + len({one.sha256 for _, one in artifacts_of(read_record(record))})
    assert {part["@id"].split("/")[0] for part in action["object"][:2]} == {"submissions", "competitions"}
    assert entities[entities["./"]["license"]["@id"]]["name"] == "unknown"


def test_other_tools_read_the_crate(record: Path, tmp_path: Path) -> None:
    from rocrate.rocrate import ROCrate

    export_all(record, tmp_path / "bundle")
    crate = ROCrate(tmp_path / "bundle")
    assert len(crate.data_entities) == len(crate.root_dataset["hasPart"])
    assert crate.get(f"#run-{read_record(record).record_id}")["instrument"]["name"] == "haet-eval"


def test_the_same_records_give_the_same_bytes(record: Path, tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        export_all(record, tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_the_submission_is_its_canonical_zip_and_may_be_left_out(record: Path, tmp_path: Path) -> None:
    export_all(record, tmp_path / "with")
    digest = read_record(record).submission.sha256
    kept = tmp_path / "with" / "submissions" / f"{digest}.zip"
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == digest
    rules = record.parents[1] / "rules.toml"
    result = run(record, "-o", tmp_path / "without", "--competition", rules)
    assert "Without the submission" in result.stderr
    assert not (tmp_path / "without" / "submissions").exists()


def test_a_record_under_two_names_is_there_under_both(record: Path, tmp_path: Path) -> None:
    second = record.with_name("copy.json")
    shutil.copy(record, second)
    rules = record.parents[1] / "rules.toml"
    assert run(record, second, "-o", tmp_path / "b", "--competition", rules).exit_code == 0
    assert len(list((tmp_path / "b" / "results").glob("*.json"))) == 2
    assert len(list((tmp_path / "b" / "competitions").iterdir())) == 1


def test_two_records_of_one_name_are_refused_by_their_paths(record: Path, tmp_path: Path) -> None:
    other = Store(tmp_path / "x2").add(make_record(name="other"))
    other = other.rename(other.with_name(record.name))
    problem = run(record, other, "-o", tmp_path / "bundle").exception
    assert isinstance(problem, UsageProblem)
    assert f"{record} and {other} have the same name" in problem.message
    assert not (tmp_path / "bundle").exists()


def test_what_is_missing_is_named_and_nothing_is_written(record: Path, tmp_path: Path) -> None:
    for path in record.parent.glob("artifacts/*.safetensors"):
        path.unlink()
    rules = record.parents[1] / "rules.toml"
    problem = run(record, "-o", tmp_path / "bundle.zip", "--competition", rules).exception
    assert isinstance(problem, UsageProblem)
    assert problem.message.count("model ") == 2
    assert "put the files back" in problem.hint
    assert [path.name for path in tmp_path.iterdir()] == ["all"]


def test_a_changed_artefact_is_not_exported(record: Path, tmp_path: Path) -> None:
    trace = next(record.parent.glob("artifacts/*.trace"))
    trace.write_bytes(trace.read_bytes() + b"!")
    rules = record.parents[1] / "rules.toml"
    problem = run(record, "-o", tmp_path / "bundle.zip", "--competition", rules).exception
    assert isinstance(problem, UsageProblem)
    assert "changed after it was written" in problem.message


def test_missing_rules_are_requested_with_the_option_to_use(record: Path, tmp_path: Path) -> None:
    for options in ([], ["--competition", "digits"]):
        problem = run(record, "-o", tmp_path / "bundle.zip", *options).exception
        assert isinstance(problem, UsageProblem)
        assert "the rules of practice here are not those of record" in problem.message
        assert "--competition FILE" in problem.hint


def test_a_submission_without_a_record_is_refused(record: Path, tmp_path: Path) -> None:
    other = write_submission(tmp_path / "other", TRAIN, name="another")
    options = ["--competition", record.parents[1] / "rules.toml", "--submission", other]
    problem = run(record, "-o", tmp_path / "bundle.zip", *options).exception
    assert isinstance(problem, UsageProblem)
    assert "belongs to none of the records" in problem.message


def test_the_ending_of_a_zip_may_be_in_any_case(record: Path, tmp_path: Path) -> None:
    assert export_all(record, tmp_path / "bundle.ZIP").exit_code == 0
    assert zipfile.is_zipfile(tmp_path / "bundle.ZIP")


def test_an_existing_bundle_is_not_replaced(record: Path, tmp_path: Path) -> None:
    (tmp_path / "bundle.zip").write_text("mine")
    rules = record.parents[1] / "rules.toml"
    problem = run(record, "-o", tmp_path / "bundle.zip", "--competition", rules).exception
    assert isinstance(problem, UsageProblem)
    assert "is there already" in problem.message
    assert (tmp_path / "bundle.zip").read_text() == "mine"


@pytest.mark.parametrize("kind", ["Draft", "DraftFolder"])
def test_what_a_killed_export_left_is_removed_by_a_later_one(record: Path, tmp_path: Path, kind: str) -> None:
    code = (
        "import os, pathlib, signal, sys; from haet_eval import atomic\n"
        "with getattr(atomic, sys.argv[1])(pathlib.Path(sys.argv[2])) as draft:\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code, kind, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.glob(".haet-*")
    export_all(record, tmp_path / "first.zip")
    assert left.exists(), "it may belong to a living writer"
    long_ago = time.time() - LEFTOVER_SECONDS - 60
    os.utime(left, (long_ago, long_ago))
    with DraftFolder(tmp_path) as living:
        os.utime(living.path, (long_ago, long_ago))
        export_all(record, tmp_path / "second")
        assert living.path.is_dir()
    assert list(tmp_path.glob(".haet-*")) == []
    assert {path.name for path in tmp_path.iterdir()} == {"all", "first.zip", "second"}


@pytest.mark.parametrize("name", ["bundle", "bundle.zip"])
def test_a_bundle_that_another_process_made_meanwhile_stays(
    record: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made_meanwhile(exported: object, pieces: object) -> bytes:
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine").write_text("mine")
        return b"{}"

    monkeypatch.setattr(bundle, "metadata", made_meanwhile)
    above = record.parents[1]
    problem = run(record, "-o", tmp_path / name, "--competition", above / "rules.toml").exception
    assert isinstance(problem, UsageProblem)
    assert "is there already" in problem.message
    assert (tmp_path / name / "mine").read_text() == "mine"
    assert list(tmp_path.glob(".haet-*")) == []


def test_a_missing_folder_is_reported(record: Path, tmp_path: Path) -> None:
    rules = record.parents[1] / "rules.toml"
    problem = run(record, "-o", tmp_path / "no" / "b.zip", "--competition", rules).exception
    assert isinstance(problem, EnvironmentProblem)
    assert "cannot be written: No such file or directory" in problem.message


def test_a_record_of_an_unreadable_submission_is_exported_with_the_submitted_file(tmp_path: Path) -> None:
    (tmp_path / "broken.zip").write_bytes(b"no zip")
    request = Request(tmp_path / "broken.zip", tmp_path, tmp_path / "results", sandbox="process")
    record = evaluate(request).path
    result = run(record, "-o", tmp_path / "bundle", "--submission", tmp_path / "broken.zip")
    assert result.exit_code == 0, result.exception
    (kept,) = (tmp_path / "bundle" / "submissions").iterdir()
    assert kept.read_bytes() == b"no zip"


def test_every_artefact_of_a_record_is_found() -> None:
    names = [name for name, _ in artifacts_of(make_record())]
    assert names == ["trace", "histogram", "model", "predictions"]


def test_files_are_for_everyone_to_read(record: Path, tmp_path: Path) -> None:
    export_all(record, tmp_path / "bundle.zip")
    with zipfile.ZipFile(tmp_path / "bundle.zip") as archive:
        assert {stat.S_IMODE(entry.external_attr >> 16) for entry in archive.infolist()} == {0o644}
