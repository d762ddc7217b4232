"""What comes back from another machine is believed where its digests hold, and only then."""

import hashlib
import tempfile
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from haet_eval.batch.job import BatchJob, Identity
from haet_eval.batch.parcel import Parcel, pack, unpack
from haet_eval.competition import Budgets
from haet_eval.errors import EnvironmentProblem
from haet_eval.evaluation.keeping import KeptElsewhere
from haet_eval.evaluation.request import WrittenRecord
from haet_eval.record import Artifact, Record, from_json
from haet_eval.store import Store
from tests.fixtures.records import make_record

ARTIFACTS = {
    "trace": "trace",
    "model": "safetensors",
    "histogram": "histogram.json",
    "predictions": "predictions.txt",
}
"""What the records of these tests name, by content."""


def job_of(record: Record) -> BatchJob:
    assert record.competition is not None
    identity = Identity(record.submission.sha256, record.competition.digest, 1, 1, "docker", "cpu", "0.1.0")
    return BatchJob(identity, "a", Path("a"), "A", "T", "cifar10", "haet2021", Budgets(), False)


@pytest.fixture
def parcel(tmp_path: Path) -> Parcel:
    there = Store(tmp_path / "there")
    record = make_record()
    for name, suffix in ARTIFACTS.items():
        there.put_artifact(name.encode(), suffix)
    return pack(WrittenRecord(record, there.add(record)))


def test_record_and_artefacts_arrive_whole(tmp_path: Path, parcel: Parcel) -> None:
    here = Store(tmp_path / "here")
    outcome = unpack(parcel, job_of(make_record()), here)
    assert outcome.record == from_json(outcome.path.read_bytes()) == make_record()
    weights = Artifact(sha256=hashlib.sha256(b"model").hexdigest(), bytes=5)
    assert here.read_artifact(weights) == b"model"
    assert sorted(path.name for path in here.artifacts.iterdir()) == sorted(parcel.artifacts)


def test_nothing_of_a_changed_parcel_is_kept(tmp_path: Path, parcel: Parcel) -> None:
    here = Store(tmp_path / "here")
    job = job_of(make_record())
    name = next(iter(parcel.artifacts))
    damaged = [
        replace(parcel, record=parcel.record.replace(b"9412", b"9999")),
        replace(parcel, record=b"{}"),
        replace(parcel, artifacts=parcel.artifacts | {name: b"other"}),
        replace(parcel, artifacts={n: data for n, data in parcel.artifacts.items() if n != name}),
        replace(parcel, artifacts={"../../escape.json": b"other"}),
        replace(parcel, artifacts={f"{hashlib.sha256(b'x').hexdigest()}./../../../escape": b"x"}),
    ]
    for one in damaged:
        with pytest.raises(EnvironmentProblem, match="cannot be used"):
            unpack(one, job, here)
    assert not here.directory.exists()


OTHERS: dict[str, dict[str, Any]] = {
    "submission": {"submission": "0" * 64},
    "competition": {"competition": "0" * 64},
    "seed": {"seed": 2},
    "runs": {"runs": 3},
    "sandbox": {"sandbox": "process"},
    "device": {"device": "cuda"},
    "haet_eval": {"haet_eval": "0.2.0"},
}


def test_each_field_of_an_identity_is_compared_here() -> None:
    assert {*OTHERS, "audits"} == {field.name for field in fields(Identity)}


@pytest.mark.parametrize("field", OTHERS)
def test_a_record_of_another_evaluation_is_refused(tmp_path: Path, parcel: Parcel, field: str) -> None:
    job = job_of(make_record())
    planned = replace(job, identity=replace(job.identity, **OTHERS[field]))
    with pytest.raises(EnvironmentProblem, match=f"another evaluation: {field}$"):
        unpack(parcel, planned, Store(tmp_path / "here"))


def test_audits_that_could_not_be_made_may_be_missing(tmp_path: Path, parcel: Parcel) -> None:
    job = job_of(make_record())
    audited = replace(job, identity=replace(job.identity, audits=(("resplit", 1),)))
    assert unpack(parcel, audited, Store(tmp_path / "here")).record == make_record()


def test_a_parcel_needs_no_room_for_temporary_files(
    tmp_path: Path, parcel: Parcel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    here = Store(tmp_path / "here")
    assert unpack(parcel, job_of(make_record()), here).path.parent == here.directory


def test_a_parcel_that_the_results_do_not_take_is_kept_elsewhere(
    tmp_path: Path, parcel: Parcel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    taken = tmp_path / "here"
    taken.write_text("a file, and no folder")
    with pytest.raises(KeptElsewhere, match="kept in"):
        unpack(parcel, job_of(make_record()), Store(taken))
    (folder,) = tmp_path.glob("haet-eval.kept-*")
    (path,) = folder.glob("*.json")
    assert from_json(path.read_bytes()) == make_record()
    assert len(list((folder / "artifacts").iterdir())) == len(parcel.artifacts)
