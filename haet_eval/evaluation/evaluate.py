"""One evaluation, from an archive to a ranked record: unpack, train, predict, score, record."""

import dataclasses

from haet_eval.dataset import Dataset
from haet_eval.errors import EnvironmentProblem, SubmissionFailure, Verdict
from haet_eval.evaluation import counted, native
from haet_eval.evaluation.assignment import Assignment
from haet_eval.evaluation.audit import conclude, redraw, with_audit
from haet_eval.evaluation.findings import Findings
from haet_eval.evaluation.judging import score_predictions
from haet_eval.evaluation.options import check_options
from haet_eval.evaluation.repetition import as_run, merge, seeds
from haet_eval.evaluation.request import Outcome, Request
from haet_eval.evaluation.sandbox import choose_runtime
from haet_eval.evaluation.unpacking import unpack
from haet_eval.interruption import check, deferred, received
from haet_eval.progress import Observer, Silent
from haet_eval.ranking import place
from haet_eval.record import Record
from haet_eval.runtimes.leftovers import remove_leftovers
from haet_eval.store import Store


@deferred()
def evaluate(request: Request, observer: Observer | None = None) -> Outcome:
    """Judge one submission and write its record.

    Where signals are listened to (`interruption`), the first ends it in order, with a record that says so.

    Raises:
        HaetError: it could not be judged; no record is written.
        KeyboardInterrupt: it was interrupted before the submission had been read; no record is written.
    """
    watcher = observer or Silent()
    store = Store(request.results)
    store.prepare()
    attempts: list[Findings] = []
    records: list[Record] = []
    for number, seed in enumerate(seeds(request.seed, request.runs), start=1):
        if request.runs > 1:
            watcher.note(f"run {number} of {request.runs}, seed {seed}")
        attempts.append(_findings(attempts, Findings(store, request.sandbox, request.device, seed)))
        records.append(attempt(request, attempts[-1], watcher))
        if attempts[-1].stage == "unpack" or records[-1].status.verdict is Verdict.INTERRUPTED:
            break  # no seed would change that
    record = records[0] if len(records) == 1 else _merge(records, attempts[0])
    if request.split_seed is not None:
        record = _audit(request, request.split_seed, record, records[0], attempts[0], watcher)
    watcher.stage("record")
    record = place(record, store.listing().records.values())
    return Outcome(record, store.add(record))


def _findings(earlier: list[Findings], fresh: Findings) -> Findings:
    """The fresh ones of a further run, with what is the same in all runs: it may end before it begins."""
    if not earlier:
        return fresh
    first = earlier[0]
    return dataclasses.replace(
        fresh, submission=first.submission, competition=first.competition, dataset=first.dataset
    )


def _merge(records: list[Record], findings: Findings) -> Record:
    assert findings.competition is not None
    assert findings.submission is not None
    rules = findings.competition
    return merge(records, rules.runs, rules.task(findings.submission.task).threshold)


def _audit(
    request: Request, seed: int, record: Record, audited: Record, first: Findings, observer: Observer
) -> Record:
    """The record with the audit of its first run, if that one predicted."""
    if first.evaluation is None or first.dataset is None or record.status.verdict is Verdict.INTERRUPTED:
        observer.note("There is nothing to audit: the run did not come to predictions.")
        return record
    observer.note(f"audit: training again on another split of the images, drawn with seed {seed}")
    drawn = redraw(first.dataset, seed)
    findings = Findings(first.store, request.sandbox, request.device, audited.environment.seed)
    try:
        again = attempt(request, findings, observer, drawn.dataset)
    except EnvironmentProblem as problem:
        observer.note(f"The audit could not be made: {problem.message}. The record is without it.")
        return record
    if again.status.verdict is Verdict.INTERRUPTED:
        observer.note("The audit was interrupted: the record is without it.")
        return record
    return with_audit(record, conclude(as_run(audited), as_run(again), drawn, seed, findings.predictions))


def attempt(
    request: Request, findings: Findings, observer: Observer, other_data: Dataset | None = None
) -> Record:
    """Run and judge a submission once, with the seed of the findings; the record is not ranked yet.

    `other_data` stands for the data set of the task.
    """
    try:
        check()
        assignment = unpack(request, findings, observer)
        if other_data is not None:
            assignment = dataclasses.replace(assignment, dataset=other_data)
            findings.dataset = other_data
        check_options(request, assignment.competition)
        check()
        runtime = choose_runtime(request.sandbox, request.device, request.hosts)
        remove_leftovers()
        if assignment.competition.runner == "native":
            predictions = native.train_and_predict(assignment, runtime, findings, observer, request.metering)
        else:
            predictions = counted.train_and_predict(assignment, runtime, findings, observer)
        failure = score_predictions(assignment, predictions, findings, observer)
        if request.count and findings.native is not None:
            _count_too(request, assignment, findings, observer)
        findings.stage = "record"
    except SubmissionFailure as raised:
        failure = raised
    except KeyboardInterrupt:
        if findings.submission is None:
            raise
        failure = SubmissionFailure(Verdict.INTERRUPTED, _interruption(), code="interrupted")
    return findings.record(failure)


def _interruption() -> str:
    signal = received()
    by = f" ({signal.name})" if signal else ""
    return f"The evaluation was interrupted{by}. This says nothing about the submission: evaluate it again."


def _count_too(request: Request, assignment: Assignment, findings: Findings, observer: Observer) -> None:
    """Train with the same seed on handles: what that costs is added to the findings, and judges nothing."""
    assert findings.native is not None
    again = Findings(findings.store, findings.sandbox, findings.device, findings.seed)
    observer.note("Training again with the same seed, to count its operations.")
    try:
        runtime = choose_runtime(request.sandbox, request.device)
        counted.train_and_predict(assignment, runtime, again, observer)
    except SubmissionFailure as failure:
        observer.note(f"The training could not be counted: {failure.verdict}. {failure.reason}")
    except EnvironmentProblem as problem:
        observer.note(
            f"The training could not be counted: {problem.message}. The record is without its count."
        )
        return
    except KeyboardInterrupt:
        observer.note("The second training was interrupted: the record is without its count.")
        return
    findings.training, findings.trace = again.training, again.trace
    if again.training and again.training.model and again.training.model != findings.native.model:
        observer.note("The counted training gave other weights than the native one.")
