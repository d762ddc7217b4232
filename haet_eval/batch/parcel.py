"""A record with its artefacts as bytes, on the way from the machine that made it to the results folder."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, fields

from haet_eval.batch.job import BatchJob, Identity, identity_of
from haet_eval.errors import EnvironmentProblem, Verdict
from haet_eval.evaluation.keeping import Keeping
from haet_eval.evaluation.request import WrittenRecord
from haet_eval.record import Record, artifacts_of, from_json
from haet_eval.results_folder import ARTIFACT_NAME
from haet_eval.runtimes.folder import RunFolder
from haet_eval.store import Store


@dataclass(frozen=True, slots=True)
class Parcel:
    """`record` is the JSON document; `artifacts` have the names of their files, `<sha256>.<suffix>`."""

    record: bytes
    artifacts: dict[str, bytes]


def pack(outcome: WrittenRecord) -> Parcel:
    """The files that an evaluation has left in a results folder of its own."""
    artifacts = Store(outcome.path.parent).artifacts
    return Parcel(
        record=outcome.path.read_bytes(),
        # All files of the folder: it belongs to this run alone.
        artifacts={path.name: path.read_bytes() for path in sorted(artifacts.iterdir())},
    )


def unpack(parcel: Parcel, job: BatchJob, store: Store) -> WrittenRecord:
    """Check all files by their digests, and add them to the store.

    Raises:
        EnvironmentProblem: the record is not that of the job, or the parcel was changed on the way.
        KeptElsewhere: the store cannot be written.
    """
    # Everything is checked before anything is written: nothing of a changed parcel is kept.
    record = _checked(parcel, job)
    try:
        return WrittenRecord(record, _put(parcel, store).add(record))
    except EnvironmentProblem:
        # Temporary files are needed only now: without room for them the run would have to be made again.
        # `Keeping` takes them into the results if that is possible after all, or keeps them elsewhere.
        with RunFolder() as folder:
            keeping = Keeping(folder, store)
            _put(parcel, keeping.store)
            return WrittenRecord(record, keeping.finish(record))


def _put(parcel: Parcel, store: Store) -> Store:
    """The store with the artefacts: they come first, so that no record names a file that is missing."""
    for name, data in parcel.artifacts.items():
        store.put_artifact(data, name.partition(".")[2])
    return store


def _checked(parcel: Parcel, job: BatchJob) -> Record:
    try:
        record = from_json(parcel.record)
    except ValueError as error:
        raise _damaged(job, str(error)) from None
    for name, data in parcel.artifacts.items():
        named = ARTIFACT_NAME.fullmatch(name)
        if named is None or hashlib.sha256(data).hexdigest() != named["digest"]:
            raise _damaged(job, f"the artefact {name} is not what its digest says")
    there = {name.partition(".")[0] for name in parcel.artifacts}
    # A record without its artefacts would count as contradicted for ever.
    missing = [name for name, artifact in artifacts_of(record) if artifact.sha256 not in there]
    if missing:
        raise _damaged(job, f"the record names artefacts that did not come along: {', '.join(missing)}")
    # A node could send a sound record of something else, which would then be the result of this run.
    if other := list(_differences(parcel, record, job.identity)):
        raise _damaged(job, f"the record is of another evaluation: {', '.join(other)}")
    return record


def _differences(parcel: Parcel, record: Record, planned: Identity) -> Iterator[str]:
    """The fields in which the record is not of the planned evaluation."""
    found = identity_of(json.loads(parcel.record))
    if found is None:
        yield "it names no rules"
        return
    # An interruption leaves out what comes after it. Audits that could not be made are missing as well.
    partial = {"audits", "runs"} if record.status.verdict is Verdict.INTERRUPTED else {"audits"}
    for field in fields(planned):
        if field.name not in partial and getattr(found, field.name) != getattr(planned, field.name):
            yield field.name
    if not set(found.audits) <= set(planned.audits):
        yield "audits"
    if record.rerun_of is not None:
        yield "it is a rerun"


def _damaged(job: BatchJob, why: str) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"what came back for {job.label} cannot be used: {why}",
        "The machine that made the run, or the way from it, cannot be trusted.",
        code="cluster-damaged-result",
    )
