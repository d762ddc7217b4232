"""The checks of an entry. To add a check, put it into one of the two lists: it is then made and shown."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Literal, TypeAlias

from haet_eval.competition import Task
from haet_eval.errors import EnvironmentProblem
from haet_eval.evaluation.audit import COST_RATIO, GAP_P, GAP_POINTS, compare
from haet_eval.evaluation.repetition import split
from haet_eval.files import StrangeFile, open_file
from haet_eval.record import Artifact, AuditFlag, AuditKind, Evaluation, Record, Run, Share
from haet_eval.reports.audit import audit_lines
from haet_eval.reports.confirmation import EntryCheck
from haet_eval.reports.text import readable_accuracy, readable_count
from haet_eval.store import MAX_ARTIFACT_BYTES, Store
from haet_eval.verification.check import Check, Result, believable
from haet_eval.verification.conclusion import REPLAY
from haet_eval.verification.evidence import Evidence, Sources, named_artifacts
from haet_eval.verification.perturbing import SUBJECT as PERTURBED
from haet_eval.verification.perturbing import check_perturbed as perturbed_part
from haet_eval.verification.replaying import ReplayPlace
from haet_eval.verification.replaying import check_replay as replay_part
from haet_eval.verification.verify import RunWithEvidence, Verification, verify

ReplayPart: TypeAlias = Callable[[Record, Evidence, ReplayPlace], Iterable[Check]]
"""Replays the trace of a run."""


@dataclass(frozen=True)
class Case:
    """The file of a record, the sources of its evidence, and the place of its replay."""

    path: Path
    sources: Sources
    place: ReplayPlace

    @cached_property
    def verified(self) -> tuple[Verification, list[RunWithEvidence]]:
        """The result of the files' check, computed once: the replays need the same evidence."""
        # With `replaying`, the replays are not listed as missing: they are checks of their own here.
        return verify(self.path, self.sources, replaying=True)


class Undecided(Exception):
    """A check could not be made, which says nothing about the entry: the text says what is missing here."""


def check_verify(case: Case) -> tuple[bool, str]:
    """Every file that the record names is here and agrees with it."""
    found, parts = case.verified
    absent = {f"{part.name}{name}" for part in parts for name in _absent(part.record, case.sources.store)}
    # A file that is missing here may have been lost by the organizer: it must not let an entry fall.
    there = [check for check in found.checks if check.subject not in absent]
    lacking = found.conclusion.lacking
    # What contradicts the record decides first, even if other files are missing.
    if not believable(there):
        return False, _told(there, Result.DIFFERS)
    if absent:
        missing = [check for check in found.checks if check.subject in absent]
        raise Undecided(_told(missing, Result.DIFFERS))
    # Unlike `haet-eval verify`, which calls such a record consistent: an award needs every check.
    if lacking:
        raise Undecided(f"not checked: {', '.join(lacking)}. {_told(found.checks, Result.UNCHECKED)}")
    return True, f"{sum(check.result is Result.HOLDS for check in found.checks)} lines hold, none differs"


def _absent(record: Record, store: Store) -> list[str]:
    """The kinds of artefacts that are not here or cannot be read. Whoever forged a record did not do that."""
    return [name for name, artifact in named_artifacts(record).items() if not _is_readable(artifact, store)]


def _is_readable(artifact: Artifact, store: Store) -> bool:
    path = store.artifact_path(artifact)
    if path is None:
        return False
    try:
        with open_file(path, MAX_ARTIFACT_BYTES) as file:
            file.read(1)
    # So `verify` looks at it and reports a difference: a folder in the place of a file is no loss of ours.
    except (StrangeFile, IsADirectoryError):  # it is there, and is not what the record names
        return True
    except OSError:
        return False
    return True


def check_replay(case: Case) -> tuple[bool, str]:
    """A replay of the trace gives the same answers, weights and predictions."""
    return _replayed(case, replay_part, REPLAY)


def check_perturbed(case: Case) -> tuple[bool, str]:
    """The training is nearly as good under noise, which drowns numbers that were packed into floats."""
    return _replayed(case, perturbed_part, PERTURBED)


def _replayed(case: Case, replay: ReplayPart, subject: str) -> tuple[bool, str]:
    """The replay of every run of the record holds."""
    _, parts = case.verified
    checks = [check for part in parts for check in part.named(replay(part.record, part.evidence, case.place))]
    if not believable(checks):
        return False, _told(checks, Result.DIFFERS)
    # Runs of several have a prefix before the subject.
    replays = [check for check in checks if check.subject.endswith(subject)]
    if not replays or any(check.lacking for check in replays):
        raise Undecided(_told(checks, Result.UNCHECKED))
    return True, "; ".join(check.detail for check in checks)


def _told(checks: Iterable[Check], result: Result) -> str:
    lines = [check for check in checks if check.result is result and not check.statement]
    return "; ".join(f"{check.subject}: {check.detail}" for check in lines)


RecordCheck: TypeAlias = Callable[[Case], tuple[bool, str]]
"""Checks a record and its files. Returns whether it holds, and the figures; raises Undecided."""

RECORD_CHECKS: Final[Mapping[str, RecordCheck]] = {
    "verify": check_verify,
    "replay": check_replay,
    "perturbed replay": check_perturbed,
}
"""The first check that fails ends the checks of an entry: a record that is not sound is not run again."""


def rerun(record: Record, again: Record, _: Task) -> tuple[bool, str]:
    """A second run with the same seed has the same cost, and predictions that are as good."""
    # A record of several runs is compared by its first run, whose seed the second run has.
    first = (split(record) or [record])[0]
    now = again.evaluation
    if not again.status.verdict.is_judged or now is None:
        return False, _verdict(again)
    if first.complexity != again.complexity:
        before, after = readable_count(first.complexity), readable_count(again.complexity)
        return False, f"the complexity is {after} instead of {before}"
    # Equal costs could hide other calls: the histogram has every call with its shapes.
    if _histogram(first) != _histogram(again):
        return False, "the calls are others than those of the record"
    # Accuracies are compared by a test and not exactly: another machine rounds otherwise.
    return _as_good(first.evaluation, _share(now), f"complexity {readable_count(again.complexity)} again")


def other_seeds(record: Record, again: Record, task: Task) -> tuple[bool, str]:
    """Other seeds give models as good, at about the same cost; some may miss the threshold by chance."""
    first = (split(record) or [record])[0]
    runs, scores = again.runs or (), [run.evaluation for run in again.runs or () if run.evaluation]
    # Below the threshold is judged: one seed may miss it by chance.
    failed = [run for run in runs if not run.status.verdict.is_judged]
    if failed or not scores:
        return False, _verdict(failed[0] if failed else again)
    shown = ", ".join(
        f"{readable_accuracy(score.accuracy)} with seed {run.seed}"
        for run, score in zip(runs, scores, strict=True)
    )
    dearest = max((run.complexity or 0 for run in runs), default=0)
    # A training may stop early, so its cost depends on the seed. The bound is that of the audits.
    if first.complexity and dearest > COST_RATIO * first.complexity:
        return False, f"complexity {readable_count(dearest)} instead of {readable_count(first.complexity)}"
    together = Share(
        correct=sum(_share(score).correct for score in scores), total=sum(score.total for score in scores)
    )
    # All runs together: with two seeds an average would rest on two numbers, and this on all test images.
    p_value = _below(together, task.threshold)
    shown += f"; the threshold is {readable_accuracy(task.threshold)}"
    if p_value < GAP_P:
        return False, f"{shown}: below it, p = {p_value:.3g}"
    return _as_good(first.evaluation, together, shown)


def audit(kind: AuditKind, *, reported: tuple[AuditFlag, ...] = ()) -> "Conclude":
    """The audit of this kind raised no flag, except those that are only reported."""

    def conclude(_record: Record, again: Record, _task: Task) -> tuple[bool, str]:
        found = next((one for one in again.audits if one.kind == kind), None)
        if found is None:
            return False, _verdict(again)
        # No other flag than these.
        return set(found.flags) <= set(reported), "; ".join(audit_lines(found))

    return conclude


Conclude: TypeAlias = Callable[[Record, Record, Task], tuple[bool, str]]
"""Draws the conclusion from the record, the run that was made for the check, and the task."""


@dataclass(frozen=True, slots=True)
class RunCheck:
    """A check that needs a run, and the conclusion from that run.

    `of` names the run: the same seed again, with an audit if one is named, or two other seeds.
    """

    of: Literal["again", "other seeds"]
    conclude: Conclude
    audit: AuditKind | None = None


RUN_CHECKS: Final[Mapping[str, RunCheck]] = {
    "rerun": RunCheck("again", rerun),
    "audit resplit": RunCheck("again", audit("resplit"), "resplit"),
    "audit disguise": RunCheck("again", audit("disguise", reported=("operations",)), "disguise"),
    "other seeds": RunCheck("other seeds", other_seeds),
}
"""All of these are made, whatever the results of the others. A training that stops early may cost a little
more or less in disguise. So the flag `operations` alone is only reported; above a quarter more it is
`cost`."""


def look_at(case: Case, check: RecordCheck) -> tuple[bool, str]:
    """The outcome of a check of a record.

    Raises:
        Undecided: it could not be made.
    """
    try:
        return check(case)
    except EnvironmentProblem as problem:
        raise Undecided(problem.with_hint) from None


def finding(name: str, outcome: tuple[bool, str]) -> EntryCheck:
    """A check's outcome with its name."""
    held, detail = outcome
    return EntryCheck(name, held, detail)


def _as_good(before: Evaluation | None, now: Share, shown: str) -> tuple[bool, str]:
    drop = compare(_share(before), now) if before else None
    if drop is None:
        return False, f"{shown}; the record has no accuracy to compare with"
    lost = f"{shown}; {drop.points:+.2f} points lost, p = {drop.p_value:.3g}"
    # Both conditions, as in the audits: few images make chance large, and many make tiny losses significant.
    return not (drop.points > GAP_POINTS and drop.p_value < GAP_P), lost


def _below(share: Share, threshold: float) -> float:
    """The one-sided p-value of this few right predictions, if the threshold were the true accuracy."""
    from scipy.stats import binomtest  # only now: slow to import

    return float(binomtest(share.correct, share.total, threshold, alternative="less").pvalue)


def _share(score: Evaluation) -> Share:
    """The share by the competition's metric; a balanced accuracy as if all classes had the same size."""
    return Share(correct=round(score.accuracy * score.total), total=score.total)


def _histogram(record: Record) -> str | None:
    return record.training.histogram.sha256 if record.training else None


def _verdict(part: Record | Run) -> str:
    return f"{part.status.verdict}: {part.status.reason}"
