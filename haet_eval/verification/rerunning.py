"""Evaluates the submission of a record again, and compares all results."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from haet_eval.competition import Limits, builtin_competitions, load_competition
from haet_eval.errors import UsageProblem
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.repetition import split
from haet_eval.evaluation.request import Request, WrittenRecord
from haet_eval.evaluation.unpack import digest_of
from haet_eval.progress import Observer
from haet_eval.record import Artifact, Audit, Record, Training
from haet_eval.spelling import percent, quoted
from haet_eval.store import Store
from haet_eval.verification.audit import SUBJECTS, run_of
from haet_eval.verification.check import Check, holds, same, unchecked
from haet_eval.verification.machine import compare_weights, note
from haet_eval.verification.replaying import machine_of


@dataclass(frozen=True, slots=True)
class Again:
    """The inputs of a rerun that a record does not hold. `competition` is a file; None for built-in rules.

    `kept` says whether the results stay when the records were compared.
    """

    submission: Path
    data_dir: Path
    results: Path
    competition: str | None = None
    test_data: Path | None = None
    kept: bool = True


def rerun(record: Record, again: Again, observer: Observer) -> WrittenRecord:
    """Evaluate the submission under the rules, the seed, the sandbox and the device of the record.

    Raises:
        UsageProblem: the submission, the task or the rules are not those of the record.
        HaetError: see `evaluate`.
    """
    rules = again.competition or _builtin_rules(record)
    limits = load_competition(rules).limits if rules else Limits()
    # The digest is compared before the evaluation, which may take hours and would tell nothing about this
    # record.
    digest = digest_of(again.submission, limits.for_archives())
    if digest != record.submission.sha256:
        raise UsageProblem(
            f"{again.submission} is not the submission of record {record.record_id}: its digest is"
            f" {digest[:16]}…, not {record.submission.sha256[:16]}…",
            "Name the folder or the zip that was evaluated, unchanged.",
            code="rerun-submission",
        )
    seeds = {audit.kind: audit.split_seed for audit in record.audits}
    request = Request(
        submission=again.submission,
        data_dir=again.data_dir,
        test_data=again.test_data,
        results=again.results,
        # Sandbox, seed and device are the record's: the new counts and weights must be comparable.
        competition=rules,
        task=record.submission.task or None,  # "" in records of 0.1.0 whose archive could not be read
        sandbox=record.environment.sandbox,
        seed=record.environment.seed,
        device=record.environment.device,
        runs=len(record.runs or [record]),
        # A native record with a counted training was made with `--count`.
        count=record.native is not None and record.training is not None,
        split_seed=seeds.get("resplit"),
        disguise_seed=seeds.get("disguise"),
        received_at=record.submission.received_at,
        # A record that repeats another one never ranks, so a rerun cannot give a team a second place.
        rerun_of=record.record_id,
        checkpoint_seconds=None,
        incidents=again.kept,
    )
    return evaluate(request, observer)


def _builtin_rules(record: Record) -> str | None:
    """The name of the record's rules; it is never used as a path, which a hostile record could choose."""
    if record.competition is None:
        return None
    name = record.competition.name
    if name not in builtin_competitions():
        raise UsageProblem(
            f"there are no built-in rules {quoted(name)}, which the record names",
            "--competition FILE names an organizer's own.",
            code="competition-unknown",
        )
    return name


def compare(record: Record, artifacts: Store, found: Record, found_artifacts: Store) -> Iterator[Check]:
    """Compare two records. Counts must be equal; another machine may change the last bits of the weights."""
    # `_compare` looks at the shown run. If only one record has several runs, the line on their number
    # differs.
    if not record.runs or not found.runs:
        yield same(
            "runs", len(record.runs or [record]), len(found.runs or [found]), "as many runs as the record has"
        )
        yield from _compare(record, artifacts, found, found_artifacts)
    else:
        yield same("verdict", _verdict(record), _verdict(found), _verdict(found))
        pairs = zip(split(record), split(found), strict=True)
        for number, (before, now) in enumerate(pairs, start=1):
            # Pairs go by position: `seeds` derives the same seeds from the same first seed.
            yield from _named(f"run {number}", _compare(before, artifacts, now, found_artifacts))
    made = {audit.kind: audit for audit in found.audits}
    for audit in record.audits:
        if audit.kind in made:
            compared = _compare_audit(record, artifacts, audit, found, found_artifacts, made[audit.kind])
            yield from _named(SUBJECTS[audit.kind], compared)
        # Our side failed or was stopped: a submission without predictions differs in its verdict.
        else:
            yield unchecked(SUBJECTS[audit.kind], "the record has one, and the rerun came to none")


def _named(name: str, checks: Iterable[Check]) -> Iterator[Check]:
    for check in checks:
        yield replace(check, subject=f"{name}: {check.subject}")


def _compare_audit(
    record: Record, artifacts: Store, before: Audit, found: Record, found_artifacts: Store, now: Audit
) -> Iterator[Check]:
    stated, again = run_of(record, before), run_of(found, now)
    yield from _compare(stated, artifacts, again, found_artifacts)
    other = _differences(stated, again)
    # Flags follow from predictions and cost. On another machine the first may change, and only the first.
    if before.flags != now.flags and other:
        yield unchecked("flags", f"{_listed(now.flags)} instead of {_listed(before.flags)}{note(other)}")
    else:
        yield same("flags", _listed(before.flags), _listed(now.flags), f"{_listed(now.flags)} again")


def _listed(flags: Iterable[str]) -> str:
    return ", ".join(flags) or "none"


def _differences(stated: Record, found: Record) -> list[str]:
    """The differences of the two machines."""
    # A resumed training may have used several machines. The weights can depend on each of them.
    return machine_of(found.environment).unlike(
        machine_of(stated.environment, stated.training.resumed if stated.training else None)
    )


def _compare(record: Record, artifacts: Store, found: Record, found_artifacts: Store) -> Iterator[Check]:
    other = _differences(record, found)
    yield holds("machine", note(other).strip(" ()") or "like the one of the record")
    yield same("rules", _rules(record), _rules(found), "the same")
    yield same("data set", record.dataset, found.dataset, "the same")
    yield same("verdict", _verdict(record), _verdict(found), _verdict(found))
    yield from _compare_native(record, artifacts, found, found_artifacts, other)
    if record.training is None or found.training is None:
        yield same("counting", record.training is None, found.training is None, "neither has counted")
        if record.native and found.native:
            yield from _compare_accuracy(record, found, other)
        return
    yield from _compare_training(record.training, found.training)
    yield same("complexity", record.complexity, found.complexity, "the same")
    if record.training.model and found.training.model:
        yield _compare_weights(record.training.model, artifacts, found.training.model, found_artifacts, other)
    yield from _compare_accuracy(record, found, other)


def _verdict(record: Record) -> str:
    """The verdict, with the code of its reason if the run was scored."""
    # A run that failed may fail in another place on a busy machine.
    code = record.status.code if record.evaluation else ""
    return f"{record.status.verdict} [{code}]" if code else record.status.verdict


def _rules(record: Record) -> tuple[str, str] | None:
    return (record.competition.name, record.competition.digest) if record.competition else None


def _compare_native(
    record: Record, artifacts: Store, found: Record, found_artifacts: Store, other: list[str]
) -> Iterator[Check]:
    before, now = record.native, found.native
    if before is None or now is None:
        if before or now:
            yield same("runner", record.environment.runner, found.environment.runner, "")
    elif before.checkpoint_used or now.checkpoint_used:
        # The checkpoint that counts is the last one before the time was over, and no two runs are equally
        # fast.
        yield unchecked("native weights", "are those of a checkpoint: which one depends on the time")
    elif before.model and now.model:
        compared = _compare_weights(before.model, artifacts, now.model, found_artifacts, other)
        yield replace(compared, subject="native weights")
        yield same("native parameters", before.parameters, now.parameters, "the same")


def _compare_weights(
    stated: Artifact, artifacts: Store, found: Artifact, found_artifacts: Store, other: list[str]
) -> Check:
    weights = found_artifacts.read_artifact(found)
    # A file that our own disk has lost says nothing about the record.
    if weights is None:
        return unchecked("weights again", "those of the rerun are missing")
    return compare_weights(stated, artifacts.read_artifact(stated), weights, other)


def _compare_training(stated: Training, found: Training) -> Iterator[Check]:
    yield same("count", stated.histogram, found.histogram, "the same histogram, byte for byte")
    yield same(
        "operations", stated.operations.total, found.operations.total, f"{found.operations.total:,} again"
    )
    yield same("parameters", stated.parameters, found.parameters, "the same")


def _compare_accuracy(stated: Record, found: Record, other: list[str]) -> Iterator[Check]:
    before, now = stated.evaluation, found.evaluation
    if before is None or now is None:
        yield same("accuracy", before is None, now is None, "neither came so far")
    # The artefact names a digest, so equal predictions need no file.
    elif before.predictions == now.predictions:
        yield same(
            "accuracy", before.correct, now.correct, f"{percent(now.accuracy)}, each prediction the same"
        )
    # Rounding on another machine changes labels. It does not show that either record is wrong.
    elif other:
        yield unchecked(
            "accuracy", f"{percent(now.accuracy)} instead of {percent(before.accuracy)}{note(other)}"
        )
    else:
        yield same("accuracy", before.predictions.sha256, now.predictions.sha256, "")
