"""Operators that are counted by their parts, as the judge counts them."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, Final

import torch
from torch._ops import HigherOrderOperator

from haet_eval.operators.table import lookup
from haet_eval.remote.client.in_parts import IN_PARTS

_aten: Final = torch.ops.aten
_RESIZE: Final = _aten.resize_.default

NOT_WORK: Final = frozenset(
    {
        *(_aten.detach.default, _aten.detach_.default, _aten.lift_fresh.default, _RESIZE),
        *(_aten._local_scalar_dense.default, _aten._has_same_storage_numel.default),
        *(_aten.is_pinned.default, _aten.record_stream.default, _aten.set_.source_Storage),
        _aten.set_.source_Storage_storage_offset,
    }
)
"""What the judge does not count as a call: reading a number, a second name for memory, a new size."""


def computes(func: Any) -> bool:
    """Whether a call is work on tensors: neither a mark of the profiler nor one of NOT_WORK."""
    if isinstance(func, HigherOrderOperator):
        return True
    if func.namespace == "profiler" or func in NOT_WORK:
        return False
    values = (*func._schema.arguments, *func._schema.returns)
    return any("Tensor" in str(value.type) for value in values)


@cache
def parts_of(func: Any, device: str) -> Callable[..., Any] | None:
    """What to call instead of an overload on this device, so that its parts are counted.

    It is a composite of operators, an operator that was made in Python with torch.library, or one that the
    judge writes with others. None if it is counted as it is.
    """
    for key in (device.upper(), "CompositeExplicitAutograd"):
        if f"{func.name().replace('::', '/')}/{key}" in torch.library._impls:
            return partial(func._op_dk, torch._C._parse_dispatch_key(key))
    if func is not _RESIZE and func in IN_PARTS:
        return IN_PARTS[func]
    composite = torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")
    if composite and lookup(str(func)) is None:
        return partial(func._op_dk, torch._C.DispatchKey.CompositeImplicitAutograd)
    return None
