"""Train and predict on plain tensors: the stages of an evaluation that measures time or energy."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import numpy as np
import numpy.typing as npt

from haet_eval.energy.measurement import Measurement, measured
from haet_eval.errors import SubmissionFailure
from haet_eval.evaluation.assignment import Assignment
from haet_eval.evaluation.findings import Findings
from haet_eval.evaluation.metering import PHASE_OF_RANKING, Metering
from haet_eval.evaluation.nodes import NodesRun, open_nodes
from haet_eval.evaluation.workers import executor_threads
from haet_eval.native.messages import Setting
from haet_eval.progress import Observer, Tick
from haet_eval.record import EnergyPhase
from haet_eval.remote.relay import SubmissionLost
from haet_eval.runtimes.interface import Runtime

_WATCH_SECONDS: Final = 0.2


def train_and_predict(
    assignment: Assignment, runtime: Runtime, findings: Findings, observer: Observer, metering: Metering
) -> npt.NDArray[np.int64]:
    """Run the submission on its nodes; returns one label for each test image."""
    findings.stage = "train"
    findings.runner = "native"
    findings.threads = executor_threads(assignment.budgets)
    findings.runtime_facts = runtime.describe()
    nodes = assignment.competition.nodes
    with (
        _measured(assignment, runtime, findings, observer, metering) as energy,
        open_nodes(runtime, assignment.budgets, nodes, findings.device) as run,
    ):
        findings.log = run.first.log
        _observe(run, findings, observer)
        observer.stage("train", assignment.submission.name)
        try:
            _train(assignment, run, findings, energy)
            findings.stage = "predict"
            observer.stage("predict", f"{len(assignment.dataset.test_images):,} images")
            return _predict(assignment, run, energy)
        except SubmissionLost:
            run.watch.wait_for_node(0)
        except SubmissionFailure as failure:
            raise run.watch.cause(failure) from None
        except KeyboardInterrupt:
            observer.note("Interrupted: stopping the workers. Once more leaves at once.")
            raise


def _train(assignment: Assignment, run: NodesRun, findings: Findings, energy: Measurement | None) -> None:
    dataset, watch = assignment.dataset, run.watch
    for number, node in enumerate(run.everyone()):
        setting = _setting(assignment, findings, number)
        loaded = node.load(setting, dataset.train_images, dataset.train_labels)
        findings.executor_facts = {"torch": loaded.torch, "accelerator": loaded.accelerator}
    with _phase(energy, "train"):
        watch.begin("train", assignment.budgets.wall_seconds)
        try:
            for peer in watch.peers.values():
                peer.begin()
            run.first.begin()
            handed_in = run.first.model(watch)
        finally:
            seconds = watch.elapsed_seconds
            findings.take_native_training(seconds, watch.peak_memory_bytes(), assignment.competition.nodes)
    findings.take_native_model(handed_in)
    watch.release_peers()


def _setting(assignment: Assignment, findings: Findings, node: int) -> Setting:
    submission, dataset = assignment.submission, assignment.dataset
    return Setting(
        files={path: content.decode() for path, content in submission.files.items()},
        module=submission.module,
        function=submission.function,
        images=dataset.train_images.shape,
        num_classes=dataset.num_classes,
        seed=findings.seed,
        device=findings.device,
        threads=findings.threads or 1,
        time_budget_seconds=float(assignment.budgets.wall_seconds),
        checkpoints=assignment.competition.overtime == "checkpoint",
        node=node,
    )


def _predict(assignment: Assignment, run: NodesRun, energy: Measurement | None) -> npt.NDArray[np.int64]:
    dataset, budgets = assignment.dataset, assignment.budgets
    run.watch.begin("predict", budgets.prediction_seconds)
    run.first.load_test(dataset.test_images)
    with _phase(energy, "predict"):
        labels = run.first.predict(
            len(dataset.test_images),
            dataset.num_classes,
            budgets.prediction_batch_size,
            _iterations(assignment),
        )
    run.first.hear_out()
    return labels


def _iterations(assignment: Assignment) -> int:
    """How often the test images are predicted: one pass uses too little energy to be measured well."""
    rules = assignment.competition
    return rules.inference_iterations if rules.ranking == "inference_energy" else 1


@contextmanager
def _measured(
    assignment: Assignment, runtime: Runtime, findings: Findings, observer: Observer, metering: Metering
) -> Iterator[Measurement | None]:
    """Measure where it was asked for; the idle machine first. What was found goes into the findings."""
    ranking = assignment.competition.ranking
    choice = metering.meters(ranking)
    if choice is None:
        yield None
        return
    containers = runtime.running_containers()
    with measured(
        choice, findings.device, observer, cpu_watts=metering.cpu_watts, other_containers=containers
    ) as energy:
        try:
            yield energy
        finally:
            phase = PHASE_OF_RANKING.get(ranking, "train")
            findings.energy = energy.facts(phase, _iterations(assignment) if phase == "predict" else 1)


@contextmanager
def _phase(energy: Measurement | None, phase: EnergyPhase) -> Iterator[None]:
    """Count the energy of this block, unless it fails."""
    if energy is not None:
        energy.begin(phase)
    yield
    if energy is not None:
        energy.end()


def _observe(run: NodesRun, findings: Findings, observer: Observer) -> None:
    """Look at the workers a few times a second, and show what the submission reports."""
    watch, looked = run.watch, 0.0

    def idle() -> None:
        nonlocal looked
        if time.monotonic() - looked < _WATCH_SECONDS:
            return
        looked = time.monotonic()
        watch.look()
        observer.tick(Tick(watch.stage, watch.elapsed_seconds, watch.budget_seconds, None))

    def report(values: Mapping[str, str]) -> None:
        findings.reports.append(dict(values))
        observer.report(values)

    run.first.connection.idle = idle
    run.first.report = report
