"""Which calls are work: the others are not counted, as the judge does not count them."""

from typing import Any, Final

import torch
from torch._ops import HigherOrderOperator

_aten: Final = torch.ops.aten

NOT_WORK: Final = frozenset(
    {
        *(_aten.detach.default, _aten.detach_.default, _aten.lift_fresh.default, _aten.resize_.default),
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
    # An operator without a tensor on either side, such as one on streams or symbols, computes nothing that is
    # counted.
    values = (*func._schema.arguments, *func._schema.returns)
    return any("Tensor" in str(value.type) for value in values)
