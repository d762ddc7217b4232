"""Lazy modules: parameters and buffers that are handles before their shape is known."""

from typing import Any

import torch
from torch.nn import parameter
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]

from haet_eval.remote.client.tensor import RemoteTensor


class LazyRemoteTensor(UninitializedTensorMixin, RemoteTensor):  # type: ignore[misc]
    """Becomes a RemoteTensor once its module has seen an input."""

    cls_to_become = RemoteTensor


def install_lazy_parameters() -> None:
    """Replace torch's constructors of uninitialized parameters and buffers."""

    def make(requires_grad: bool, device: Any, dtype: Any) -> torch.Tensor:
        tensor = torch.empty(0, device=device, dtype=dtype).requires_grad_(requires_grad)
        tensor.__class__ = LazyRemoteTensor
        return tensor

    def new_parameter(_: Any, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> Any:
        made: Any = make(requires_grad, device, dtype)
        made._is_param = True
        return made

    def new_buffer(
        _: Any, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True
    ) -> Any:
        made: Any = make(requires_grad, device, dtype)
        made._is_buffer, made.persistent = True, persistent
        return made

    uninitialized: Any = parameter
    uninitialized.UninitializedParameter.__new__ = new_parameter
    uninitialized.UninitializedBuffer.__new__ = new_buffer
