"""One evaluation, from an archive to its record: unpack, train, predict, score, record."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from haet_eval.errors import EnvironmentProblem, UsageProblem, Verdict
from haet_eval.evaluation.audit import DRAWN, conclude, draw, with_audit
from haet_eval.evaluation.compose import compose
from haet_eval.evaluation.course import CheckpointPlan
from haet_eval.evaluation.frame import PlannedRun
from haet_eval.evaluation.heard import Heard
from haet_eval.evaluation.keeping import Keeping, KeptElsewhere
from haet_eval.evaluation.repetition import as_run, merge, seeds
from haet_eval.evaluation.request import Assignment, Request, WrittenRecord, check_options
from haet_eval.evaluation.results import Ran, Scored, Unpacked
from haet_eval.evaluation.resumption import how_to_go_on, plan_of
from haet_eval.evaluation.run import run, software
from haet_eval.evaluation.score import score_predictions
from haet_eval.evaluation.unpack import unpack
from haet_eval.evaluation.watch import interrupted
from haet_eval.incidents import put_incident
from haet_eval.interruption import check, deferred
from haet_eval.progress import Observer, Silent
from haet_eval.record import AuditKind, Record
from haet_eval.runtimes import compiled_client
from haet_eval.runtimes.choice import choose_runtime
from haet_eval.runtimes.folder import RunFolder
from haet_eval.runtimes.leftovers import remove_leftovers
from haet_eval.runtimes.packages import differing_packages
from haet_eval.store import Store


@deferred()
def evaluate(request: Request, observer: Observer | None = None) -> WrittenRecord:
    """Judge one submission and write its record, which is not ranked: see `Store.ranked`.

    If this process listens to signals (`interruption`), the first one stops the evaluation cleanly, with a
    record that says so.

    Raises:
        HaetError: the submission could not be judged. There is no record, but there is an incident
            (`incidents`), unless the user caused the error. Of several runs, the finished ones are kept, and
            the same request continues with the others.
        KeptElsewhere: the submission was judged, but the record cannot be written to the results.
        KeyboardInterrupt: a signal came before the submission had been read; there is no record.
    """
    heard = Heard(observer or Silent())
    plan = plan_of(request)
    results = Store(request.results)
    # Results that cannot be written are found before the training, which may take hours.
    results.prepare()
    try:
        with RunFolder() as folder:
            keeping = Keeping(folder, results)
            with _no_run_lost(keeping, heard):
                record = _record(request, keeping, heard, plan)
            heard.stage("record")
            path = keeping.finish(record)
            # The checkpoints go last: until the record is written they are the only way back to the training.
            if plan:
                plan.discard()
            _tell_how_to_go_on(plan, heard)
            return WrittenRecord(record, path)
    # Neither of these becomes an incident: the user can correct the first, and the second has its record in a
    # folder that the message names.
    except (UsageProblem, KeptElsewhere):
        raise
    except Exception as error:
        _tell_how_to_go_on(plan, heard)
        _leave_incident(request, error, heard)
        raise


@contextmanager
def _no_run_lost(keeping: Keeping, heard: Heard) -> Iterator[None]:
    """Whatever ends this block too early: runs that are over and that the results did not take stay."""
    try:
        yield
    except BaseException as error:
        told = keeping.runs_elsewhere()
        if told is None:
            raise
        where, what_to_do = told
        if isinstance(error, EnvironmentProblem):  # a batch shows the error and no notes
            hint = ". ".join(filter(None, (error.hint.rstrip("."), what_to_do)))
            raise EnvironmentProblem(f"{error.message}; {where}", hint, code=error.code) from error
        heard.note(f"{where[0].upper()}{where[1:]}. {what_to_do}")
        raise


def _leave_incident(request: Request, error: Exception, heard: Heard) -> None:
    """Write down the facts about a failure on our side, unless the file would soon be removed."""
    if not request.incidents:
        return
    facts = {
        "stage": heard.reached,
        "submission": request.archive_name or str(request.submission),
        "sandbox": request.sandbox,
        "device": request.device,
        "log": {"head": heard.log.head, "tail": heard.log.tail},
    }
    if incident := put_incident(request.results, error, facts):
        heard.note(f"What is known of this is in {incident}")
    else:
        heard.note(f"{request.results} took no file about this failure, so keep these messages.")


def _tell_how_to_go_on(plan: CheckpointPlan | None, heard: Heard) -> None:
    if plan and plan.interrupted and plan.interrupted.checkpoints():
        heard.note(f"The run can go on at its last checkpoint: {how_to_go_on(plan.interrupted)}")


def _record(request: Request, keeping: Keeping, heard: Heard, plan: CheckpointPlan | None) -> Record:
    check()
    unpacked = unpack(request, heard)
    if unpacked.assignment is None:
        # A submission that breaks a rule is judged too: it gets a record with the reason, and nothing runs.
        return compose(request, request.seed, unpacked, heard)
    if plan:
        plan.archive = unpacked.assignment.submission.archive
    check_options(request, unpacked.assignment.competition)
    # A run that was killed cannot clean up after itself, so each evaluation begins with that (decision 0082).
    # What is left over would take memory and processors from this one.
    remove_leftovers()
    records = list(_runs(request, unpacked, unpacked.assignment, keeping, heard, plan))
    assignment, first = unpacked.assignment, records[0]
    runs = assignment.competition.runs
    record = first if len(records) == 1 else merge(records, runs, assignment.task.threshold)
    if not request.audits:
        return record
    # An audit compares predictions with predictions, and whoever has interrupted the run wants no other one.
    if first.evaluation is None or record.status.verdict is Verdict.INTERRUPTED:
        heard.note("There is nothing to audit: the run did not come to predictions.")
        return record
    # An audit trains with the seed of the first run, so that only the images differ (decision 0055).
    trained_seed = first.environment.seed
    for kind, seed in request.audits.items():
        # Output and reports are those of one training, and its output has a limit.
        work = PlannedRun(assignment, trained_seed, request.device, keeping.store, heard.of_a_run(), plan)
        record = _audit(request, kind, seed, unpacked, work, record, first)
    return record


def _runs(
    request: Request,
    unpacked: Unpacked,
    assignment: Assignment,
    keeping: Keeping,
    heard: Heard,
    plan: CheckpointPlan | None,
) -> Iterator[Record]:
    """The record of each run, until one is interrupted. Runs of an earlier evaluation are not repeated."""
    several = request.runs > 1
    # Software is asked for before the first run: runs of another PyTorch or image must not be merged with
    # these.
    kept = keeping.finished_runs(request, assignment, _software(request)) if several else {}
    for number, seed in enumerate(seeds(request.seed, request.runs), start=1):
        if several:
            over = ": it is over, and was kept" if seed in kept else ""
            heard.note(f"run {number} of {request.runs}, seed {seed}{over}")
        if seed in kept:  # the entry may be named or dated otherwise than when that run was made
            yield kept[seed].model_copy(update={"submission": unpacked.submission})
            continue
        work = PlannedRun(assignment, seed, request.device, keeping.store, heard.of_a_run(), plan)
        record, _ = _attempt(request, unpacked, work)
        yield record
        if record.status.verdict is Verdict.INTERRUPTED:
            return  # the user or the scheduler wants to stop, so there is no next run
        if several:
            keeping.keep_run(record)
            if plan and not request.audits:
                plan.discard()


def _software(request: Request) -> dict[str, str | None]:
    with choose_runtime(request.sandbox, request.device, request.hosts) as runtime:
        runtime.check()
        return software(runtime.describe())


def _attempt(
    request: Request, unpacked: Unpacked, work: PlannedRun
) -> tuple[Record, npt.NDArray[np.int64] | None]:
    """Run and judge a submission once. Returns the record, not ranked yet, and the predictions, if any."""
    ran: Ran | None = None
    scored: Scored | None = None
    interruption = labels = None
    try:
        check()
        runtime = choose_runtime(request.sandbox, request.device, request.hosts)
        if request.sandbox == "process" and (other := differing_packages()):
            work.heard.note(f"Packages here differ from those of the image: {', '.join(other)}.")
        # The image has a compiled client of its own, and a native run has no handles.
        if request.sandbox == "process" and work.assignment.competition.runner != "native":
            compiled_client.prepare(work.heard.note)
        ran = run(work, runtime, work.assignment.competition.runner, request.metering)
        # Labels alone are not enough: a native run can break a limit with its last output, after its labels
        # came.
        if ran.predicted and ran.predicted.labels is not None and ran.failure is None:
            training, labels = ran.trained.training, ran.predicted.labels
            uncounted = training.operations.uncounted if training else ()
            scored = score_predictions(work, labels, ran.predicted, uncounted)
            # The count comes after the score: the native run stands, whatever becomes of the second training.
            if request.count and ran.runner == "native":
                ran = _counted_too(request, work, ran)
    except KeyboardInterrupt:
        interruption = interrupted()
    history = work.heard.reported.put(work.store)
    return compose(request, work.seed, unpacked, work.heard, ran, scored, interruption, history), labels


def _audit(
    request: Request,
    kind: AuditKind,
    seed: int,
    unpacked: Unpacked,
    work: PlannedRun,
    record: Record,
    audited: Record,
) -> Record:
    """The record with one more audit of its first run, which has predicted."""
    observer = work.heard
    observer.note(f"audit: training again on {DRAWN[kind]}, drawn with seed {seed}")
    try:
        drawn = draw(kind, work.assignment.dataset, seed)
        other = replace(work.assignment, dataset=drawn.dataset)
        again, predictions = _attempt(
            request, replace(unpacked, assignment=other), replace(work, assignment=other)
        )
        if again.status.verdict is not Verdict.INTERRUPTED:
            found = conclude(as_run(audited), as_run(again), drawn, seed, predictions)
            return with_audit(record, found)
        observer.note("The audit was interrupted: the record is without it.")
    except Exception as error:  # any error: the audited run is complete, and its record must not be lost
        observer.note(f"The audit could not be made: {error}. The record is without it.")
    # The record is written now. A way back to this audit would train the audited run once more.
    if work.plan:
        work.plan.give_up()
    return record


def _counted_too(request: Request, work: PlannedRun, ran: Ran) -> Ran:
    """The native run, with the cost of the same training on handles; the cost does not change the verdict."""
    observer = work.heard
    observer.note("Training again with the same seed, to count its operations.")
    try:
        # Not on the hosts of the native run: a counted training is one pair of workers on this machine.
        runtime = choose_runtime(request.sandbox, request.device)
        # It has a `Heard` of its own: reports and output of both trainings would mix in one record otherwise.
        again = run(replace(work, heard=Heard(observer)), runtime, "counted", request.metering)
    except Exception as error:  # any error: the native run is complete, and its record must not be lost
        observer.note(f"The training could not be counted: {error}. The record is without its count.")
        return ran
    # Part of a count would pass for the cost of the training.
    if again.failure and again.failure.verdict is Verdict.INTERRUPTED:
        observer.note("The second training was interrupted: the record is without its count.")
        return ran
    if again.failure:
        observer.note(f"The training could not be counted: {again.failure.verdict}. {again.failure.reason}")
    counted, native = again.trained.training, ran.trained.native
    if counted and native and counted.model and counted.model != native.model:
        observer.note("The counted training gave other weights than the native one.")
    return replace(ran, trained=replace(ran.trained, training=counted), trace=again.trace)
