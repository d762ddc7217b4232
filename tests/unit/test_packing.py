"""`haet-eval pack`: the same bytes everywhere, and the evaluator's own refusals."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from haet_eval.errors import EnvironmentProblem, ExitCode, InvalidSubmission, UsageProblem
from haet_eval.submission import load_submission
from haet_eval.submission.packing import pack_submission
from haet_eval.submission.starter import start_submission
from tests.fixtures.submissions import write_competition


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    start_submission(tmp_path / "mine", "digits", "n", "t")
    return tmp_path / "mine"


def test_the_zip_lies_beside_the_folder_and_is_the_submission(mine: Path) -> None:
    packed = pack_submission(mine)
    assert packed.path == mine.with_name("mine.zip")
    content = packed.path.read_bytes()
    assert load_submission(packed.path) == load_submission(mine) == packed.submission
    assert (packed.bytes, packed.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    again = load_submission(packed.path)
    assert (again.archive_bytes, again.archive_sha256) == (packed.bytes, packed.sha256)


def test_the_zip_is_compressed_and_what_shrinks_too_well_is_stored(mine: Path) -> None:
    (mine / "zeros.txt").write_text("0" * 200_000)
    packed = pack_submission(mine)
    assert 200_000 < packed.bytes < packed.submission.source_bytes
    assert load_submission(packed.path) == packed.submission


def test_pack_prints_the_size_and_both_digests(mine: Path) -> None:
    done = _run("pack", str(mine))
    packed = mine.with_name("mine.zip").read_bytes()
    assert f"{len(packed):,} of" in done.stdout
    assert hashlib.sha256(packed).hexdigest() in done.stdout
    assert load_submission(mine).sha256 in done.stdout


def test_times_modes_and_litter_do_not_change_a_byte(mine: Path) -> None:
    first = pack_submission(mine).path.read_bytes()
    os.utime(mine / "submission.py", (0, 0))
    (mine / "submission.py").chmod(0o600)
    (mine / "__pycache__").mkdir()
    (mine / "__pycache__" / "submission.cpython-311.pyc").write_bytes(b"\0")
    assert pack_submission(mine).path.read_bytes() == first


def test_from_inside_the_folder_it_goes_beside_it(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mine)
    assert pack_submission(Path()).path == mine.with_name("mine.zip")
    with pytest.raises(UsageProblem, match="would lie in the submission"):
        pack_submission(Path(), Path("out.zip"))


@pytest.mark.parametrize("fault", ["no manifest", "no function", "weights", "another task"])
def test_what_the_evaluator_refuses_is_refused_in_the_same_words(mine: Path, fault: str) -> None:
    manifest = mine / "haet.toml"
    if fault == "no manifest":
        manifest.unlink()
    if fault == "no function":
        (mine / "submission.py").write_text("x = 1\n", encoding="utf-8")
    if fault == "weights":
        (mine / "weights.bin").write_bytes(bytes(10))
    if fault == "another task":
        manifest.write_text(manifest.read_text("utf-8").replace('"digits"', '"mnist"', 1), "utf-8")
    with pytest.raises(InvalidSubmission) as refusal:
        pack_submission(mine)
    assert not mine.with_name("mine.zip").exists()
    judged = _run(str(mine), "--sandbox", "process", "--json", "--results", str(mine.with_name("results")))
    assert judged.returncode == ExitCode.INVALID_SUBMISSION
    assert json.loads(judged.stdout)["status"]["reason"] == refusal.value.reason
    packed = _run("pack", str(mine))
    assert packed.returncode == ExitCode.INVALID_SUBMISSION
    assert packed.stderr == f"Error: {refusal.value.reason} [{refusal.value.code}]\n"


def test_a_competition_brings_its_own_limits(mine: Path) -> None:
    rules = write_competition(mine.with_name("rules.toml"))
    rules.write_text(rules.read_text("utf-8") + "\n[limits]\narchive_bytes = 700\n", "utf-8")
    with pytest.raises(InvalidSubmission, match="larger than 700 bytes"):
        pack_submission(mine, competition=str(rules))


def test_a_place_that_cannot_be_written_is_named_and_nothing_is_half_written(mine: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="cannot be written"):
        pack_submission(mine, mine.with_name("nowhere") / "mine.zip")


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "haet_eval.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)
