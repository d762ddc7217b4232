"""What a kernel returned, in the words of the wire: metadata and aliasing, never values of tensors."""

from collections.abc import Sequence
from typing import Any

import torch

from haet_eval.counting.signature import TensorMeta
from haet_eval.remote.wire import Atom, Fresh, Outcome, Tag, Value


def meta_of(tensor: torch.Tensor) -> TensorMeta:
    """Shape, stride, offset and dtype of a tensor."""
    dtype = str(tensor.dtype).removeprefix("torch.")
    return TensorMeta(tuple(tensor.size()), tuple(tensor.stride()), int(tensor.storage_offset()), dtype)


def returned_values(operator: Any, result: Any) -> tuple[Any, ...]:
    """The result of an operator as one entry for each value that its schema returns."""
    count = len(operator._schema.returns)
    if count == 0:
        return ()
    return (result,) if count == 1 else tuple(result)


def fresh_tensors(values: Sequence[Any], inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The tensors among the results that are none of the inputs, depth first."""
    found: list[torch.Tensor] = []
    for value in values:
        if isinstance(value, torch.Tensor):
            if not any(value is tensor for tensor in inputs):
                found.append(value)
        elif isinstance(value, list | tuple):
            found += fresh_tensors(value, inputs)
    return found


def describe(values: Sequence[Any], inputs: Sequence[torch.Tensor], before: Sequence[TensorMeta]) -> Outcome:
    """The outcome of a call; `before` is the metadata of the inputs before it."""
    storages = {_storage(tensor): place for place, tensor in reversed(list(enumerate(inputs)))}
    after = [meta_of(tensor) for tensor in inputs]
    changed = tuple(
        (place, new) for place, (old, new) in enumerate(zip(before, after, strict=True)) if old != new
    )
    return Outcome(tuple(_describe(value, inputs, storages) for value in values), changed)


def _storage(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _describe(value: Any, inputs: Sequence[torch.Tensor], storages: dict[int, int]) -> Value:
    if isinstance(value, torch.Tensor):
        for place, tensor in enumerate(inputs):
            if value is tensor:
                return Atom(Tag.INPUT, place)
        return Fresh(meta_of(value), storages.get(_storage(value), -1))
    if isinstance(value, list | tuple):
        return tuple(_describe(item, inputs, storages) for item in value)
    if value is None or isinstance(value, bool | int | float | complex):
        return value
    raise TypeError(f"an operator returned a {type(value).__name__}")
