"""A record repeats what leaderboards need of its rules; verification compares it with the rules."""

from pathlib import Path
from typing import Any

import pytest

from haet_eval.competition import load_competition
from haet_eval.record import CompetitionInfo, Content, SourceFile, seal
from haet_eval.store import Store, read_record
from haet_eval.verification.check import Result
from haet_eval.verification.evidence import Evidence, Sources
from haet_eval.verification.verify import _check_sources, verify
from tests.fixtures.records import make_record

OLD_RECORDS = Path(__file__).parents[1] / "fixtures" / "old-records"


@pytest.mark.parametrize(
    ("changes", "result"),
    [
        ({}, Result.HOLDS),
        ({"awards": None}, Result.HOLDS),
        ({"awards": 2}, Result.DIFFERS),
        ({"ranking": "accuracy"}, Result.DIFFERS),
        ({"accuracy_intervals": (0.94,)}, Result.DIFFERS),
    ],
)
def test_the_rules_in_a_record_are_compared_with_the_rules(
    tmp_path: Path, changes: dict[str, Any], result: Result
) -> None:
    rules = load_competition("haet2021")
    stated = CompetitionInfo(
        name="haet2021",
        digest=rules.digest,
        ranking=rules.ranking,
        accuracy_intervals=rules.accuracy_intervals,
        awards=rules.awards,
        judging_digest=rules.judging_digest("cifar10"),
        counts=rules.runs.counts,
        entries_per_team=rules.entries_per_team,
    )
    record = make_record().model_copy(update={"competition": stated.model_copy(update=changes)})
    sources = Sources(Store(tmp_path), tmp_path)
    found = {check.subject: check for check in Evidence().gather(record, sources)}
    assert found["competition"].result is result, found["competition"].detail


@pytest.mark.parametrize(
    "changes",
    [{"files": (), "source_bytes": 0}, {"files": (SourceFile(path="a.py", bytes=0, sha256="0" * 64),)}],
    ids=["no files", "an empty file"],
)
def test_a_training_without_code_is_contradicted(tmp_path: Path, changes: dict[str, Any]) -> None:
    record = make_record()
    submission = record.submission.model_copy(update={"source_bytes": 0} | changes)
    facts = {name: getattr(record, name) for name in Content.model_fields}
    path = Store(tmp_path).add(seal(Content(**facts | {"submission": submission})))
    verification, _ = verify(path, Sources(Store(tmp_path), tmp_path))
    found = {check.subject: check for check in verification.checks}["source size"]
    assert found.result is Result.DIFFERS
    assert "the submission has no code" in found.detail


@pytest.mark.parametrize(
    ("changes", "over"),
    [
        ({"archive_bytes": 10**6}, "zip"),
        (
            {"files": (SourceFile(path="a.py", bytes=2**21, sha256="0" * 64),), "source_bytes": 2**21},
            "unpacked",
        ),
    ],
    ids=["zip", "unpacked"],
)
def test_a_training_of_more_than_the_rules_allow_is_contradicted(
    tmp_path: Path, changes: dict[str, Any], over: str
) -> None:
    record = make_record()
    submission = record.submission.model_copy(update=changes)
    found = _check_sources(record.model_copy(update={"submission": submission}), load_competition("haet2021"))
    assert found.result is Result.DIFFERS
    assert found.detail.endswith(f"larger than the rules allow: {over}")


@pytest.mark.parametrize("path", sorted(OLD_RECORDS.glob("*.json")), ids=lambda path: path.stem[-16:])
def test_a_record_of_0_1_0_is_checked_against_the_rules_of_0_1_0(tmp_path: Path, path: Path) -> None:
    record = read_record(path)
    assert record.competition is not None
    assert record.competition.digest != load_competition(record.competition.name).digest
    evidence = Evidence()
    found = {check.subject: check for check in evidence.gather(record, Sources(Store(tmp_path), tmp_path))}
    assert found["competition"].result is Result.HOLDS
    assert evidence.competition is not None
    assert evidence.competition.version == 1
