"""One evaluation, from an archive to a ranked record: unpack, train, predict, score, record."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from haet_eval import native_evaluation
from haet_eval.assignment import Assignment
from haet_eval.audit import conclude, redraw, with_audit
from haet_eval.competition import Competition, competition_for_task, load_competition
from haet_eval.dataset import Dataset, load_task_data
from haet_eval.errors import InvalidSubmission, SubmissionFailure, UsageProblem, Verdict
from haet_eval.findings import Findings, unread_submission
from haet_eval.interruption import check, deferred, received
from haet_eval.native_evaluation import AS_RANKED, Metering
from haet_eval.progress import Observer, Silent, Tick
from haet_eval.ranking import place
from haet_eval.record import Record, Sandbox, Uncounted
from haet_eval.remote.executor_link import ExecutorLost
from haet_eval.remote.messages import Job, Start
from haet_eval.remote.relay import SubmissionLost
from haet_eval.repetition import as_run, merge, seeds
from haet_eval.runtimes.hosts import HostsRuntime
from haet_eval.runtimes.interface import Role, Runtime
from haet_eval.runtimes.leftovers import remove_leftovers
from haet_eval.runtimes.process import ProcessRuntime
from haet_eval.scoring import judge, score
from haet_eval.store import Store
from haet_eval.submission import ArchiveLimits, Submission, load_submission
from haet_eval.workers import Run, executor_threads, open_run


@dataclass(frozen=True, slots=True)
class Request:
    """What to evaluate, and how. `competition` and `task` are None where the manifest's task decides.

    Several `runs` differ in their seeds, which are derived from `seed`. With a `split_seed`, the first of
    them is audited: trained once more, on the split that this draws. `count` also runs the counted training
    where the competition asks for a native one only. `test_data` is the test set, where that is secret;
    `rules_folder` is what the paths in the rules are relative to, where that is not their own folder.
    `hosts` are the machines that the nodes run on, one for each, if not this one.
    """

    submission: Path
    data_dir: Path
    results: Path
    competition: str | None = None
    task: str | None = None
    sandbox: Sandbox = "docker"
    seed: int = 0
    device: str = "cpu"
    runs: int = 1
    split_seed: int | None = None
    count: bool = False
    test_data: Path | None = None
    rules_folder: Path | None = None
    metering: Metering = AS_RANKED
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The record, as it was written to `path`."""

    record: Record
    path: Path


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
    again = attempt(request, findings, observer, drawn.dataset)
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
        _check_options(request, assignment.competition)
        check()
        runtime = choose_runtime(request.sandbox, request.device, request.hosts)
        remove_leftovers()
        if assignment.competition.runner == "native":
            predictions = native_evaluation.train_and_predict(
                assignment, runtime, findings, observer, request.metering
            )
        else:
            predictions = train_and_predict(assignment, runtime, findings, observer)
        failure = score_predictions(assignment, predictions, findings, observer)
        if request.count and findings.native is not None:
            count_too(assignment, choose_runtime(request.sandbox, request.device), findings, observer)
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


def unpack(request: Request, findings: Findings, observer: Observer) -> Assignment:
    """Read the archive, find its competition, load the data. Nothing of the submission is run."""
    observer.stage("unpack", str(request.submission))
    submission, competition = read(request, findings)
    task = competition.task(submission.task)
    findings.dataset = load_task_data(task, request.data_dir, competition.folder, request.test_data)
    return Assignment(
        submission, competition, task, competition.budgets_for(submission.task), findings.dataset
    )


def read(request: Request, findings: Findings) -> tuple[Submission, Competition]:
    """Read the archive and find its competition, which has the task that it is for."""
    competition = load_competition(request.competition) if request.competition else None
    if competition and request.rules_folder:
        competition = competition.located(request.rules_folder)
    limits = ArchiveLimits(**competition.limits.model_dump()) if competition else ArchiveLimits()
    findings.competition = competition
    if request.task is not None:
        _check_task(request.task, competition)
    try:
        submission = load_submission(request.submission, limits)
    except InvalidSubmission:
        findings.unread = unread_submission(request.submission)
        raise
    findings.submission = submission
    name = request.task or submission.task
    if competition is None:
        competition = load_competition(competition_for_task(name))
        findings.competition = competition
    if name != submission.task:
        raise InvalidSubmission(
            f'The submission is for the task "{submission.task}", not for "{name}" as was asked for.',
            code="task-mismatch",
        )
    competition.task(name)
    return submission, competition


def _check_task(name: str, competition: Competition | None) -> None:
    """What is wrong with the command line is nothing that a record says of a submission."""
    try:
        (competition or load_competition(competition_for_task(name))).task(name)
    except InvalidSubmission as error:
        raise UsageProblem(error.reason, "Correct --task, or leave it out.", code=error.code) from None


def _check_options(request: Request, rules: Competition) -> None:
    """Raises UsageProblem for options of native runs where the competition counts."""
    metering = request.metering
    given = {
        "--count": request.count,
        "--energy": metering.choice is not None,
        "--cpu-watts": metering.cpu_watts is not None,
        "--hosts": bool(request.hosts),
    }
    for option, is_given in given.items():
        if is_given and rules.runner == "counted":
            raise UsageProblem(
                f"{option} is for trainings on plain tensors, and {rules.name} counts operations",
                f"Leave {option} out, or choose a competition that ranks time or energy with --competition.",
                code="option-runner",
            )
    if request.split_seed is not None and request.test_data is not None:
        raise UsageProblem(
            "--audit trains on images of the test set with their labels, and --test-data is secret",
            "Leave --audit out: it looks for labels of test sets that are known.",
            code="audit-secret",
        )
    if request.hosts:
        _check_hosts(request, rules)


def _check_hosts(request: Request, rules: Competition) -> None:
    """Raises UsageProblem where the nodes cannot run on the hosts that were named."""
    if request.sandbox != "process":
        raise UsageProblem(
            "--hosts starts processes on other machines, not containers",
            "Add --sandbox process; such records are not official. Without --hosts all nodes are here.",
            code="hosts-sandbox",
        )
    if len(request.hosts) != rules.nodes:
        raise UsageProblem(
            f"--hosts names {len(request.hosts)} hosts, and {rules.name} trains on {rules.nodes} nodes",
            "Name a host for each node; one host may be named more than once.",
            code="hosts-number",
        )
    if request.metering.meters(rules.ranking) not in (None, "none"):
        raise UsageProblem(
            "energy is measured on this machine, and --hosts trains on others",
            "Add --energy none, or leave --hosts out.",
            code="hosts-energy",
        )


def choose_runtime(sandbox: Sandbox, device: str, hosts: Sequence[str] = ()) -> Runtime:
    """The runtime that was asked for, checked. With `hosts`, it starts one worker on each.

    Raises:
        EnvironmentProblem: it cannot be used on this machine.
    """
    runtime = HostsRuntime(hosts) if hosts else _here(sandbox, device)
    runtime.check()
    return runtime


def _here(sandbox: Sandbox, device: str) -> Runtime:
    return ProcessRuntime() if sandbox == "process" else _docker(device)


def _docker(device: str) -> Runtime:
    from haet_eval.runtimes.docker import DockerRuntime  # only now: the engine's SDK is slow to import

    return DockerRuntime(cuda=device == "cuda")


def train_and_predict(
    assignment: Assignment, runtime: Runtime, findings: Findings, observer: Observer
) -> npt.NDArray[np.int64]:
    """Run the submission in a pair of workers; returns one label for each test image."""
    findings.stage = "train"
    findings.threads = executor_threads(assignment.budgets)
    observer.stage("start")
    header = {
        "version": 2,
        "dataset": assignment.dataset.digest,
        "seed": findings.seed,
        "threads": findings.threads,
        "device": findings.device,
        "images": list(assignment.dataset.train_images.shape),
    }
    findings.runtime_facts = runtime.describe()
    with open_run(runtime, assignment.budgets, header) as run:
        findings.log = run.relay.log
        _observe(run, findings, observer)
        try:
            _start(assignment, run, findings)
            observer.stage("train", assignment.submission.name)
            _train(assignment, run, findings)
            findings.stage = "predict"
            observer.stage("predict", f"{len(assignment.dataset.test_images):,} images")
            return _predict(assignment, run, findings)
        except ExecutorLost:
            run.watch.wait_for_end(Role.EXECUTOR)
        except SubmissionLost:
            run.watch.wait_for_end(Role.SUBMISSION)
        except SubmissionFailure as failure:
            raise run.watch.explained(failure) from None
        except KeyboardInterrupt:
            observer.note("Interrupted: stopping the workers. Once more leaves at once.")
            raise
        finally:
            if findings.training is not None:
                run.trace.close()
                findings.trace = findings.store.put_artifact(run.trace_path, "trace")


def _start(assignment: Assignment, run: Run, findings: Findings) -> None:
    """The training data go to the executor; no time of the training passes."""
    start = Start(device=findings.device, threads=findings.threads or 1)
    dataset = assignment.dataset
    findings.executor_facts = run.relay.start(start, [dataset.train_images, dataset.train_labels])


def _train(assignment: Assignment, run: Run, findings: Findings) -> None:
    budgets, relay = assignment.budgets, run.relay
    try:
        run.watch.begin("train", budgets.wall_seconds)
        tensors = relay.train(job(assignment, findings.seed))
        parameters = run.meter.seal(tensors)
    finally:
        findings.take_training(run.meter, run.watch.elapsed_seconds)
    run.watch.begin("predict", budgets.prediction_seconds)
    sealed = relay.seal(tensors)
    findings.take_model(parameters, sealed.weights, sealed.peak_memory_bytes)


def job(assignment: Assignment, seed: int) -> Job:
    """What the submission's process is to do."""
    submission, dataset = assignment.submission, assignment.dataset
    return Job(
        files={path: content.decode() for path, content in submission.files.items()},
        module=submission.module,
        function=submission.function,
        images=dataset.train_images.shape,
        num_classes=dataset.num_classes,
        seed=seed,
        device="cpu",
        time_budget_seconds=float(assignment.budgets.wall_seconds),
    )


def _predict(assignment: Assignment, run: Run, findings: Findings) -> npt.NDArray[np.int64]:
    dataset = assignment.dataset
    batch_size = assignment.budgets.prediction_batch_size
    predictions = run.relay.predict(dataset.test_images, dataset.num_classes, batch_size)
    findings.prediction_operations = run.meter.prediction_operations
    return predictions


def _observe(run: Run, findings: Findings, observer: Observer) -> None:
    """Show what the meter counts and what the submission reports."""
    look = run.watch.look

    def watch() -> None:
        look()
        run.meter.check_operations()
        watched, meter = run.watch, run.meter
        if watched.submission_started:
            operations = meter.operations if watched.stage == "train" else meter.prediction_operations
            observer.tick(Tick(watched.stage, watched.elapsed_seconds, watched.budget_seconds, operations))

    def report(values: Mapping[str, str]) -> None:
        findings.reports.append(dict(values))
        observer.report(values)

    run.relay.use(watch, report)


def count_too(assignment: Assignment, runtime: Runtime, findings: Findings, observer: Observer) -> None:
    """Train with the same seed on handles: what that costs is added to the findings, and judges nothing."""
    assert findings.native is not None
    counted = Findings(findings.store, findings.sandbox, findings.device, findings.seed)
    observer.note("Training again with the same seed, to count its operations.")
    try:
        train_and_predict(assignment, runtime, counted, observer)
    except SubmissionFailure as failure:
        observer.note(f"The training could not be counted: {failure.verdict}. {failure.reason}")
    except KeyboardInterrupt:
        observer.note("The second training was interrupted: the record is without its count.")
        return
    findings.training, findings.trace = counted.training, counted.trace
    if counted.training and counted.training.model and counted.training.model != findings.native.model:
        observer.note("The counted training gave other weights than the native one.")


def score_predictions(
    assignment: Assignment, predictions: npt.NDArray[np.int64], findings: Findings, observer: Observer
) -> SubmissionFailure | None:
    """Compare the predictions with the labels, which never left the host. None: the submission qualifies."""
    findings.stage = "score"
    observer.stage("score")
    result = score(predictions, assignment.dataset.test_labels, assignment.competition.metric)
    findings.take_evaluation(result, predictions)
    uncounted = findings.training.operations.uncounted if findings.training else ()
    verdict = judge(result.accuracy, assignment.task.threshold, uncounted=bool(uncounted))
    if verdict is Verdict.UNCOUNTABLE:
        return SubmissionFailure(verdict, without_price(uncounted), code="operator-unpriced")
    if verdict is Verdict.BELOW_THRESHOLD:
        asked = assignment.task.threshold
        reason = f"Accuracy {result.accuracy:.2%} is below the {asked:.2%} asked for."
        return SubmissionFailure(verdict, reason, code="below-threshold")
    return None


def without_price(uncounted: Iterable[Uncounted]) -> str:
    """Why a training cannot be counted."""
    lines = (
        f"{line.operator} ({line.calls:,} calls, as in {line.shapes[0]}): {line.hint}" for line in uncounted
    )
    return f"The counting standard has no price for {' '.join(lines)}"
