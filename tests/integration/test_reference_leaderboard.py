"""The records in docs/reference-leaderboard: the statements about them follow from the files next to them."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from haet_eval.cli.main import cli
from haet_eval.errors import Verdict
from haet_eval.store import Store, read_record
from haet_eval.verification.check import Check, Result
from haet_eval.verification.evidence import Sources
from haet_eval.verification.verify import verify

DOCS = Path(__file__).parents[2] / "docs"
FOLDER = DOCS / "reference-leaderboard"
WITHOUT_TRACE = FOLDER / "cifar100"
RECORDS = sorted(FOLDER.glob("*.json"))
WITHOUT_DATA = {"data set", "accuracy", "model"}
MOST_BYTES = 48 << 20
QUALIFIED = [path for path in RECORDS if read_record(path).status.verdict is Verdict.QUALIFIED]


def checks(path: Path, data: Path) -> list[Check]:
    found, _ = verify(path, Sources(Store(FOLDER), data))
    assert found.believable, [one for one in found.checks if one.result is Result.DIFFERS]
    return list(found.checks)


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_count_price_and_digests_of_a_record_hold(path: Path, tmp_path: Path) -> None:
    found = checks(path, tmp_path)
    held = {one.subject.rpartition(": ")[2] for one in found if one.result is Result.HOLDS}
    assert {"trace", "histogram", "weights", "predictions", "count", "parameters", "complexity"} <= held
    lacking = {one.subject.rpartition(": ")[2] for one in found if one.lacking}
    assert lacking <= WITHOUT_DATA


def test_the_qualified_records_rank() -> None:
    shown = CliRunner().invoke(cli, ["leaderboard", str(FOLDER), "--json"], standalone_mode=False)
    ranked = {entry["record_id"] for entry in json.loads(shown.stdout)["entries"]}
    assert ranked == {read_record(path).record_id for path in QUALIFIED}


def test_the_cifar10_entry_qualifies_with_three_seeds_in_docker_on_the_published_images() -> None:
    (record,) = [one for one in map(read_record, RECORDS) if one.submission.task == "cifar10"]
    assert (record.status.verdict, record.official) == (Verdict.QUALIFIED, True)
    assert record.runs is not None
    assert record.statistics is not None
    assert record.statistics.accuracy is not None
    assert record.statistics.accuracy.mean >= 0.93
    assert len({run.seed for run in record.runs}) == 3


def test_the_former_cifar100_recipe_was_trained_in_parts_and_falls_short() -> None:
    (record,) = [one for one in map(read_record, RECORDS) if one.submission.task == "cifar100"]
    assert (record.status.verdict, record.official) == (Verdict.BELOW_THRESHOLD, True)
    assert record.training is not None
    assert record.training.resumed is not None
    assert (len(record.training.resumed.parts), record.training.resumed.restarts) == (3, 0)


def test_the_accuracy_on_the_published_images_holds(real_cifar: Path) -> None:
    (path,) = [one for one in RECORDS if read_record(one).submission.task == "cifar10"]
    found = checks(path, real_cifar)
    assert {one.subject for one in found if one.lacking} == {"model"}


def test_the_qualified_cifar100_record_holds_although_trace_and_weights_are_missing(real_cifar: Path) -> None:
    (path,) = WITHOUT_TRACE.glob("*.json")
    record = read_record(path)
    assert (record.status.verdict, record.official) == (Verdict.QUALIFIED, True)
    found, _ = verify(path, Sources(Store(WITHOUT_TRACE), real_cifar))
    assert {one.subject for one in found.checks if one.result is Result.DIFFERS} == {"trace", "weights"}
    held = {one.subject for one in found.checks if one.result is Result.HOLDS}
    assert {
        "histogram",
        "predictions",
        "operations (standard 2)",
        "complexity",
        "accuracy",
        "verdict",
    } <= held


def test_the_page_of_the_board_lists_every_qualified_record() -> None:
    page = (FOLDER / "index.html").read_text(encoding="utf-8")
    assert QUALIFIED
    for path in QUALIFIED:
        assert read_record(path).record_id in page


def test_all_of_it_stays_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) <= MOST_BYTES
