"""What a record says of the memory of a training's tensors."""

from haet_eval import record
from haet_eval.counting.histogram import PHASES
from haet_eval.remote.memory import PeakCall, TensorMemory


def in_record(memory: TensorMemory) -> record.TensorMemory:
    """The meter's figures as the record has them."""
    model = memory.model_bytes
    return record.TensorMemory(
        peak_bytes=memory.peak_bytes,
        model_bytes=model,
        other_bytes=None if model is None else memory.peak_bytes - model,
        training_set_bytes=memory.training_set_bytes,
        call=_call(memory.call) if memory.call else None,
    )


def _call(call: PeakCall) -> record.PeakCall:
    return record.PeakCall(number=call.number, operator=call.operator, phase=PHASES[call.phase])
