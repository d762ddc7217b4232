"""The plan of a batch: which submissions are new, which are judged already, which failed on our side."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from haet_eval import __version__
from haet_eval.batch.capacity import exclusive
from haet_eval.batch.job import BatchJob, Identity
from haet_eval.batch.ledger import Ledger
from haet_eval.batch.sources import SubmissionSource
from haet_eval.competition import Competition, competition_for_task, load_competition
from haet_eval.errors import InvalidSubmission, UsageProblem
from haet_eval.evaluation.unpack import check_size, digest_of, limits_by, task_of
from haet_eval.files import real_path
from haet_eval.record import Sandbox
from haet_eval.submission import load_submission


class SubmissionState(StrEnum):
    """The state of a submission. A refused one breaks a rule that is checked without a run.

    A blocked one cannot be judged as the user named it: it cannot be read, or is not for the task or the
    rules that the user gave. It gets no record, and the others are judged.
    """

    NEW = "new"
    DONE = "done"
    FAILED_BEFORE = "failed before"
    REFUSED = "refused"
    BLOCKED = "blocked"
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class Options:
    """The options of every submission of a batch, unless a list gives others."""

    competition: str | None = None
    task: str | None = None
    sandbox: Sandbox = "docker"
    seed: int = 0
    runs: int = 1
    device: str = "cpu"

    def of(self, source: SubmissionSource) -> "Options":
        """These options with the changes that a list gives for one submission."""
        return Options(
            competition=source.competition or self.competition,
            task=source.task or self.task,
            sandbox=self.sandbox,
            seed=self.seed if source.seed is None else source.seed,
            runs=self.runs,
            device=self.device,
        )


@dataclass(frozen=True, slots=True)
class Item:
    """One submission of the list.

    Attributes:
        key: equal for the same evaluation.
        job: the job to run; None if the submission is refused.
        detail: depends on the state: the record, the earlier failure, the broken rule, the reason why it
        cannot
            be judged, or its first place on the list.
        hint: what to do about a blocked submission.
    """

    source: SubmissionSource
    state: SubmissionState
    options: Options
    key: str
    job: BatchJob | None = None
    detail: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """The list, in order."""

    items: tuple[Item, ...]

    @property
    def jobs(self) -> list[BatchJob]:
        """The jobs that remain to run."""
        states = (SubmissionState.NEW, SubmissionState.FAILED_BEFORE)
        return [item.job for item in self.items if item.job and item.state in states]

    @property
    def refused(self) -> list[Item]:
        """The refused submissions: they need a record, but no run."""
        return [item for item in self.items if item.state is SubmissionState.REFUSED]

    @property
    def blocked(self) -> list[Item]:
        """The submissions that cannot be judged as the user named them."""
        return [item for item in self.items if item.state is SubmissionState.BLOCKED]


@dataclass
class _Competitions:
    """The competitions of a batch, each read once."""

    known: dict[str, Competition] = field(default_factory=dict)

    def get(self, name: str) -> Competition:
        if name not in self.known:
            self.known[name] = load_competition(name)
        return self.known[name]


def make_plan(sources: Iterable[SubmissionSource], options: Options, ledger: Ledger) -> BatchPlan:
    """Look at each submission and at its files in the results folder. This runs and writes nothing.

    Raises:
        UsageProblem: the competition of the options cannot be read.
    """
    # Wrong rules are the user's mistake for all submissions. Later they would block each of them with its own
    # line.
    if options.competition:
        load_competition(options.competition)
    return BatchPlan(tuple(_items(sources, options, ledger)))


def _items(sources: Iterable[SubmissionSource], options: Options, ledger: Ledger) -> Iterator[Item]:
    rules = _Competitions()
    seen: dict[str, str] = {}
    for source in sources:
        its_own = options.of(source)
        try:
            job = _job(source, its_own, rules)
        # This breaks a rule and gets a record with a verdict. A UsageProblem is no fault of the contestant
        # and gets none.
        except InvalidSubmission as refusal:
            item = _refused(source, its_own, refusal.reason, ledger)
        except UsageProblem as problem:
            # It has no digest to compare, so only the same path with the same problem counts as a repetition.
            key = f"{source.label} {problem.message}"
            item = Item(
                source, SubmissionState.BLOCKED, its_own, key, detail=problem.message, hint=problem.hint
            )
        else:
            item = _item(source, job, its_own, ledger)
        # One evaluation for all: two runs of the same identity would give one record too many.
        if item.key in seen:
            yield replace(item, state=SubmissionState.REPEATED, detail=f"the same as {seen[item.key]}")
        else:
            seen[item.key] = source.label
            yield item


def _item(source: SubmissionSource, job: BatchJob, options: Options, ledger: Ledger) -> Item:
    if record := ledger.record_of(job.identity):
        return Item(source, SubmissionState.DONE, options, job.key, job, str(record))
    if failure := ledger.failure_of(job.identity):
        # It is tried again: what failed on our side may have been corrected since.
        return Item(source, SubmissionState.FAILED_BEFORE, options, job.key, job, failure.message)
    return Item(source, SubmissionState.NEW, options, job.key, job)


def _refused(source: SubmissionSource, options: Options, reason: str, ledger: Ledger) -> Item:
    digest = _digest(source.path, options)
    key = f"{digest} {reason}"
    if record := ledger.record_of_invalid(digest, reason):
        return Item(source, SubmissionState.DONE, options, key, detail=str(record))
    return Item(source, SubmissionState.REFUSED, options, key, detail=reason)


def _digest(path: Path, options: Options) -> str:
    """The digest of a refused submission in its record."""
    # The digest must be that of the record, which `evaluate` makes with the limits of these rules.
    limits = limits_by(load_competition(options.competition) if options.competition else None)
    return digest_of(path, limits)


def _job(source: SubmissionSource, options: Options, rules: _Competitions) -> BatchJob:
    # The task stands in the submission, so its own rules are not known before it was read. Until then the
    # default limits hold.
    asked = rules.get(options.competition) if options.competition else None
    submission = load_submission(source.path, limits_by(asked))
    task = submission.task
    name = options.competition or competition_for_task(task)
    competition = rules.get(name)
    if asked is None:
        check_size(submission, competition)
    task_of(submission, competition, options.task, options.competition)
    return BatchJob(
        identity=Identity(
            submission=submission.sha256,
            competition=competition.digest,
            seed=options.seed,
            runs=options.runs,
            sandbox=options.sandbox,
            device=options.device,
            haet_eval=__version__,
        ),
        label=source.label,
        path=source.path,
        name=submission.name,
        team=submission.team,
        task=task,
        competition=name,
        budgets=competition.budgets_for(task),
        exclusive=exclusive(competition),
        received_at=source.received,
        archive_name=real_path(source.path).name,
    )
