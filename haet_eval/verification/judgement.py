"""Judges anew: score, verdict and budgets."""

from collections.abc import Iterator
from pathlib import Path

from haet_eval.competition import Budgets, Competition, Task
from haet_eval.dataset import Dataset
from haet_eval.errors import Verdict
from haet_eval.evaluation.watch import GRACE_SECONDS
from haet_eval.record import Evaluation, NativeTraining, Record, Training
from haet_eval.scoring import judge, score
from haet_eval.verification.check import Check, differs, holds, same, unchecked
from haet_eval.verification.evidence import Evidence

_LATE_SECONDS = 5
"""A budget of time is looked at a few times a second, on a machine that may be busy."""


def check_judgement(record: Record, evidence: Evidence) -> Iterator[Check]:
    """Accuracy from the predictions, verdict from the accuracy, budgets from the charges."""
    training, native, evaluation = record.training, record.native, record.evaluation
    if record.status.verdict is Verdict.INTERRUPTED:
        yield unchecked("verdict", "the evaluation was interrupted: nothing was judged")
        return
    if (training is None and native is None) or evaluation is None:
        claimed = record.status.verdict in (Verdict.QUALIFIED, Verdict.BELOW_THRESHOLD)
        report = differs if claimed else unchecked
        yield report("verdict", f"the run ended in stage {record.status.stage}; `haet-eval rerun` repeats it")
        return
    yield _check_accuracy(evaluation, evidence.files.get("predictions"), evidence.dataset)
    task = evidence.task(record)
    if task is None:
        yield unchecked("verdict, budgets", "needs the rules of the competition")
        return
    yield _check_verdict(record, evaluation, task)
    if native is not None and evidence.competition is not None:
        yield _check_native(native, evidence.competition, task.budgets)
    if training is not None and native is None:
        yield _check_budgets(training, evaluation, task.budgets)


def _check_accuracy(stated: Evaluation, path: Path | None, data: Dataset | None) -> Check:
    if path is None or data is None:
        return unchecked("accuracy", "needs the predictions and the data set")
    try:
        labels = [int(line) for line in path.read_text("ascii").splitlines()]
        found = score(labels, data.test_labels, stated.metric)
    except ValueError as error:
        return differs("accuracy", f"the stored predictions are no labels of the test images: {error}")
    detail = f"{found.correct:,} of {found.total:,} stored predictions are right"
    return same("accuracy", (stated.correct, stated.accuracy), (found.correct, found.accuracy), detail)


def _check_verdict(record: Record, evaluation: Evaluation, task: Task) -> Check:
    judged = record.training if record.native is None else None
    found = judge(
        evaluation.accuracy,
        task.threshold,
        uncounted=bool(judged and judged.operations.uncounted),
    )
    detail = f"{record.status.verdict} at {evaluation.accuracy:.2%} of {task.threshold:.2%} asked for"
    return same("verdict", record.status.verdict, found, detail)


def _check_native(native: NativeTraining, rules: Competition, budgets: Budgets) -> Check:
    grace = GRACE_SECONDS if native.checkpoint_used else 0
    if native.checkpoint_used and rules.overtime != "checkpoint":
        return differs("native training", "a checkpoint was judged, which the rules do not allow")
    if native.nodes != rules.nodes:
        return differs("native training", f"on {native.nodes} nodes, and the rules ask for {rules.nodes}")
    if native.wall_seconds > budgets.wall_seconds + grace + _LATE_SECONDS:
        return differs("native training", "it took longer than the rules allow")
    return holds("native training", "its nodes and its time, as the record says them, are within the rules")


def _check_budgets(training: Training, evaluation: Evaluation, budgets: Budgets) -> Check:
    most_prediction = budgets.prediction_operations_per_image * evaluation.total
    used = {
        "time": (training.wall_seconds, budgets.wall_seconds + _LATE_SECONDS),
        "read-back": (training.readback_bytes, budgets.readback_bytes),
        "upload": (training.upload_bytes, budgets.upload_bytes),
        "messages": (training.messages, budgets.messages),
        "operations": (training.operations.total, budgets.operations),
        "prediction": (evaluation.operations or 0, most_prediction),
    }
    over = [name for name, (amount, most) in used.items() if most is not None and amount > most]
    if over:
        return differs("budgets", f"more was used than the rules allow: {', '.join(over)}")
    return holds("budgets", "what the record says was used is within the rules")
