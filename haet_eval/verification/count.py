"""Recomputes what a training cost from its trace, and prices it anew."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from haet_eval.competition import Task
from haet_eval.counting.bill import bill
from haet_eval.counting.histogram import Histogram
from haet_eval.counting.operations import priced, with_refused
from haet_eval.counting.standard import VERSIONS, nearest, under
from haet_eval.errors import Verdict
from haet_eval.record import Evaluation, Operations, Parameters, Record, Status, Training, complexity
from haet_eval.remote.recount import Recount, recount
from haet_eval.remote.trace import BrokenTrace
from haet_eval.verification.check import Check, differs, holds, same, unchecked
from haet_eval.verification.evidence import Evidence

NO_TRACE = "needs the trace"


def check_count(record: Record, evidence: Evidence) -> Iterator[Check]:
    """Count, operations, parameters, charges and complexity."""
    training = record.training
    if training is None:
        native = "it trained on plain tensors, where nothing is counted"
        yield unchecked("count", native if record.native else "the run ended before the training")
        return
    found = None
    if "trace" in evidence.files:
        try:
            with under(nearest(training.operations.standard)):
                found = recount(evidence.files["trace"])
        except BrokenTrace as fault:
            yield differs("count", str(fault))
    if found is None:
        yield unchecked("parameters, charges, prediction", NO_TRACE)
    else:
        yield from _check_recount(record, training, found, evidence)
    yield _check_operations(record.status, training.operations, found, evidence)
    yield same(
        "complexity", record.complexity, complexity(training), "is the sum of parameters and operations"
    )


def _check_recount(record: Record, training: Training, found: Recount, evidence: Evidence) -> Iterator[Check]:
    yield _check_header(record, found.header)
    yield _check_histogram(training, found.histogram, evidence.files.get("histogram"))
    parameters = found.parameters and Parameters(
        total=found.parameters.total,
        trainable=found.parameters.trainable,
        frozen=found.parameters.frozen,
        buffers=found.parameters.buffers,
    )
    if training.parameters is None:
        yield unchecked("parameters", "the record has none: no model came back whole")
    else:
        yield same("parameters", training.parameters, parameters, "follow from the trace")
    yield _check_charges(training, found)
    if record.native is None:
        yield _check_prediction(record.evaluation, found, evidence.task(record))
    else:
        yield unchecked("prediction", "the one of the record ran on plain tensors, the trace has another")


def _check_header(record: Record, header: dict[str, Any]) -> Check:
    stated = {
        "dataset": record.dataset.digest if record.dataset else None,
        "seed": record.environment.seed,
        "threads": record.environment.threads,
        "device": record.environment.device,
    }
    other = [name for name, value in stated.items() if header.get(name) != value]
    if other:
        return differs("trace's header", f"{', '.join(other)} is not what the record says")
    return holds("trace's header", "data set, seed, threads and device are the record's")


def _check_histogram(training: Training, found: Histogram, stored: Path | None) -> Check:
    data = found.to_json()
    stated = training.histogram
    if stored is not None and stored.read_bytes() != data:
        return differs("count", "the histogram that follows from the trace is not the stored one")
    if hashlib.sha256(data).hexdigest() != stated.sha256:
        return differs("count", "the histogram that follows from the trace is not the one of the record")
    return same("count", stated.entries, len(found), "the trace gives the same histogram, byte for byte")


def _check_operations(
    status: Status, stated: Operations, recounted: Recount | None, evidence: Evidence
) -> Check:
    subject = f"operations (standard {stated.standard})"
    if stated.standard not in VERSIONS:
        known = " and ".join(map(str, VERSIONS))
        return unchecked(subject, f"this haet-eval has the prices of standard {known}")
    try:
        histogram = _stored(evidence) if recounted is None else recounted.histogram
        with under(stated.standard):
            found = None if histogram is None else priced(bill(histogram))
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        return differs(subject, f"the stored histogram is none that a training gives: {error}")
    if found is None:
        return unchecked(subject, "needs the trace or the histogram")
    if recounted is not None and status.verdict is Verdict.UNCOUNTABLE:
        found = with_refused(found, recounted.refused, status.reason)
    elif recounted is None:  # a histogram has no calls that were refused
        stated = stated.model_copy(update={"uncounted": tuple(one for one in stated.uncounted if one.shapes)})
    if found.total == stated.total and found != stated:
        return differs(subject, "the total is right, its parts or what was left uncounted are not")
    return same(subject, stated.total, found.total, f"{found.total:,} when priced anew")


def _check_charges(training: Training, found: Recount) -> Check:
    stated = (training.readback_bytes, training.upload_bytes, training.messages)
    charged = (found.training.readback_bytes, found.training.upload_bytes, found.training.messages)
    detail = "bytes read back and sent up, and messages, follow from the trace"
    return same("charges", stated, charged, detail)


def _check_prediction(evaluation: Evaluation | None, found: Recount, task: Task | None) -> Check:
    """Images and operations of the prediction, and that its charges are within what training left over."""
    if evaluation is None:
        return unchecked("prediction", "the run ended before all images were predicted")
    charged = found.whole_run
    if task is not None and (
        charged.readback_bytes > task.budgets.readback_bytes
        or charged.upload_bytes > task.budgets.upload_bytes
        or charged.messages > task.budgets.messages
    ):
        return differs("prediction", "training and prediction together use more than the rules allow")
    stated = (evaluation.total, evaluation.operations)
    detail = f"{found.predicted_images:,} images, {found.prediction_operations:,} operations in the trace"
    return same("prediction", stated, (found.predicted_images, found.prediction_operations), detail)


def _stored(evidence: Evidence) -> Histogram | None:
    path = evidence.files.get("histogram")
    return Histogram.from_json(path.read_bytes()) if path else None
