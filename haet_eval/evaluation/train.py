"""The stage that trains: on handles, where every operation is counted, or on plain tensors."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from haet_eval.counting.bill import bill
from haet_eval.counting.histogram import Histogram
from haet_eval.counting.memory import in_record
from haet_eval.counting.operations import bytes_moved, precision, priced
from haet_eval.counting.parameters import ParameterCount
from haet_eval.energy.measurement import Measurement
from haet_eval.errors import Verdict
from haet_eval.evaluation.frame import PlannedRun, job
from haet_eval.evaluation.nodes import Nodes
from haet_eval.evaluation.pair import Pair
from haet_eval.evaluation.results import Trained
from haet_eval.evaluation.watch import ending
from haet_eval.native.messages import NodeJob
from haet_eval.native.node import HandedIn
from haet_eval.progress import Tick
from haet_eval.record import HistogramArtifact, NativeTraining, Parameters, Resumed, Training
from haet_eval.remote.charges import Charges
from haet_eval.remote.executor_link import Sealed
from haet_eval.remote.labels import TemplateLabels
from haet_eval.remote.memory import MeteredMemory
from haet_eval.remote.messages import Start
from haet_eval.remote.meter import Meter
from haet_eval.remote.recount import Charged, recount
from haet_eval.remote.trace import cut_trace
from haet_eval.store import Store

_FROM_OUTSIDE: Final = (Verdict.INTERRUPTED, Verdict.LIMIT_TIME)
"""Ends at no place of the submission's code: what the executor had not done by then is not counted."""


class _CountedCalls(NamedTuple):
    """The calls of a training, or those of them that were executed."""

    histogram: Histogram
    refused: Mapping[str, int]
    charged: Charges | Charged
    stalls: int
    memory: MeteredMemory


class _Taken(NamedTuple):
    """What a training took, in seconds: of the clock, without pauses, and of the submission's process."""

    seconds: float
    paused_seconds: float
    submission_cpu_seconds: float | None
    resumed: Resumed | None = None


def train_counted(pair: Pair, work: PlannedRun) -> Trained:
    """Train on handles. The training data go to the executor first; no time of the training passes."""
    assignment, watch, relay = work.assignment, pair.watch, pair.relay
    dataset, budgets = assignment.dataset, assignment.budgets
    facts: Mapping[str, Any] = {}
    taken: _Taken | None = None
    model: tuple[ParameterCount, Sealed] | None = None
    with ending(watch, work.heard) as end:
        start = Start(device=work.device, threads=work.threads)
        # The data go to the executor before the clock starts: a slow transfer is not the submission's time.
        facts = relay.start(start, [dataset.train_images, dataset.train_labels])
        _begin(pair, work, facts.get("accelerator"))
        try:
            tensors = relay.train(job(assignment, work.seed))
            # The watch checks this once a second: a short training may have ended since it looked.
            watch.check_cpu()
            parameters = pair.meter.seal(tensors)
            # `train` has returned, but the executor may be far behind. The rest of its work is time of the
            # training, unlike the transfer of the weights.
            relay.catch_up()
        finally:
            taken = _taken(pair)
            # A short training is over before anybody looked at it.
            done = relay.link.executed.operations
            work.heard.tick(Tick("train", taken.seconds, budgets.wall_seconds, done))
        # Fetching the weights has a limit as well: that of the prediction.
        watch.begin("predict", budgets.prediction_seconds)
        model = parameters, relay.seal(tensors)
    count = _cut_short(pair) if end.failure and end.failure.verdict in _FROM_OUTSIDE else _whole(pair.meter)
    # Without `taken` the training never began, and there is nothing to price.
    training = taken and _counted(count, taken, model, work, relay.labels)
    facts = {**facts, "python": relay.python}
    return Trained(facts, training, refused=count.refused, failure=end.failure)


def _begin(pair: Pair, work: PlannedRun, accelerator: str | None) -> None:
    """The clock of the training begins, or that of the way to the checkpoint at which it goes on."""
    name, budget = work.assignment.submission.name, work.assignment.budgets.wall_seconds
    if pair.attempt:
        pair.attempt.begin(lambda stage: work.heard.stage(stage, name), budget, accelerator)
    else:
        work.heard.stage("train", name)
        pair.watch.begin("train", budget)


def _taken(pair: Pair) -> _Taken:
    watch = pair.watch
    if pair.attempt is None:
        return _Taken(watch.elapsed_seconds, watch.paused_seconds, watch.submission_cpu_seconds)
    spent, resumed = pair.attempt.spent()
    cpu_seconds = spent.cpu_seconds if watch.submission_cpu_seconds is not None else None
    return _Taken(spent.wall_seconds, spent.paused_seconds, cpu_seconds, resumed)


def _peaks(resumed: Resumed | None, last: int | None) -> tuple[int | None, Resumed | None]:
    """The peak memory of all parts, and the parts with that of the last one. None if no model came back."""
    if resumed is None or last is None:
        return last, resumed
    *before, part = resumed.parts
    parts = (*before, part.model_copy(update={"peak_memory_bytes": last}))
    peak = max(part.peak_memory_bytes or 0 for part in parts)
    return peak, resumed.model_copy(update={"parts": parts})


def _whole(meter: Meter) -> _CountedCalls:
    """All that the submission asked for."""
    return _CountedCalls(
        meter.histogram(), meter.refused, meter.charges, meter.charges.stalls, meter.tensor_memory
    )


def _cut_short(pair: Pair) -> _CountedCalls:
    """What was executed before the end: the submission had asked for more. The trace ends there as well."""
    pair.trace.close()
    cut_trace(pair.trace_path, pair.relay.link.executed.entries)
    counted = recount(pair.trace_path)
    return _CountedCalls(
        counted.histogram,
        counted.refused,
        counted.training,
        # Stalls depend on the machine's speed, so no trace has them.
        pair.meter.charges.stalls,
        counted.memory,
    )


def _counted(
    count: _CountedCalls,
    taken: _Taken,
    model: tuple[ParameterCount, Sealed] | None,
    work: PlannedRun,
    labels: TemplateLabels,
) -> Training:
    """Price the counted calls; keep their histogram and labels, and the weights of a model that came back."""
    histogram, charged, store = count.histogram, count.charged, work.store
    widths = precision(histogram, model[0].bits if model else None)
    moved, energy = bytes_moved(histogram), work.assignment.competition.energy_model
    kept = store.put_artifact(histogram.to_json(), "histogram.json")
    peak, resumed = _peaks(taken.resumed, model[1].peak_memory_bytes if model else None)
    return Training(
        operations=priced(bill(histogram)),
        histogram=HistogramArtifact(sha256=kept.sha256, bytes=kept.bytes, entries=len(histogram)),
        parameters=_parameters(model[0]) if model else None,
        model=store.put_artifact(model[1].weights, "safetensors") if model else None,
        wall_seconds=taken.seconds,
        readback_bytes=charged.readback_bytes,
        upload_bytes=charged.upload_bytes,
        peak_memory_bytes=peak,
        messages=charged.messages,
        paused_seconds=taken.paused_seconds,
        submission_cpu_seconds=taken.submission_cpu_seconds,
        timed_answers=charged.timed_answers,
        stalls=count.stalls,
        constant_selects=charged.constant_selects,
        memory=in_record(count.memory, labels),
        precision=widths,
        bytes_moved=moved,
        modelled_joules=energy.joules(widths.by_dtype, moved.read + moved.written) if energy else None,
        resumed=resumed,
        labels=store.put_artifact(labels.to_json(), "labels.json"),
    )


def train_native(nodes: Nodes, work: PlannedRun, energy: Measurement | None) -> Trained:
    """Train on plain tensors. The clock starts when all nodes have their data."""
    assignment, watch = work.assignment, nodes.watch
    dataset = assignment.dataset
    facts: Mapping[str, Any] = {}
    taken: tuple[float, int | None] | None = None
    model: HandedIn | None = None
    work.heard.stage("train", assignment.submission.name)
    with ending(watch, work.heard) as end:
        for number, node in enumerate(nodes.everyone()):
            loaded = node.load(_setting(work, number), dataset.train_images, dataset.train_labels)
            # The record names one machine: that of node 0, which predicts as well.
            facts = facts or {
                "torch": loaded.torch,
                "python": loaded.python,
                "accelerator": loaded.accelerator,
            }
        if energy:
            energy.begin("train")
        # The clock starts before any node may begin, so that no node has time that is not measured.
        watch.begin("train", assignment.budgets.wall_seconds)
        try:
            for peer in watch.peers.values():
                peer.begin()
            nodes.first.begin()
            model = nodes.first.model(watch)
        finally:
            taken = watch.elapsed_seconds, nodes.peak_memory_bytes()
            work.heard.tick(Tick("train", taken[0], assignment.budgets.wall_seconds, None))
        if energy:
            # Only a training that has ended has a phase: a part of the energy would pass for all of it.
            energy.end()
        # The peers end before the test images arrive, so that only node 0 works on the prediction.
        nodes.release_peers()
    native = taken and _native(*taken, assignment.competition.nodes, model, work.store)
    return Trained(facts, native=native, failure=end.failure)


def _setting(work: PlannedRun, node: int) -> NodeJob:
    return NodeJob(
        **dict(job(work.assignment, work.seed, work.device)),
        threads=work.threads,
        checkpoints=work.assignment.competition.overtime == "checkpoint",
        node=node,
    )


def _native(
    seconds: float, peak_memory_bytes: int | None, nodes: int, model: HandedIn | None, store: Store
) -> NativeTraining:
    """What a training on plain tensors took, and the weights that node 0 handed in, with what it says."""
    return NativeTraining(
        parameters=_parameters(model.parameters) if model else None,
        model=store.put_artifact(model.weights, "safetensors") if model else None,
        wall_seconds=seconds,
        peak_memory_bytes=peak_memory_bytes,
        nodes=nodes,
        checkpoint_used=model is not None and model.from_checkpoint,
    )


def _parameters(count: ParameterCount) -> Parameters:
    return Parameters(
        total=count.total, trainable=count.trainable, frozen=count.frozen, buffers=count.buffers
    )
