"""One run: start the workers, let them train and predict, and end them."""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from haet_eval import __version__
from haet_eval.competition import Runner
from haet_eval.energy.measurement import Measurement, measured
from haet_eval.errors import Verdict
from haet_eval.evaluation.compose import cpu_name
from haet_eval.evaluation.course import Course
from haet_eval.evaluation.frame import PlannedRun
from haet_eval.evaluation.nodes import open_nodes
from haet_eval.evaluation.pair import Pair, open_pair
from haet_eval.evaluation.predict import predict_counted, predict_native
from haet_eval.evaluation.request import Metering
from haet_eval.evaluation.results import Ran, Trained
from haet_eval.evaluation.train import train_counted, train_native
from haet_eval.evaluation.watch import Watch, interrupted
from haet_eval.progress import Tick
from haet_eval.record import PHASE_OF_RANKING
from haet_eval.remote.wire import TRACE_VERSION
from haet_eval.runtimes.interface import Runtime

_LOOK_SECONDS: Final = 0.2


def run(work: PlannedRun, runtime: Runtime, runner: Runner, metering: Metering) -> Ran:
    """Train and predict, until the end or the first failure."""
    try:
        return _run_native(work, runtime, metering) if runner == "native" else run_counted(work, runtime)
    except KeyboardInterrupt:  # while the workers were started or the idle machine was measured
        return Ran(runner, work.threads, runtime.describe(), Trained(failure=interrupted()))


def run_counted(work: PlannedRun, runtime: Runtime) -> Ran:
    """Train and predict on handles; go on at a checkpoint, if the plan says so and there is one."""
    dataset = work.assignment.dataset
    header = {
        "version": TRACE_VERSION,
        "dataset": dataset.digest,
        "seed": work.seed,
        "threads": work.threads,
        "device": work.device,
        "images": list(dataset.train_images.shape),
    }
    facts = runtime.describe()
    if work.plan is None:
        return _run_counted(work, runtime, header, facts)
    course = Course(work.plan, _identity(work, header, facts), cpu_name(), work.heard)
    try:
        ran = _run_counted(work, runtime, header, facts, course)
        # A departed run has lost its checkpoints, so the next attempt begins at the first line of the
        # training.
        while course.departed(ran.failure):
            work.heard.begin_again()
            ran = _run_counted(work, runtime, header, facts, course)
    except BaseException:
        # A fault of ours leaves the run ready to go on, as an interruption does.
        course.over(interrupted=True)
        raise
    course.over(interrupted=ran.failure is not None and ran.failure.verdict is Verdict.INTERRUPTED)
    return ran


def _identity(
    work: PlannedRun, header: Mapping[str, Any], facts: Mapping[str, str]
) -> dict[str, str | int | None]:
    """What must be the same where a run goes on: else it would do other things, or give other bits."""
    assignment = work.assignment
    return {
        "submission": assignment.submission.sha256,
        "competition": assignment.competition.digest,
        "task": assignment.submission.task,
        **software(facts),
        **{name: header[name] for name in ("version", "dataset", "seed", "threads", "device")},
    }


def software(facts: Mapping[str, str]) -> dict[str, str | None]:
    """What trains, and may change between two attempts. `facts` are those of the runtime."""
    return {"haet_eval": __version__, "torch": _torch_version(), "image": facts.get("image_digest")}


def _torch_version() -> str | None:
    """The version of PyTorch beside haet-eval; that of a container goes with its image."""
    try:
        return version("torch")
    except PackageNotFoundError:
        return None


def _run_counted(
    work: PlannedRun,
    runtime: Runtime,
    header: Mapping[str, Any],
    facts: Mapping[str, str],
    course: Course | None = None,
) -> Ran:
    work.heard.stage("start")
    with open_pair(runtime, work.assignment.budgets, header, work.heard.log, course) as pair:
        look = _looking(pair.watch, work, lambda: _operations(pair), lambda: _share(pair))
        pair.relay.use(look, work.heard.report)
        trained = train_counted(pair, work)
        predicted = None if trained.failure else predict_counted(pair, work)
        # A trace is a whole file only after this; the copy is made while the run's folder still exists.
        pair.trace.close()
        trace = work.store.put_artifact(pair.trace_path, "trace") if trained.training else None
    return Ran("counted", work.threads, facts, trained, predicted, trace)


def _run_native(work: PlannedRun, runtime: Runtime, metering: Metering) -> Ran:
    """Train and predict on plain tensors. If requested, measure the energy, of the idle machine first."""
    budgets, rules, facts = work.assignment.budgets, work.assignment.competition, runtime.describe()
    choice, found = metering.meters(rules.ranking), None
    with ExitStack() as stack:
        energy: Measurement | None = None
        if choice:
            # Both come before the first worker starts, so that the idle machine and its containers are those
            # of others.
            containers, watts = runtime.running_containers(), metering.cpu_watts
            meters = measured(choice, work.device, work.heard, cpu_watts=watts, other_containers=containers)
            energy = stack.enter_context(meters)
        with open_nodes(runtime, budgets, rules.nodes, work.device, work.heard.log) as nodes:
            # Only the connection of node 0 looks at the watch. Peers have threads of their own, and the watch
            # belongs to this one.
            nodes.first.connection.idle = _looking(nodes.watch, work, lambda: None)
            nodes.first.report = work.heard.report
            trained = train_native(nodes, work, energy)
            predicted = None if trained.failure else predict_native(nodes, work, energy)
        if energy:
            phase = PHASE_OF_RANKING.get(rules.ranking, "train")
            found = energy.facts(phase, work.assignment.iterations if phase == "predict" else 1)
    return Ran("native", work.threads, facts, trained, predicted, energy=found)


def _operations(pair: Pair) -> int:
    """The executed operations of the stage. Raises SubmissionFailure if the submission exceeds its budget."""
    pair.meter.check_operations()
    training = pair.watch.stage != "predict"
    # The executor's own progress: the meter has already counted what the submission has sent ahead of it.
    return pair.relay.link.executed.operations if training else pair.meter.prediction_operations


def _share(pair: Pair) -> float | None:
    """How much of the way to the checkpoint is done, if the run goes on at one."""
    return pair.attempt.share if pair.attempt else None


def _looking(
    watch: Watch,
    work: PlannedRun,
    count: Callable[[], int | None],
    share: Callable[[], float | None] = lambda: None,
) -> Callable[[], None]:
    """A function that looks at the workers and shows their progress; `share` is how much of it is known.

    Connections call it often, so it does its work only a few times a second.
    """
    looked = 0.0

    def look() -> None:
        nonlocal looked
        if time.monotonic() - looked < _LOOK_SECONDS:
            return
        looked = time.monotonic()
        watch.look()
        operations = count()
        if watch.submission_started:
            elapsed, budget = watch.elapsed_seconds, watch.budget_seconds
            work.heard.tick(Tick(watch.stage, elapsed, budget, operations, share()))

    return look
