"""Checks one record against all available evidence. Needs no torch and runs no code of the submission."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from haet_eval.archive.names import check_path
from haet_eval.competition import Competition, Limits
from haet_eval.errors import EnvironmentProblem, InvalidSubmission, UsageProblem
from haet_eval.evaluation.repetition import split
from haet_eval.evaluation.unpack import limits_by
from haet_eval.files import read_file
from haet_eval.listing import explain_fault
from haet_eval.record import MAX_RECORD_BYTES, Record, SubmissionInfo, from_unambiguous_json
from haet_eval.verification.audit import SUBJECTS, audited, check_audit, drawn_again
from haet_eval.verification.check import Check, believable, differs, holds, same, stated, unchecked
from haet_eval.verification.coherence import check_environment, check_parts
from haet_eval.verification.conclusion import MODEL, Conclusion, conclude
from haet_eval.verification.count import check_count
from haet_eval.verification.energy import check_energy
from haet_eval.verification.evidence import Evidence, Sources
from haet_eval.verification.judgement import check_judgement
from haet_eval.verification.reported import check_reports
from haet_eval.verification.runs import check_runs


@dataclass(frozen=True, slots=True)
class Verification:
    """The checks of one file. `record` is None if the file is not a sound record."""

    path: Path
    record: Record | None
    checks: tuple[Check, ...]

    @property
    def believable(self) -> bool:
        """Whether nothing differs."""
        return believable(self.checks)

    @property
    def conclusion(self) -> Conclusion:
        """The conclusion from the checks."""
        return conclude(self.checks)

    def and_also(self, checks: Iterable[Check]) -> Self:
        """This verification with more checks."""
        return replace(self, checks=(*self.checks, *checks))


@dataclass(frozen=True, slots=True)
class RunWithEvidence:
    """One run as a record of its own, with its evidence; a single run has no name."""

    name: str
    record: Record
    evidence: Evidence

    def named(self, checks: Iterable[Check]) -> Iterator[Check]:
        """The checks, with the name of the run in their subjects."""
        for check in checks:
            yield replace(check, subject=f"{self.name}{check.subject}")


@contextmanager
def while_files_stay() -> Iterator[None]:
    """Artefacts are read in this block, after their digests were checked.

    Raises:
        EnvironmentProblem: one was removed in between, which says nothing about the record.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise EnvironmentProblem(
            f"{error.filename or error} was removed while it was checked",
            "Check again when nothing else changes that folder.",
            code="artifact-removed",
        ) from error


@while_files_stay()
def verify(
    path: Path, sources: Sources, *, replaying: bool = False
) -> tuple[Verification, list[RunWithEvidence]]:
    """Check a record; also returns its runs and its audit with the evidence, for checks that go further.

    If a replay follows (`replaying`), its subjects are not listed as unchecked here.

    Raises:
        UsageProblem: the file cannot be read.
        EnvironmentProblem: a file was removed in the meantime.
    """
    try:
        # A name that stands twice in a JSON object is refused: other readers could take the value that was
        # not checked.
        record = from_unambiguous_json(read_file(path, MAX_RECORD_BYTES))
    except OSError as error:
        raise UsageProblem(f"{path} cannot be read: {error.strerror}", code="record-unreadable") from None
    except ValueError as error:
        return Verification(path, None, (differs("record", f"no sound record: {explain_fault(error)}"),)), []
    checks = [holds("record", f"{record.record_id}: the schema and the record's own digest are right")]
    parts = _parts(record)
    # `+=` runs the generator to its end here. The steps below need the rules and the data that it puts into
    # `part.evidence`.
    for part in parts:
        checks += part.named(_checks(part.record, part.evidence, sources))
    if record.runs:
        checks += check_runs(record, parts[0].evidence)
    # An audit repeats the first run, so it is drawn from that run's data and compared with `parts[0]`.
    for audit in record.audits:
        drawn = drawn_again(audit, parts[0].evidence)
        part = RunWithEvidence(f"{SUBJECTS[audit.kind]}: ", *audited(record, audit, drawn))
        checks += part.named(_checks(part.record, part.evidence, sources))
        checks += check_audit(audit, parts[0].record, drawn, part.evidence)
        # A replay covers the audit's training too: its flags rest on predictions that the executor made.
        parts.append(part)
    # Runs share one environment, so it is checked once.
    checks.append(check_environment(record, parts[0].evidence.competition))
    checks += _beyond(record, replaying)
    return Verification(path, record, tuple(checks)), parts


def _parts(record: Record) -> list[RunWithEvidence]:
    if not record.runs:
        return [RunWithEvidence("", record, Evidence())]
    return [
        RunWithEvidence(f"run {number}: ", run, Evidence())
        for number, run in enumerate(split(record), start=1)
    ]


def _checks(record: Record, evidence: Evidence, sources: Sources) -> Iterator[Check]:
    yield from evidence.gather(record, sources)
    yield _check_sources(record, evidence.competition)
    yield check_parts(record)
    yield from check_count(record, evidence)
    yield from check_energy(record, evidence.competition)
    yield from check_judgement(record, evidence)
    yield from check_reports(record, evidence)


def _check_sources(record: Record, rules: Competition | None) -> Check:
    submission = record.submission
    paths = [file.path for file in submission.files]
    # A file that is listed twice would count twice in the sum below.
    if paths != sorted(set(paths)):
        return differs("source size", "the files are not listed once each, in the order of their names")
    if fault := _path_fault(paths, rules):
        return differs("source size", f"no archive is accepted with such a file. {fault}")
    trained = record.training is not None or record.native is not None
    if trained and not (paths and submission.source_bytes):
        return differs("source size", "something was trained, and the submission has no code")
    # An archive that cannot be unpacked has no list of files, and this is no fault of the record.
    if not paths and record.status.stage == "unpack" and not submission.source_bytes:
        return stated("source size", "the submission could not be read")
    if trained and rules is not None and (over := _over_limits(submission, rules.limits)):
        return differs("source size", f"it trained, and is larger than the rules allow: {', '.join(over)}")
    size = sum(file.bytes for file in submission.files)
    return same("source size", submission.source_bytes, size, f"{size:,} bytes in all files")


def _path_fault(paths: Iterable[str], rules: Competition | None) -> str | None:
    """Why no submission has files of these names; None if one may have them."""
    limits = limits_by(rules)
    if rules is None:
        # An organizer's own rules may allow longer names than the default ones.
        limits = replace(limits, path_characters=MAX_RECORD_BYTES, path_depth=MAX_RECORD_BYTES)
    try:
        for path in paths:
            check_path(path, limits)
    except InvalidSubmission as fault:
        return fault.reason
    return None


def _over_limits(submission: SubmissionInfo, limits: Limits) -> list[str]:
    """What exceeds the limits of an archive: such a submission is refused before it trains."""
    sizes = {
        "zip": (submission.archive_bytes, limits.archive_bytes),
        "unpacked": (submission.source_bytes, limits.unpacked_bytes),
        "files": (len(submission.files), limits.entries),
    }
    return [name for name, (size, most) in sizes.items() if size > most]


def _beyond(record: Record, replaying: bool) -> Iterator[Check]:
    """Lines on the facts that the files cannot show."""
    # A native run leaves no trace, so no replay can be asked for: the line is a statement and does not fail
    # `--strict`.
    if record.native is not None:
        yield stated(MODEL, "that it makes these predictions; only --rerun shows it")
    elif record.evaluation is not None and not replaying:
        yield unchecked(MODEL, "that it makes these predictions; --replay shows it, and --rerun")
    yield stated(
        "times, machine",
        "are what the evaluator wrote down; the documentation on verifying lists such fields",
    )
    if record.rank is not None:
        yield stated("rank", "depends on the other records; `haet-eval leaderboard` ranks anew")
