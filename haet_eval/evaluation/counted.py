"""Train and predict on handles: the stages of an evaluation that counts operations."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from haet_eval.errors import SubmissionFailure
from haet_eval.evaluation.assignment import Assignment
from haet_eval.evaluation.findings import Findings
from haet_eval.evaluation.workers import Run, executor_threads, open_run
from haet_eval.progress import Observer, Tick
from haet_eval.remote.executor_link import ExecutorLost
from haet_eval.remote.messages import Job, Start
from haet_eval.remote.relay import SubmissionLost
from haet_eval.runtimes.interface import Role, Runtime


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
