"""What a record says of the memory of a training's tensors."""

from haet_eval import record
from haet_eval.counting.histogram import PHASES
from haet_eval.remote.labels import TemplateLabels
from haet_eval.remote.memory import CallAtPeak, MeteredMemory


def in_record(memory: MeteredMemory, labels: TemplateLabels | None = None) -> record.TensorMemory:
    """The meter's figures as the record has them, with what the submission says of the call at the peak."""
    model = memory.model_bytes
    return record.TensorMemory(
        peak_bytes=memory.peak_bytes,
        model_bytes=model,
        other_bytes=None if model is None else memory.peak_bytes - model,
        training_set_bytes=memory.training_set_bytes,
        call=_call(memory.call, labels or TemplateLabels()) if memory.call else None,
    )


def without_labels(memory: record.TensorMemory) -> record.TensorMemory:
    """What follows from the calls alone."""
    call = memory.call and memory.call.model_copy(update={"line": None, "module": None})
    return memory.model_copy(update={"call": call})


def _call(call: CallAtPeak, labels: TemplateLabels) -> record.PeakCall:
    # The submission's process gives the labels, unlike the other figures; `without_labels` leaves them out.
    label = labels.of(call.template)
    return record.PeakCall(
        number=call.number,
        operator=call.operator,
        phase=PHASES[call.phase],
        line=label.line or None,
        module=label.module or None,
    )
