"""The stage that scores: the predictions are compared with labels that never left the host."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from haet_eval.competition import Budgets
from haet_eval.evaluation.frame import PlannedRun
from haet_eval.evaluation.results import Predicted, Scored
from haet_eval.record import Evaluation, UncountedOperator
from haet_eval.scoring import score, shortfall


def score_predictions(
    work: PlannedRun,
    labels: npt.NDArray[np.int64],
    predicted: Predicted,
    uncounted: Sequence[UncountedOperator],
) -> Scored:
    """Judge the predictions and keep them: one label in each line, in the order of the test images.

    Args:
        work: the run of the predictions.
        labels: the predictions, [N].
        predicted: the cost of the prediction, if it was counted.
        uncounted: operators of the training that have no price.
    """
    work.heard.stage("score")
    assignment = work.assignment
    metric = assignment.competition.metric
    result = score(labels, assignment.dataset.test_labels, metric)
    text = "".join(f"{label}\n" for label in labels)
    evaluation = Evaluation(
        accuracy=result.accuracy,
        metric=metric,
        correct=result.correct,
        total=result.total,
        operations=predicted.operations,
        charged_operations=_charged(predicted.operations, result.total, assignment.budgets),
        readback_bytes=predicted.readback_bytes,
        nan_images=result.nan_images,
        predictions=work.store.put_artifact(text.encode(), "predictions.txt"),
    )
    return Scored(
        evaluation, shortfall(result.accuracy, assignment.task.threshold, uncounted, result.nan_images)
    )


def _charged(operations: int | None, images: int, budgets: Budgets) -> int | None:
    return None if operations is None else budgets.charged_operations(operations, images)
