"""Computes the result of an audit again."""

from collections.abc import Iterator, Mapping
from typing import Final

from haet_eval.evaluation.audit import Redrawn, conclude, draw
from haet_eval.evaluation.repetition import as_record, as_run
from haet_eval.record import Audit, AuditKind, Record
from haet_eval.verification.check import Check, differs, holds, same, unchecked
from haet_eval.verification.evidence import Evidence
from haet_eval.verification.labels import read_labels
from haet_eval.verification.runs import rounded

SUBJECTS: Final[Mapping[AuditKind, str]] = {"resplit": "audit", "disguise": "audit in disguise"}
"""The first words of the lines on an audit."""


def drawn_again(audit: Audit, evidence: Evidence) -> Redrawn | None:
    """The data of the audit; None if those that it was drawn from are not here."""
    return draw(audit.kind, evidence.dataset, audit.split_seed) if evidence.dataset else None


def audited(record: Record, audit: Audit, drawn: Redrawn | None) -> tuple[Record, Evidence]:
    """The audit's run as a record of its own, and its data set, if it was drawn again."""
    return run_of(record, audit), Evidence(dataset=drawn.dataset if drawn else None)


def run_of(record: Record, audit: Audit) -> Record:
    """The audit's run as a record of its own."""
    # The checks of a run compare its data with the record, so the copy names the audit's data.
    return as_record(record, audit.run).model_copy(update={"dataset": audit.dataset})


def check_audit(audit: Audit, first: Record, drawn: Redrawn | None, again: Evidence) -> Iterator[Check]:
    """Whether shares, gaps and flags follow from the audit's predictions.

    Args:
        audit: the audit in the record.
        first: the run that was audited, as a record of its own.
        drawn: the data of the audit.
        again: the evidence on the audit's run.
    """
    subject = SUBJECTS[audit.kind]
    if audit.run.seed != first.environment.seed:
        yield differs(
            subject, f"its run has seed {audit.run.seed}, and the first run {first.environment.seed}"
        )
    # An audit that did not come to predictions needs no file: its flag `failed` follows from the verdict.
    if drawn is None or (audit.run.evaluation and "predictions" not in again.files):
        yield unchecked(subject, "needs the data set and the audit's predictions")
        return
    path = again.files.get("predictions")
    try:
        labels = read_labels(path.read_bytes()) if path else None
        # Records of version 1 were flagged by the one-sided rule, and are judged by what held then (decision
        # 0114).
        two_sided = first.schema_version > 1
        found = conclude(as_run(first), audit.run, drawn, audit.split_seed, labels, two_sided=two_sided)
    except ValueError as error:
        yield differs(subject, f"its predictions are no labels of the new test images: {error}")
        return
    # The last digits of p-values depend on the version of SciPy.
    if rounded(audit) == rounded(found):
        yield holds(subject, f"flags ({', '.join(audit.flags) or 'none'}) follow from its predictions")
    else:
        yield same(subject, _told(audit), _told(found), "")


def _told(audit: Audit) -> str:
    return f"{audit.former_test}, {audit.former_train}, {audit.gap}, {audit.drop}, flags {audit.flags}"
