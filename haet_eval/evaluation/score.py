"""The stage that scores: the predictions are compared with labels that never left the host."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from haet_eval.evaluation.frame import Work
from haet_eval.evaluation.results import Scored
from haet_eval.record import Evaluation, Uncounted
from haet_eval.scoring import score, shortfall


def score_predictions(
    work: Work, labels: npt.NDArray[np.int64], operations: int | None, uncounted: Sequence[Uncounted]
) -> Scored:
    """Judge the predictions and keep them: one label in each line, in the order of the test images.

    Args:
        work: the run that they are of.
        labels: the predictions, [N].
        operations: what predicting cost, None where it was not counted.
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
        operations=operations,
        nan_images=result.nan_images,
        predictions=work.store.put_artifact(text.encode(), "predictions.txt"),
    )
    return Scored(
        evaluation, shortfall(result.accuracy, assignment.task.threshold, uncounted, result.nan_images)
    )
