"""What comes back from another machine is believed where its digests hold, and only then."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from haet_eval.batch.job import BatchJob, Identity
from haet_eval.batch.parcel import Parcel, pack, unpack
from haet_eval.competition import Budgets
from haet_eval.errors import EnvironmentProblem
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


def test_a_record_of_something_else_is_refused(tmp_path: Path, parcel: Parcel) -> None:
    other = job_of(make_record(name="another submission"))
    with pytest.raises(EnvironmentProblem, match="another submission"):
        unpack(parcel, other, Store(tmp_path / "here"))
