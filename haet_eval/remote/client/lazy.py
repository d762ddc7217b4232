"""Lazy modules: parameters and buffers that are handles before their shape is known."""

from typing import Any

import torch
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from haet_eval.remote.client.tensor import RemoteTensor


class LazyParameter(UninitializedParameter, RemoteTensor):
    """Becomes a RemoteTensor once its module has seen an input."""

    cls_to_become = RemoteTensor


class LazyBuffer(UninitializedBuffer, RemoteTensor):
    """Becomes a RemoteTensor once its module has seen an input."""

    cls_to_become = RemoteTensor


def install_lazy_parameters() -> None:
    """Replace torch's constructors of uninitialized parameters and buffers."""

    def make(kind: Any, requires_grad: bool, device: Any, dtype: Any) -> Any:
        # PyTorch's own constructor would make an object without a handle.
        tensor = torch.empty(0, device=device, dtype=dtype).requires_grad_(requires_grad)
        tensor.__class__ = kind
        return tensor

    def new_parameter(_: Any, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> Any:
        made = make(LazyParameter, requires_grad, device, dtype)
        # What nn.Parameter's isinstance looks at.
        made._is_param = True
        return made

    def new_buffer(
        _: Any, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True
    ) -> Any:
        made = make(LazyBuffer, requires_grad, device, dtype)
        made._is_buffer, made.persistent = True, persistent
        return made

    parameter, buffer = UninitializedParameter, UninitializedBuffer
    parameter.__new__ = new_parameter  # type: ignore[method-assign, assignment]
    buffer.__new__ = new_buffer  # type: ignore[method-assign, assignment]
