"""A record with its artefacts as bytes, on the way from the machine that made it to the results folder."""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from haet_eval.batch.job import Job
from haet_eval.errors import EnvironmentProblem
from haet_eval.evaluation.request import Outcome
from haet_eval.ranking import Entry, place, summarize
from haet_eval.record import Record, artifacts_of, from_json
from haet_eval.store import Store

_NAME: Final = re.compile(r"(?P<digest>[0-9a-f]{64})\.[a-z.]+")


@dataclass(frozen=True, slots=True)
class Parcel:
    """`record` is the JSON document; `artifacts` have the names of their files, `<sha256>.<suffix>`."""

    record: bytes
    artifacts: dict[str, bytes]


def pack(outcome: Outcome) -> Parcel:
    """What an evaluation has left in a results folder of its own."""
    artifacts = Store(outcome.path.parent).artifacts
    return Parcel(
        record=outcome.path.read_bytes(),
        artifacts={path.name: path.read_bytes() for path in sorted(artifacts.iterdir())},
    )


def unpack(parcel: Parcel, job: Job, store: Store, others: list[Entry]) -> Outcome:
    """Check all of it by its digests, rank the record among the others, and add it to the store and to them.

    The others are passed because listing a folder for each record costs more than anything else here.

    Raises:
        EnvironmentProblem: it is not what was asked for, or was changed on the way.
    """
    record = _checked(parcel, job)
    for name, data in parcel.artifacts.items():
        store.put_artifact(data, name.partition(".")[2])
    ranked = place(record, others)
    others.append(summarize(ranked))
    return Outcome(ranked, store.add(ranked))


def _checked(parcel: Parcel, job: Job) -> Record:
    try:
        record = from_json(parcel.record)
    except ValueError as error:
        raise _damaged(job, str(error)) from None
    for name, data in parcel.artifacts.items():
        named = _NAME.fullmatch(name)
        if named is None or hashlib.sha256(data).hexdigest() != named["digest"]:
            raise _damaged(job, f"the artefact {name} is not what its digest says")
    there = {name.partition(".")[0] for name in parcel.artifacts}
    missing = [name for name, artifact in artifacts_of(record) if artifact.sha256 not in there]
    if missing:
        raise _damaged(job, f"the record names artefacts that did not come along: {', '.join(missing)}")
    rules = record.competition.digest if record.competition else None
    if (record.submission.sha256, rules) != (job.identity.submission, job.identity.competition):
        raise _damaged(job, "the record is of another submission or other rules")
    return record


def _damaged(job: Job, why: str) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"what came back for {job.label} cannot be used: {why}",
        "the machine that made the run, or the way from it, cannot be trusted",
        code="cluster-damaged-result",
    )
