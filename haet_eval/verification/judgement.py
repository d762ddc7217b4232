"""Judges again: score, verdict and budgets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from haet_eval.competition import Budgets, Competition
from haet_eval.dataset import Dataset
from haet_eval.errors import Verdict
from haet_eval.evaluation.watch import GRACE_SECONDS
from haet_eval.record import Evaluation, NativeTraining, Record, Status, Training
from haet_eval.scoring import judge, score, shortfall
from haet_eval.spelling import percent
from haet_eval.verification.check import Check, Result, differs, fits, holds, same, stated, unchecked
from haet_eval.verification.evidence import Evidence
from haet_eval.verification.labels import read_labels
from haet_eval.verification.weights import layout

# Only verdicts on runs that predicted. The codes of failures are statements, as no file shows how a run
# ended.
_CODES: Final = {
    Verdict.QUALIFIED: ("",),
    Verdict.BELOW_THRESHOLD: ("below-threshold", "logits-nan"),
    Verdict.UNCOUNTABLE: ("operator-unpriced",),
}
_LATE_SECONDS = 5
"""Allowed excess over a time budget: the watch looks a few times a second, and the machine may be busy."""


def check_judgement(record: Record, evidence: Evidence) -> Iterator[Check]:
    """Accuracy from the predictions, verdict from the accuracy, budgets from the charges."""
    training, native, evaluation = record.training, record.native, record.evaluation
    # Such a record has no evaluation, and a budget that was not yet used up proves nothing (decision 0082).
    if record.status.verdict is Verdict.INTERRUPTED:
        yield stated("verdict", "the evaluation was interrupted: nothing was judged")
        return
    if (training is None and native is None) or evaluation is None:
        # A failure without predictions cannot be disproved here. A verdict on an accuracy needs an accuracy.
        claimed = record.status.verdict.is_judged
        report = differs if claimed else stated
        yield report("verdict", f"the run ended in stage {record.status.stage}; --rerun repeats it")
        return
    yield _check_accuracy(evaluation, evidence.files.get("predictions"), evidence.dataset)
    if native is not None and "native weights" in evidence.files:
        yield _check_native_model(native, evidence.files["native weights"])
    # A verdict that contradicts itself is one fault. Comparing it with the rules would list the same fault
    # again.
    if faults := list(_status_faults(record.status)):
        yield fits("verdict", faults, "")
        return
    task = evidence.task(record)
    if task is None:
        yield _check_without_rules(record, evaluation)
        return
    yield _check_verdict(record, evaluation, task.threshold)
    if native is not None and evidence.competition is not None:
        yield _check_native(native, evidence.competition, task.budgets)
    if training is not None and native is None:
        yield _check_budgets(training, evaluation, task.budgets)


def _status_faults(status: Status) -> Iterator[str]:
    """A run that predicted has a reason exactly if it did not qualify. The reason's words are a statement."""
    qualified = status.verdict is Verdict.QUALIFIED
    if qualified == bool(status.reason):
        yield f"the verdict is {status.verdict}, and there is {'a' if qualified else 'no'} reason"
    if status.code not in _CODES.get(status.verdict, (status.code,)):
        yield f"the verdict is {status.verdict}, and the code of its reason is {status.code!r}"


def _check_accuracy(claimed: Evaluation, path: Path | None, data: Dataset | None) -> Check:
    if path is None:
        return unchecked("accuracy", "needs the predictions")
    try:
        labels = read_labels(path.read_bytes())
        # Without this the wrong number would look like a fault of the data set, or would not be seen without
        # one.
        if len(labels) != claimed.total:
            return same("accuracy", claimed.total, len(labels), "")
        if data is None:
            return unchecked("accuracy", f"needs the data set; {len(labels):,} predictions are stored")
        found = score(labels, data.test_labels, claimed.metric)
    except ValueError as error:
        return differs("accuracy", f"the stored predictions are no labels of the test images: {error}")
    detail = f"{found.correct:,} of {found.total:,} stored predictions are right"
    stated = (claimed.correct, claimed.accuracy, claimed.nan_images)
    return same("accuracy", stated, (found.correct, found.accuracy, found.nan_images), detail)


def _check_native_model(native: NativeTraining, path: Path) -> Check:
    """Whether the weights hold numbers if the record states parameters. Only a rerun can check the values.

    The file may hold more numbers than there are parameters, because tied ones are stored twice. It may hold
    fewer, because the gaps of a strided view count as parameters.
    """
    try:
        found = layout(path)
    except (OSError, ValueError) as error:
        return differs("native model", f"the stored weights are {error}")
    claimed = native.parameters.total if native.parameters else 0
    faults = [f"{found.numbers:,} numbers are stored, the record says {claimed:,}"]
    return fits(
        "native model", faults if bool(found.numbers) != bool(claimed) else [], f"{found.numbers:,} numbers"
    )


def _check_without_rules(record: Record, evaluation: Evaluation) -> Check:
    """The verdict by the threshold that the record itself states. It must follow, whatever the rules are."""
    threshold = record.competition.threshold if record.competition else None
    if threshold is not None:
        verdict = _check_verdict(record, evaluation, threshold)
        if verdict.result is Result.DIFFERS:
            return verdict
    return unchecked("verdict, budgets", "needs the rules of the competition")


def _check_verdict(record: Record, evaluation: Evaluation, threshold: float) -> Check:
    # With `--count` a native record also has a counted training. Its operators without a price are shown, and
    # do not change the verdict.
    judged = record.training if record.native is None else None
    uncounted = bool(judged and judged.operations.uncounted)
    found = judge(evaluation.accuracy, threshold, uncounted=uncounted)
    detail = f"{record.status.verdict} at {percent(evaluation.accuracy)} of {percent(threshold)} asked for"
    if record.status.verdict == found == Verdict.BELOW_THRESHOLD:
        # The other verdicts have one code each, which is compared before. Uncounted operators are left out: a
        # reason would be made of their untrusted text.
        reason = shortfall(evaluation.accuracy, threshold, (), evaluation.nan_images)
        return same("verdict", record.status.code, reason.code if reason else "", detail)
    return same("verdict", record.status.verdict, found, detail)


def _check_native(native: NativeTraining, rules: Competition, budgets: Budgets) -> Check:
    # The container has these seconds to return a checkpoint after its time is over (decision 0092).
    grace = GRACE_SECONDS if native.checkpoint_used else 0
    if native.checkpoint_used and rules.overtime != "checkpoint":
        return differs("native training", "a checkpoint was judged, which the rules do not allow")
    if native.checkpoint_used and native.wall_seconds < budgets.wall_seconds:
        return differs("native training", "a checkpoint was judged, and the time was not over")
    if native.nodes != rules.nodes:
        return differs("native training", f"on {native.nodes} nodes, and the rules ask for {rules.nodes}")
    if native.wall_seconds > budgets.wall_seconds + grace + _LATE_SECONDS:
        return differs("native training", "it took longer than the rules allow")
    return holds("native training", "its nodes and its time, as the record says them, are within the rules")


def _check_budgets(training: Training, evaluation: Evaluation, budgets: Budgets) -> Check:
    most_prediction = budgets.prediction_operations_per_image * evaluation.total
    operations = training.operations.total
    # These are the record's own figures. Those that a trace can show are compared with it in `count`.
    cpu_allowed = budgets.cpu_allowance_seconds(training.messages, operations) + _LATE_SECONDS
    used = {
        # Older records have no processor time, timed answers or stalls: zero is within each budget.
        "submission's processor time": (training.submission_cpu_seconds or 0, cpu_allowed),
        # A submission that waits for room in the stream learns from the time as well, so stalls draw on the
        # same budget.
        "answers": ((training.timed_answers or 0) + (training.stalls or 0), budgets.timed_answers),
        "time": (training.wall_seconds, budgets.wall_seconds + _LATE_SECONDS),
        # A run that stood still for longer is void. Of a resumed one, the bound is for each part.
        "pauses": (0 if training.resumed else training.paused_seconds, budgets.wall_seconds),
        "read-back": (training.readback_bytes, budgets.readback_bytes),
        "upload": (training.upload_bytes, budgets.upload_bytes),
        "messages": (training.messages, budgets.messages),
        "operations": (operations, budgets.operations),
        "prediction": (evaluation.operations or 0, most_prediction),
    }
    over = [name for name, (amount, most) in used.items() if most is not None and amount > most]
    if over:
        return differs("budgets", f"more was used than the rules allow: {', '.join(over)}")
    return holds("budgets", "what the record says was used is within the rules")
