"""The records in docs/reference-leaderboard: what is said of them follows from what lies next to them."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from haet_eval.cli.main import cli
from haet_eval.record import Record
from haet_eval.reports.text import readable_accuracy, readable_count
from haet_eval.store import Store, read_record
from haet_eval.verification.check import Check, Result
from haet_eval.verification.evidence import Sources
from haet_eval.verification.verify import verify

DOCS = Path(__file__).parents[2] / "docs"
FOLDER = DOCS / "reference-leaderboard"
RECORDS = sorted(FOLDER.glob("*.json"))
WITHOUT_DATA = {"data set", "accuracy", "model"}
MOST_BYTES = 40 << 20


def checks(path: Path, data: Path) -> list[Check]:
    found, _ = verify(path, Sources(Store(FOLDER), data))
    assert found.believable, [one for one in found.checks if one.result is Result.DIFFERS]
    return list(found.checks)


def of_cifar10() -> list[Record]:
    return [one for one in map(read_record, RECORDS) if one.submission.task == "cifar10"]


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_count_price_and_digests_of_a_record_hold(path: Path, tmp_path: Path) -> None:
    found = checks(path, tmp_path)
    held = {one.subject.rpartition(": ")[2] for one in found if one.result is Result.HOLDS}
    assert {"trace", "histogram", "weights", "predictions", "count", "parameters", "complexity"} <= held
    lacking = {one.subject.rpartition(": ")[2] for one in found if one.lacking}
    assert lacking <= WITHOUT_DATA


def test_the_accuracy_on_the_published_images_holds(real_cifar: Path) -> None:
    for path in RECORDS:
        if read_record(path).submission.task != "cifar10":
            continue
        found = checks(path, real_cifar)
        assert {one.subject.rpartition(": ")[2] for one in found if one.lacking} == {"model"}


def test_a_cifar10_entry_qualifies_in_docker_with_three_seeds() -> None:
    shown = CliRunner().invoke(cli, ["leaderboard", str(FOLDER), "--json"], standalone_mode=False)
    ranked = {entry["record_id"] for entry in json.loads(shown.stdout)["entries"]}
    (best,) = [one for one in of_cifar10() if one.record_id in ranked]
    assert best.status.verdict == "qualified"
    assert best.environment.sandbox == "docker"
    assert best.official
    assert best.runs is not None
    assert len(best.runs) == 3


def test_the_page_of_the_search_has_the_figures_of_the_record() -> None:
    page = (DOCS / "cifar10.md").read_text(encoding="utf-8")
    for record in of_cifar10():
        assert record.training is not None
        assert record.evaluation is not None
        assert f"{record.training.operations.total:,}" in page
        assert readable_accuracy(record.evaluation.accuracy) in page
        for run in record.runs or ():
            assert run.evaluation is not None
            assert readable_accuracy(run.evaluation.accuracy).removesuffix(" %") in page
        assert readable_count(record.complexity) in page


def test_the_page_of_the_board_lists_every_record() -> None:
    page = (FOLDER / "index.html").read_text(encoding="utf-8")
    assert RECORDS
    for path in RECORDS:
        assert read_record(path).record_id in page


def test_all_of_it_stays_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) <= MOST_BYTES
