"""Mirrors: local copies of 0-dimensional tensors that depend on no data.

Optimizers keep step counters in such tensors and read them at every step; with a mirror that costs no answer.
The executor does the same arithmetic all the same, and the meter counts it.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils._mode_utils import no_dispatch

from haet_eval.remote.client.calls import CallResult, Input, KnownCall, NewOutput
from haet_eval.remote.client.tensor import RemoteTensor


def is_possible(func: Any, known: KnownCall, tensors: Sequence[RemoteTensor]) -> bool:
    """Whether a call can be done on mirrors."""
    return (
        # A random number drawn here would be another than the executor's.
        not (known.random or known.dynamic or known.view)
        and known.returns in ("one", "nothing")
        and bool(tensors)
        # Scalars only: step counters are scalars, and what has a mirror is computed twice.
        and all(not tensor._layout.shape for tensor in tensors)
        and all(_is_scalar(result, tensors) for result in known.results)
        # No views: if a later write made one of the two forget its mirror, the other's would be wrong.
        and (not _aliases(func) or func._schema.is_mutable)
    )


def forgotten(func: Any, tensors: Sequence[RemoteTensor]) -> tuple[int, ...]:
    """The inputs whose mirrors may be wrong after a call that writes, or that makes a view to write to."""
    if not _aliases(func):
        return ()
    return tuple(place for place, tensor in enumerate(tensors) if not tensor._layout.shape)


def _aliases(func: Any) -> bool:
    return any(argument.alias_info is not None for argument in func._schema.arguments)


def _is_scalar(result: CallResult, tensors: Sequence[RemoteTensor]) -> bool:
    if isinstance(result, NewOutput):
        return not result.layout.shape
    return isinstance(result, Input) and not tensors[result.position]._layout.shape


def run(
    func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: Sequence[RemoteTensor]
) -> torch.Tensor | None:
    """Do a call on the mirrors, in place where it is in place. None, and no mirrors, if one is missing."""
    if any(tensor._mirror is None for tensor in tensors):
        # The executor writes to them all the same, so a mirror that is left would be wrong.
        if func._schema.is_mutable:
            forget(tensors)
        return None
    # The mirrors are ordinary tensors, and their calls must not be sent.
    with no_dispatch():
        result = func(*[_mirrored(value) for value in args], **{k: _mirrored(v) for k, v in kwargs.items()})
    return result if isinstance(result, torch.Tensor) and not func._schema.is_mutable else None


def forget(tensors: Sequence[RemoteTensor]) -> None:
    """A call may have written to these tensors."""
    for tensor in tensors:
        tensor._mirror = None


def _mirrored(value: Any) -> Any:
    if isinstance(value, RemoteTensor):
        return value._mirror
    if isinstance(value, list | tuple):
        return [_mirrored(item) for item in value]
    return value
