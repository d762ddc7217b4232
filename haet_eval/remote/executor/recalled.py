"""A template of another executor: its first call is not made again, and what it must do is known.

The tensors of that call are gone. Others of the same layout stand in for them, whose memory nobody touches.
"""

from collections.abc import Sequence
from typing import Any, Final

import torch

from haet_eval.operators.signature import CONJUGATE, NEGATIVE, TensorMeta
from haet_eval.remote.executor.expectation import Expectation
from haet_eval.remote.executor.kernel import overload
from haet_eval.remote.executor.outcome import TensorPlace, written_positions
from haet_eval.remote.handles import size_bytes
from haet_eval.remote.wire import Atom, Definition, Fresh, Outcome, Value, flatten

_NOWHERE: Final = 0


def laid_out(storage: torch.UntypedStorage, meta: TensorMeta) -> torch.Tensor:
    """The tensor of this layout in a storage."""
    tensor = torch.empty(0, dtype=getattr(torch, meta.dtype), device=storage.device)
    tensor.set_(storage, meta.offset, meta.shape, meta.stride)
    if meta.bits:
        torch._C._set_conj(tensor, bool(meta.bits & CONJUGATE))
        torch._C._set_neg(tensor, bool(meta.bits & NEGATIVE))
    return tensor


def recalled(
    definition: Definition, before: Sequence[TensorMeta], outcome: Outcome, device: torch.device
) -> Expectation:
    """What each call of a template must do, from its definition and the outcome of its first call.

    Args:
        definition: of the template.
        before: the inputs of the first call, before it.
        outcome: of the first call.
        device: of the tensors.
    """
    operator = overload(definition.operator)
    changed = dict(outcome.changed)
    after = [changed.get(place, meta) for place, meta in enumerate(before)]
    storages = [_storage(place, meta, outcome, device) for place, meta in enumerate(after)]
    # One tensor that was given twice is two here. The check takes calls that share tensors in another way.
    inputs = [laid_out(storage, meta) for storage, meta in zip(storages, after, strict=True)]
    values = [_value(value, inputs, storages, device) for value in outcome.outputs]
    return Expectation(
        operator,
        # As PyTorch returns them: one value alone, several as a tuple.
        values[0] if len(operator._schema.returns) == 1 else tuple(values) or None,
        inputs,
        # Only the offsets of these are looked at, so they need no memory.
        [TensorPlace(meta, _NOWHERE, 0) for meta in before],
        written_positions(definition, operator),
    )


def _storage(place: int, meta: TensorMeta, outcome: Outcome, device: torch.device) -> torch.UntypedStorage:
    """Memory for an input and for all outputs that lie in it."""
    views = (value.meta for value in flatten(outcome.outputs) if isinstance(value, Fresh))
    aliases = (value.alias for value in flatten(outcome.outputs) if isinstance(value, Fresh))
    here = [view for view, alias in zip(views, aliases, strict=True) if alias == place]
    return _empty(max(size_bytes(one, one.offset) for one in (meta, *here)), device)


def _value(
    value: Value, inputs: list[torch.Tensor], storages: list[torch.UntypedStorage], device: torch.device
) -> Any:
    match value:
        case tuple():
            return [_value(item, inputs, storages, device) for item in value]
        case Fresh():
            meta = value.meta
            own = value.alias < 0
            return laid_out(
                _empty(size_bytes(meta, meta.offset), device) if own else storages[value.alias], meta
            )
        case Atom():
            return inputs[int(value.value)]
        case _:
            return value


def _empty(count: int, device: torch.device) -> torch.UntypedStorage:
    return torch.empty(count, dtype=torch.uint8, device=device).untyped_storage()
