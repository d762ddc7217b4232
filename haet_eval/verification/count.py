"""Computes the cost of a training again from its trace, and prices it again."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from haet_eval.competition import Budgets, Competition, Task
from haet_eval.counting.bill import bill
from haet_eval.counting.histogram import NO_TRAINING, Histogram
from haet_eval.counting.memory import in_record, without_labels
from haet_eval.counting.operations import bytes_moved, precision, priced, with_refused, with_short_shapes
from haet_eval.dataset import Dataset
from haet_eval.errors import Verdict
from haet_eval.operators.standard import VERSIONS, nearest, under
from haet_eval.record import Operations, Parameters, Precision, Record, Status, Training, complexity
from haet_eval.remote.messages import ModelTensor
from haet_eval.remote.recount import Deaf, Recount, recount
from haet_eval.remote.trace import BrokenTrace, trace_version
from haet_eval.remote.weights import Weight, check_weights
from haet_eval.remote.wire import TRACE_VERSION
from haet_eval.verification.check import Check, differs, holds, same, stated, unchecked
from haet_eval.verification.evidence import Evidence

NO_TRACE = "needs the trace"


class _ReturnedModel(Deaf):
    """Notes the tensors of the returned model while a trace is recounted."""

    def __init__(self) -> None:
        self.weights: tuple[Weight, ...] = ()

    def sealed(self, entry: int, tensors: tuple[ModelTensor, ...], weights: tuple[Weight, ...]) -> None:  # noqa: ARG002
        self.weights = weights


def check_count(record: Record, evidence: Evidence) -> Iterator[Check]:
    """Count, operations, parameters, charges and complexity."""
    training = record.training
    if training is None:
        native = "it trained on plain tensors, and such a run has no count"
        yield stated("count", native if record.native else "the run ended before the training")
        return
    found, model = None, _ReturnedModel()
    if "trace" in evidence.files:
        try:
            # The meter prices calls while it reads the trace. An unknown standard gets its own line in
            # `_check_operations`.
            with under(nearest(training.operations.standard)):
                found = recount(evidence.files["trace"], model)
        # The checks go on with the stored histogram, so that one broken file does not hide other faults.
        except BrokenTrace as fault:
            yield differs("count", str(fault))
    if found is None:
        yield unchecked("parameters, charges, tensor memory, prediction", NO_TRACE)
    else:
        yield from _check_recount(record, training, found, evidence)
        if "weights" in evidence.files:
            yield _check_weights(evidence.files["weights"], model)
    yield _check_operations(record.status, training.operations, found, evidence)
    yield from _check_widths(training, found, evidence)
    yield from _check_model(training, evidence.competition)
    yield _check_charged(record, evidence.task(record))
    detail = "is the sum of parameters, operations and charged operations of the prediction"
    yield same("complexity", record.complexity, complexity(training, record.evaluation), detail)


def _check_recount(record: Record, training: Training, found: Recount, evidence: Evidence) -> Iterator[Check]:
    yield _check_header(record, found, evidence)
    yield _check_histogram(training, found.histogram, evidence.files.get("histogram"))
    parameters = found.parameters and Parameters(
        total=found.parameters.total,
        trainable=found.parameters.trainable,
        frozen=found.parameters.frozen,
        buffers=found.parameters.buffers,
    )
    # A trace ends with the seal before the weights come back. A run that failed in between has no parameters.
    if training.parameters is None and record.evaluation is None:
        yield stated("parameters", "the record has none: no model came back whole")
    else:
        yield same("parameters", training.parameters, parameters, "follow from the trace")
    yield _check_charges(record.schema_version, training, found)
    yield _check_memory(training, found)
    if record.native is None:
        yield _check_prediction(record, found, evidence)
    else:
        yield stated("prediction", "the one of the record ran on plain tensors, the trace has another")


def _check_header(record: Record, found: Recount, evidence: Evidence) -> Check:
    data, subject = evidence.dataset, "trace's header"
    claimed = {
        # Without the data here the number of images cannot be compared; `_take_data` reports what is missing.
        **({"images": list(data.train_images.shape)} if data else {}),
        "dataset": record.dataset.digest if record.dataset else None,
        "seed": record.environment.seed,
        "threads": record.environment.threads,
        "device": record.environment.device,
    }
    other = [name for name, value in claimed.items() if found.header.get(name) != value]
    if other:
        return differs(subject, f"{', '.join(other)} is not what the record says")
    # The header is the evaluator's word. The first seed came from the submission's process, and a replay with
    # another one gives other weights.
    if record.schema_version > 1 and found.first_seed not in (None, record.environment.seed):
        return differs(subject, f"the training began with seed {found.first_seed}, and not with the record's")
    # 0.1.0 wrote traces of an earlier version. A later record that says it is one would drop its charges.
    if record.schema_version == 1 and trace_version(evidence.files["trace"]) == TRACE_VERSION:
        return differs(subject, "the trace is later than records of schema version 1 are")
    return holds(subject, "data set, seed, threads and device are the record's")


def _check_histogram(training: Training, found: Histogram, stored: Path | None) -> Check:
    data = found.to_json()
    claimed = training.histogram
    # The stored file and the record's digest can be wrong separately, so the trace is compared with both.
    if stored is not None and stored.read_bytes() != data:
        return differs("count", "the histogram that follows from the trace is not the stored one")
    if hashlib.sha256(data).hexdigest() != claimed.sha256:
        return differs("count", "the histogram that follows from the trace is not the one of the record")
    return same("count", claimed.entries, len(found), "the trace gives the same histogram, byte for byte")


def _check_operations(
    status: Status, claimed: Operations, recounted: Recount | None, evidence: Evidence
) -> Check:
    subject = f"operations (standard {claimed.standard})"
    if claimed.standard not in VERSIONS:
        known = " and ".join(map(str, VERSIONS))
        return differs(subject, f"this haet-eval has the prices of standard {known} and knows no other")
    try:
        # The trace is the stronger evidence. The stored histogram counts only if there is no sound trace.
        histogram = _stored(evidence) if recounted is None else recounted.histogram
        with under(claimed.standard):
            found = None if histogram is None else priced(bill(histogram))
        if found is None:
            return unchecked(subject, "needs the trace or the histogram")
        # Python writes no number of more than some thousand digits, which forged sizes can come to.
        detail = f"{found.total:,} when priced anew"
    # A histogram with the right digest may still hold nonsense.
    except NO_TRAINING as error:
        return differs(subject, f"the stored histogram is not that of a training: {error}")
    if recounted is not None and status.verdict is Verdict.UNCOUNTABLE:
        found = with_refused(found, recounted.refused, status.reason)
    elif recounted is None:  # a histogram has no refused calls, so they cannot be compared
        claimed = claimed.model_copy(
            update={"uncounted": tuple(one for one in claimed.uncounted if one.shapes)}
        )
    claimed = with_short_shapes(claimed)
    # `same` shows the totals, which are equal here: its line would not say what is wrong.
    if found.total == claimed.total and found != claimed:
        return differs(subject, "the total is right, but its parts or its uncounted operators are wrong")
    return same(subject, claimed.total, found.total, detail)


def _check_widths(training: Training, recounted: Recount | None, evidence: Evidence) -> Iterator[Check]:
    """Dtypes and bytes moved, from the histogram. Of older records, which have none, the lines show them."""
    try:
        histogram = _stored(evidence) if recounted is None else recounted.histogram
        if histogram is None:
            yield unchecked("precision, bytes moved", "needs the trace or the histogram")
            return
        bits = _parameter_bits(training, recounted)
        with under(nearest(training.operations.standard)):
            widths, moved = precision(histogram, bits), bytes_moved(histogram)
        computed = f"{widths.bit_operations:,} bit operations"
        detail = f"{moved.read:,} are read and {moved.written:,} written by the calls"
    except NO_TRAINING as error:
        yield differs("precision", f"no training gives the stored histogram: {error}")
        return
    yield _check_precision(training.precision, widths, computed)
    if training.bytes_moved is None:
        yield stated("bytes moved", f"the record has none; {detail}")
    else:
        yield same("bytes moved", str(training.bytes_moved), str(moved), detail)


def _parameter_bits(training: Training, recounted: Recount | None) -> int | None:
    """Bits of the model's parameters by the trace; without a trace, those that the record states."""
    if training.parameters is None:
        return None
    if recounted is None:
        return training.precision.parameter_bits if training.precision else None
    return recounted.parameters.bits if recounted.parameters else None


def _check_precision(claimed: Precision | None, found: Precision, computed: str) -> Check:
    subject = "precision"
    if claimed is None:
        return stated(subject, f"the record has none; it would be {computed}")
    # As above: the figures that `same` would show are equal.
    if claimed.bit_operations == found.bit_operations and claimed != found:
        wrong = "the bit operations are right, but the dtypes or the parameters' bits are wrong"
        return differs(subject, wrong)
    detail = f"{computed} follow from the calls and their dtypes"
    return same(subject, claimed.bit_operations, found.bit_operations, detail)


def _check_model(training: Training, rules: Competition | None) -> Iterator[Check]:
    """The modelled energy, from the record's dtypes and bytes, which are checked by themselves."""
    subject, claimed = "modelled energy", training.modelled_joules
    if rules is None:
        if claimed is not None:
            yield unchecked(subject, "needs the rules of the competition")
        return
    model, widths, moved = rules.energy_model, training.precision, training.bytes_moved
    if model is None:
        if claimed is not None:
            yield differs(subject, "the rules have no model of energy")
    elif widths is None or moved is None:
        yield differs(subject, "the record has no dtypes or no bytes moved to model it from")
    else:
        found = model.joules(widths.by_dtype, moved.read + moved.written)
        yield same(subject, claimed, found, f"{found:.6g} J by the rules' model, which is no measurement")


def _check_weights(path: Path, model: _ReturnedModel) -> Check:
    """Whether the stored weights can be those of the model in the trace. Their values need a replay."""
    try:
        check_weights(path.read_bytes(), model.weights)
    except (OSError, ValueError) as error:
        return differs("model's tensors", f"the stored weights are not those that were returned: {error}")
    return holds("model's tensors", f"the stored weights have the {len(model.weights):,} of the trace")


def _check_charges(schema_version: int, training: Training, found: Recount) -> Check:
    claimed = (
        training.readback_bytes,
        training.upload_bytes,
        training.messages,
        training.timed_answers,
        training.constant_selects,
    )
    counted = found.training
    # Version 0.1.0 charged neither of these, and its records do not have them.
    later = (None, None) if schema_version == 1 else (counted.timed_answers, counted.constant_selects)
    charged = (counted.readback_bytes, counted.upload_bytes, counted.messages, *later)
    detail = "bytes read back and sent up, messages, and answers waited for follow from the trace"
    return same("charges", claimed, charged, detail)


def _check_memory(training: Training, found: Recount) -> Check:
    """The peak of the tensors' memory. Older records have none; what the trace gives is shown then."""
    subject, memory = "tensor memory", in_record(found.memory)
    if training.memory is None:
        return stated(subject, f"the record has none; in the trace the peak is {memory.peak_bytes:,} bytes")
    # Line and module of the call are the words of the submission's process, so no trace shows them.
    claimed = without_labels(training.memory)
    if claimed.peak_bytes == memory.peak_bytes and claimed != memory:
        return differs(subject, "the peak is right, but its parts or the call that made it are wrong")
    detail = f"{memory.peak_bytes:,} bytes at the peak, without the training set, follow from the trace"
    return same(subject, claimed.peak_bytes, memory.peak_bytes, detail)


def _check_no_prediction(status: Status, found: Recount, data: Dataset | None) -> Check:
    """Whether the trace can be that of a run that ended before its score."""
    subject = "prediction"
    if found.batches and status.stage != "predict":
        return differs(subject, f"the run ended in stage {status.stage}, and the trace has predictions")
    # The submission may fail after its last batch, or the executor while it works that batch off.
    if data is not None and found.predicted_images == len(data.test_images):
        return unchecked(subject, "the trace has all of it; only --rerun shows that the run ended there")
    return stated(subject, "the run ended before all images were predicted")


def _check_prediction(record: Record, found: Recount, evidence: Evidence) -> Check:
    """Images, operations and read-back of the prediction, and that its charges are within the rules."""
    evaluation, task = record.evaluation, evidence.task(record)
    if evaluation is None:
        return _check_no_prediction(record.status, found, evidence.dataset)
    # Each batch may read back as much as the rules allow. Small batches would multiply that allowance.
    if task is not None and not _are_whole(found.batches, task.budgets.prediction_batch_size):
        return differs("prediction", "its batches are not those of the rules, of which each may read back")
    over = list(_over_budget(record, found, task.budgets)) if task is not None else []
    if over:
        return differs("prediction", f"it uses more than the rules allow: {', '.join(over)}")
    first = record.schema_version == 1
    claimed = (evaluation.total, evaluation.operations, evaluation.readback_bytes)
    counted = (
        found.predicted_images,
        found.prediction_operations,
        None if first else found.prediction_readback_bytes,
    )
    detail = (
        f"{found.predicted_images:,} images, {found.prediction_operations:,} operations and "
        f"{found.prediction_readback_bytes:,} bytes read back in the trace"
    )
    return same("prediction", claimed, counted, detail)


def _are_whole(batches: Sequence[int], size: int) -> bool:
    """Whether each batch has that many images; the last one has what is left."""
    return all(images == size for images in batches[:-1]) and all(images <= size for images in batches[-1:])


def _over_budget(record: Record, found: Recount, budgets: Budgets) -> Iterator[str]:
    """The budgets that training and prediction together have exceeded. The read-back of a batch has its own.

    Under 0.1.0, whose records have schema version 1, prediction used the rest of the training's read-back
    budget.
    """
    # Uploads, messages and memory have one budget for training and prediction together.
    charged = found.whole_run
    if record.schema_version == 1:
        if charged.readback_bytes > budgets.readback_bytes:
            yield "read-back"
    else:
        if found.most_readback_bytes_of_a_batch > budgets.prediction_readback_bytes:
            yield "read-back of one batch"
        if charged.timed_answers > budgets.timed_answers:
            yield "answers waited for"
    if charged.upload_bytes > budgets.upload_bytes:
        yield "upload"
    if charged.messages > budgets.messages:
        yield "messages"
    if budgets.peak_tensor_bytes is not None and found.memory.peak_bytes > budgets.peak_tensor_bytes:
        yield "tensor memory"


def _check_charged(record: Record, task: Task | None) -> Check:
    """The operations of the prediction that count as complexity: those above the free ones of the rules."""
    subject, evaluation = "charged operations", record.evaluation
    if evaluation is None:
        return stated(subject, "nothing was predicted")
    if record.schema_version == 1 or evaluation.operations is None:
        why = "the prediction was not counted" if record.native else "under 0.1.0 no prediction cost anything"
        return same(subject, evaluation.charged_operations, None, why)
    if task is None:
        return unchecked(subject, "needs the rules of the competition")
    charged = task.budgets.charged_operations(evaluation.operations, evaluation.total)
    free = task.budgets.prediction_free_operations_per_image
    detail = f"{charged:,} of the prediction, above {free:,} for an image"
    return same(subject, evaluation.charged_operations, charged, detail)


def _stored(evidence: Evidence) -> Histogram | None:
    path = evidence.files.get("histogram")
    return Histogram.from_json(path.read_bytes()) if path else None
