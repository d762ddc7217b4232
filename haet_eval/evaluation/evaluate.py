"""One evaluation, from an archive to a ranked record: unpack, train, predict, score, record."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from haet_eval.errors import EnvironmentProblem, Verdict
from haet_eval.evaluation.audit import conclude, redraw, with_audit
from haet_eval.evaluation.compose import compose
from haet_eval.evaluation.frame import Work
from haet_eval.evaluation.heard import Heard
from haet_eval.evaluation.repetition import as_run, merge, seeds
from haet_eval.evaluation.request import Assignment, Outcome, Request, check_options
from haet_eval.evaluation.results import Ran, Scored, Unpacked
from haet_eval.evaluation.run import run
from haet_eval.evaluation.score import score_predictions
from haet_eval.evaluation.unpack import unpack
from haet_eval.evaluation.watch import interrupted
from haet_eval.interruption import check, deferred
from haet_eval.progress import Observer, Silent
from haet_eval.ranking import place
from haet_eval.record import Record
from haet_eval.runtimes.choice import choose_runtime
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
    check()
    unpacked = unpack(request, watcher)
    if unpacked.assignment is None:
        record = compose(request, request.seed, unpacked, Heard(watcher))
    else:
        check_options(request, unpacked.assignment.competition)
        record = _judge(request, unpacked, unpacked.assignment, store, watcher)
    watcher.stage("record")
    record = place(record, store.listing().records.values())
    return Outcome(record, store.add(record))


def _judge(
    request: Request, unpacked: Unpacked, assignment: Assignment, store: Store, observer: Observer
) -> Record:
    """Run it as often as was asked for, and audit it where it was."""
    records: list[Record] = []
    for number, seed in enumerate(seeds(request.seed, request.runs), start=1):
        if request.runs > 1:
            observer.note(f"run {number} of {request.runs}, seed {seed}")
        work = Work(assignment, seed, request.device, store, Heard(observer))
        records.append(_attempt(request, unpacked, work)[0])
        if records[-1].status.verdict is Verdict.INTERRUPTED:
            break  # no seed would change that
    rules, first = assignment.competition, records[0]
    record = first if len(records) == 1 else merge(records, rules.runs, assignment.task.threshold)
    if request.split_seed is None:
        return record
    if first.evaluation is None or record.status.verdict is Verdict.INTERRUPTED:
        observer.note("There is nothing to audit: the run did not come to predictions.")
        return record
    work = Work(assignment, first.environment.seed, request.device, store, Heard(observer))
    return _audit(request, request.split_seed, unpacked, work, record, first)


def _attempt(request: Request, unpacked: Unpacked, work: Work) -> tuple[Record, npt.NDArray[np.int64] | None]:
    """Run and judge a submission once; the record is not ranked yet. Also its predictions, if it made any."""
    ran: Ran | None = None
    scored: Scored | None = None
    interruption = labels = None
    try:
        check()
        runtime = choose_runtime(request.sandbox, request.device, request.hosts)
        remove_leftovers()
        ran = run(work, runtime, work.assignment.competition.runner, request.metering)
        if ran.predicted and ran.predicted.labels is not None and ran.failure is None:
            training, labels = ran.trained.training, ran.predicted.labels
            uncounted = training.operations.uncounted if training else ()
            scored = score_predictions(work, labels, ran.predicted.operations, uncounted)
            if request.count and ran.runner == "native":
                ran = _counted_too(request, work, ran)
    except KeyboardInterrupt:
        interruption = interrupted()
    return compose(request, work.seed, unpacked, work.heard, ran, scored, interruption), labels


def _audit(
    request: Request, seed: int, unpacked: Unpacked, work: Work, record: Record, audited: Record
) -> Record:
    """The record with the audit of its first run, which has predicted."""
    observer = work.heard
    observer.note(f"audit: training again on another split of the images, drawn with seed {seed}")
    drawn = redraw(work.assignment.dataset, seed)
    other = replace(work.assignment, dataset=drawn.dataset)
    try:
        again, predictions = _attempt(
            request, replace(unpacked, assignment=other), replace(work, assignment=other)
        )
    except EnvironmentProblem as problem:
        observer.note(f"The audit could not be made: {problem.message}. The record is without it.")
        return record
    if again.status.verdict is Verdict.INTERRUPTED:
        observer.note("The audit was interrupted: the record is without it.")
        return record
    return with_audit(record, conclude(as_run(audited), as_run(again), drawn, seed, predictions))


def _counted_too(request: Request, work: Work, ran: Ran) -> Ran:
    """The native run with what the same training costs on handles; that judges nothing."""
    observer = work.heard
    observer.note("Training again with the same seed, to count its operations.")
    try:
        runtime = choose_runtime(request.sandbox, request.device)
        again = run(replace(work, heard=Heard(observer)), runtime, "counted", request.metering)
    except EnvironmentProblem as problem:
        observer.note(
            f"The training could not be counted: {problem.message}. The record is without its count."
        )
        return ran
    if again.failure and again.failure.verdict is Verdict.INTERRUPTED:
        observer.note("The second training was interrupted: the record is without its count.")
        return ran
    if again.failure:
        observer.note(f"The training could not be counted: {again.failure.verdict}. {again.failure.reason}")
    counted, native = again.trained.training, ran.trained.native
    if counted and native and counted.model and counted.model != native.model:
        observer.note("The counted training gave other weights than the native one.")
    return replace(ran, trained=replace(ran.trained, training=counted), trace=again.trace)
