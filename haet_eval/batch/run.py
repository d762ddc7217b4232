"""Drives a plan over a site: in parallel, with retries, until all jobs are judged or something stops it."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tenacity import RetryCallState, Retrying
from tenacity.nap import sleep_using_event
from tenacity.retry import retry_if_exception_type
from tenacity.stop import stop_after_attempt, stop_when_event_set
from tenacity.wait import wait_exponential_jitter

from haet_eval.batch.events import (
    Event,
    GivenUp,
    Moved,
    Noted,
    NotStored,
    Planned,
    Retried,
    RunStarted,
    SubmissionJudged,
    Watcher,
)
from haet_eval.batch.job import BatchJob, Order
from haet_eval.batch.judge import StageReached
from haet_eval.batch.ledger import GivenUpEvaluation, Ledger
from haet_eval.batch.plan import BatchPlan, Item
from haet_eval.batch.site import Site, SiteLost
from haet_eval.competition import builtin_competitions, load_competition, read_rules
from haet_eval.dataset import default_data_dir
from haet_eval.errors import EnvironmentProblem, HaetError, SubmissionFailure, UsageProblem
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.keeping import KeptElsewhere
from haet_eval.evaluation.request import Request, WrittenRecord
from haet_eval.files import real_path
from haet_eval.store import Store
from haet_eval.submission import ArchiveLimits, load_submission

# Three different submissions point at the machine (decision 0072).
FAILURES_IN_A_ROW: Final = 3
_FIRST_WAIT_SECONDS: Final = 1.0
_LONGEST_WAIT_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 1.0
_INTERRUPTED: Final = "interrupted"


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """The settings of a batch; the fields from `sources` on are as in an order."""

    results: Path
    data_dir: Path | None
    test_data: Path | None
    retries: int
    sources: str
    image: str | None
    checkpoint_seconds: float | None = None
    run_dir: Path | None = None


@dataclass
class BatchSummary:
    """The result of a batch. `diagnosis` is why it was stopped before its end; "" if it was not.

    `given_up` are submissions that failed on our side, among them those that were judged and are not stored;
    `blocked` those that cannot be judged as the user named them.
    """

    outcomes: list[tuple[str, WrittenRecord]] = field(default_factory=list)
    given_up: list[GivenUp] = field(default_factory=list)
    blocked: list[GivenUp] = field(default_factory=list)
    left: int = 0
    diagnosis: str = ""
    hint: str = ""


class Reporting:
    """Passes events to the watcher, one at a time, from any thread."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._lock = threading.Lock()
        self._labels: dict[str, str] = {}

    def expect(self, job: BatchJob) -> None:
        """Messages about this job will come: keep its label for them."""
        self._labels[job.key] = job.label

    def tell(self, event: Event) -> None:
        with self._lock:
            self._watcher.tell(event)

    def receive(self, message: StageReached) -> None:
        """Pass on a message from a run. Messages from runs of another batch are dropped."""
        if label := self._labels.get(message.key):
            self.tell(Moved(label, message.node, message.stage, message.tick))


class RunningBatch:
    """One running batch."""

    def __init__(
        self, plan: BatchPlan, settings: BatchSettings, ledger: Ledger, reporting: Reporting
    ) -> None:
        self._plan = plan
        self._settings = settings
        self._ledger = ledger
        self._reporting = reporting
        # It ends waits between retries at once and keeps new runs from starting.
        self._stop = threading.Event()
        # The threads of all runs change the summary and `_in_a_row`.
        self._lock = threading.Lock()
        self._in_a_row: list[GivenUp] = []
        self.summary = BatchSummary(left=len(plan.jobs) + len(plan.refused))

    def run(self, open_site: Callable[[], Site]) -> BatchSummary:
        """Judge the submissions without a record. The site is opened only if there is something to run.

        Raises:
            EnvironmentProblem: the site or the results folder cannot be used.
            KeyboardInterrupt: the user stopped the batch; its running evaluations were ended and removed.
        """
        for item in self._plan.items:
            self._reporting.tell(Planned(item.source.label, item.options.seed, item.state, item.detail))
        # A folder that cannot be written is found now, and not after the first hour of training.
        Store(self._settings.results).prepare()
        for item in self._plan.blocked:
            self._block(item)
        for item in self._plan.refused:
            self._refuse(item)
        if self._plan.jobs:
            self._run_jobs(open_site())
        return self.summary

    def _run_jobs(self, site: Site) -> None:
        jobs = iter(self._plan.jobs)
        # Only as many threads start as runs have room; a cluster may get more room later.
        drivers = ThreadPoolExecutor(len(self._plan.jobs), thread_name_prefix="driver")
        try:
            self._feed(jobs, site, drivers)
        # The site itself failed, so no retry can help; the summary explains it.
        except SiteLost as lost:
            self._end(lost.message, lost.hint)
        except KeyboardInterrupt:
            self._reporting.tell(Noted("Stopping the runs that are under way; the same command goes on."))
            raise
        finally:
            if self.summary.left:  # stopped by the user or by failures
                self._stop.set()
                site.stop()
            # After `site.stop`: the drivers wait for runs, which only end with the site.
            drivers.shutdown(cancel_futures=True)
            site.close()

    def _feed(self, jobs: Iterator[BatchJob], site: Site, drivers: ThreadPoolExecutor) -> None:
        """Start runs while the site has room, until no job is left or the batch is stopped."""
        under_way: set[Future[None]] = set()
        job = next(jobs, None)
        if not site.slots():
            self._reporting.tell(Noted("No worker is there yet; waiting for one."))
        while (job or under_way) and not self._stop.is_set():
            # Asked each time: workers of a cluster join and leave.
            room = site.slots()
            while job and len(under_way) < room:
                under_way.add(drivers.submit(self._drive, job, site))
                job = next(jobs, None)
            # No worker is there. `wait` would return at once for an empty set and keep a processor busy.
            if not under_way:
                self._stop.wait(_LOOK_SECONDS)
                continue
            # The limit lets the loop notice new workers and a stop.
            done, under_way = wait(under_way, _LOOK_SECONDS, FIRST_COMPLETED)
            # An exception that `_drive` does not know is a fault of ours and must not be lost in the future.
            for future in done:
                future.result()

    def _block(self, item: Item) -> None:
        """A submission that cannot be judged as the user named it is only reported; the others are judged."""
        given = GivenUp(item.source.label, item.detail, item.hint)
        self.summary.blocked.append(given)
        self._reporting.tell(given)

    def _refuse(self, item: Item) -> None:
        """A submission that breaks a rule is judged here, without a run: it gets its record at once."""
        # Nothing of the submission is executed, so this needs no process of its own.
        options, started = item.options, time.monotonic()
        request = Request(
            submission=item.source.path,
            data_dir=self._settings.data_dir or default_data_dir(),
            results=self._settings.results,
            competition=options.competition,
            task=options.task,
            sandbox=options.sandbox,
            seed=options.seed,
            device=options.device,
            runs=options.runs,
            received_at=item.source.received,
        )
        self._judged(item.source.label, evaluate(request), started)

    def _drive(self, job: BatchJob, site: Site) -> None:
        """Make a run, and repeat it if our side failed, until it is judged or given up."""
        started = time.monotonic()
        self._reporting.expect(job)
        retrying = Retrying(
            # Not for wrong usage and internal faults: they would fail in the same way again.
            retry=retry_if_exception_type(EnvironmentProblem),
            stop=stop_after_attempt(self._settings.retries + 1) | stop_when_event_set(self._stop),
            wait=wait_exponential_jitter(_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS),
            # A plain sleep would keep a stopped batch waiting for up to a minute.
            sleep=sleep_using_event(self._stop),
            before=lambda state: self._reporting.tell(RunStarted(job.label, state.attempt_number)),
            before_sleep=lambda state: self._reporting.tell(_retried(job, state)),
            reraise=True,
        )
        try:
            outcome = retrying(lambda: self._attempt(job, site))
        except SiteLost as lost:
            self._end(lost.message, lost.hint)
        # It was judged: nothing is taken down that a second evaluation could correct.
        except KeptElsewhere as kept:
            self._failed(NotStored(job.label, kept.message, kept.hint))
        except HaetError as problem:
            if self._stop.is_set():
                return  # the batch was stopped before the next retry: this is not a failure of the job
            failure = GivenUpEvaluation(job.label, problem.message, problem.hint)
            self._ledger.put_failure(job.identity, failure)
            self._failed(GivenUp(job.label, problem.message, problem.hint))
        else:
            self._ledger.forget_failure(job.identity)
            with self._lock:
                self._in_a_row.clear()
            self._judged(job.label, outcome, started)

    def _attempt(self, job: BatchJob, site: Site) -> WrittenRecord:
        # A driver can start after the stop: its future was submitted before.
        if self._stop.is_set():
            raise SiteLost("the batch was stopped")
        # The order is made for each attempt: archives of all submissions at once could fill the memory.
        outcome = site.judge(self._order(job))
        # A scheduler may take a node away with SIGTERM, which leaves such a record. It is no judgement.
        if outcome.record.status.verdict == _INTERRUPTED:
            raise EnvironmentProblem(
                "the run was interrupted", "Its machine may have been shut down.", code="interrupted"
            )
        return outcome

    def _order(self, job: BatchJob) -> Order:
        """The order with the submission as bytes. It and its rules must be those of the plan."""
        # Built-in rules are on every node, where `check_node` compares their digest. Others travel as text.
        built_in = job.competition in builtin_competitions()
        competition = load_competition(job.competition)
        # Otherwise each node would find that it has other rules, and be set aside.
        if competition.digest != job.identity.competition:
            raise _changed(job.competition)
        return Order(
            job=job,
            archive=_archive(job, competition.limits.for_archives()),
            rules=None if built_in else read_rules(Path(job.competition)),
            rules_folder=None if built_in else real_path(Path(job.competition)).parent,
            data_dir=self._settings.data_dir,
            test_data=self._settings.test_data,
            sources=self._settings.sources,
            image=self._settings.image,
            checkpoint_seconds=self._settings.checkpoint_seconds,
            run_dir=self._settings.run_dir,
        )

    def _judged(self, label: str, outcome: WrittenRecord, started: float) -> None:
        record = outcome.record
        with self._lock:
            self.summary.outcomes.append((label, outcome))
            self.summary.left -= 1
        self._reporting.tell(
            SubmissionJudged(
                submission=label,
                verdict=record.status.verdict,
                record_id=record.record_id,
                record=outcome.path,
                complexity=record.complexity,
                accuracy=record.evaluation.accuracy if record.evaluation else None,
                seconds=time.monotonic() - started,
            )
        )

    def _failed(self, given: GivenUp) -> None:
        """A submission failed on our side; a few of these in a row end the batch."""
        with self._lock:
            self.summary.given_up.append(given)
            self.summary.left -= 1
            self._in_a_row.append(given)
            row = list(self._in_a_row)
        self._reporting.tell(given)
        if len(row) >= FAILURES_IN_A_ROW:
            names = ", ".join(one.submission for one in row)
            what = "stored" if isinstance(given, NotStored) else "judged"
            self._end(
                f"{len(row)} submissions in a row could not be {what} ({names}); the last: {given.reason}",
                given.hint,
            )

    def _end(self, diagnosis: str, hint: str) -> None:
        with self._lock:
            # The first reason counts: later ones follow from the stop itself.
            if not self._stop.is_set():
                self.summary.diagnosis, self.summary.hint = diagnosis, hint
        self._stop.set()


def _retried(job: BatchJob, state: RetryCallState) -> Retried:
    assert state.outcome is not None
    reason = str(state.outcome.exception())
    return Retried(job.label, state.attempt_number, state.upcoming_sleep, reason)


def _archive(job: BatchJob, limits: ArchiveLimits) -> bytes:
    try:
        submission = load_submission(job.path, limits)
        # The record's identity was planned. Another content would get a record that the next plan does not
        # find. The bytes are those that were checked: a second reading could give others.
        if submission.sha256 == job.identity.submission:
            return submission.archive
    except SubmissionFailure:
        pass  # the plan could read it, so it was changed since
    raise _changed(job.path)


def _changed(path: Path | str) -> UsageProblem:
    return UsageProblem(
        f"{path} was changed after the batch had been planned",
        "Start the batch again.",
        code="batch-changed",
    )
