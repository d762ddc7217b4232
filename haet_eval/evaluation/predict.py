"""The stage that predicts the test set: on handles, or on plain tensors."""

from haet_eval.energy.measurement import Measurement
from haet_eval.evaluation.frame import PlannedRun
from haet_eval.evaluation.nodes import Nodes
from haet_eval.evaluation.pair import Pair
from haet_eval.evaluation.results import Predicted
from haet_eval.evaluation.watch import ending


def predict_counted(pair: Pair, work: PlannedRun) -> Predicted:
    """Predict on handles; the time has been running since the end of the training."""
    dataset, labels = work.assignment.dataset, None
    _announce(work)
    with ending(pair.watch, work.heard) as end:
        batch_size = work.assignment.budgets.prediction_batch_size
        labels = pair.relay.predict(dataset.test_images, dataset.num_classes, batch_size)
    meter = pair.meter
    readback_bytes = meter.charges.prediction_readback_bytes
    return Predicted(labels, meter.prediction_operations, readback_bytes, end.failure)


def predict_native(nodes: Nodes, work: PlannedRun, energy: Measurement | None) -> Predicted:
    """Predict on plain tensors, as often as the rules say; then read the last output of the submission."""
    dataset, budgets, labels = work.assignment.dataset, work.assignment.budgets, None
    _announce(work)
    with ending(nodes.watch, work.heard) as end:
        nodes.watch.begin("predict", budgets.prediction_seconds)
        # The images are there before the energy is measured: their transfer is not inference.
        nodes.first.load_test(dataset.test_images)
        if energy:
            energy.begin("predict")
        labels = nodes.first.predict(
            len(dataset.test_images),
            dataset.num_classes,
            budgets.prediction_batch_size,
            work.assignment.iterations,
        )
        if energy:
            energy.end()
        # Output may still be on its way; it belongs in the log and counts against its limit.
        nodes.first.hear_out()
    return Predicted(labels, failure=end.failure)


def _announce(work: PlannedRun) -> None:
    work.heard.stage("predict", f"{len(work.assignment.dataset.test_images):,} images")
