"""The verdict on predictions."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from haet_eval.errors import SubmissionFailure, Verdict
from haet_eval.evaluation.assignment import Assignment
from haet_eval.evaluation.findings import Findings
from haet_eval.progress import Observer
from haet_eval.record import Uncounted
from haet_eval.scoring import judge, score


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
