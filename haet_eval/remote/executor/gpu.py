"""Replacements on a GPU for operators that PyTorch chose for a CPU.

In the submission's process all handles are CPU tensors, even if the executor keeps the tensors on a GPU.
Nearly every operator has a kernel for both; these have no kernel for a GPU, or need one argument on the CPU.
"""

from collections.abc import Callable
from typing import Any, Final

import torch

from haet_eval.remote.executor.attention import attention, attention_backward

_aten: Final = torch.ops.aten


def _with_local_scalars(operator: Any) -> Callable[..., Any]:
    return lambda *tensors: operator(*tensors[:-1], tensors[-1].cpu())


# Their last argument is a tensor of one scalar for each tensor of the lists. PyTorch reads it on the CPU.
_LOCAL_SCALARS: Final = (
    *(_aten._foreach_addcdiv.Tensor, _aten._foreach_addcdiv_.Tensor),
    *(_aten._foreach_addcmul.Tensor, _aten._foreach_addcmul_.Tensor),
)
ON_GPU: Final[dict[str, Callable[..., Any]]] = {
    "aten._scaled_dot_product_flash_attention_for_cpu.default": attention,
    "aten._scaled_dot_product_flash_attention_for_cpu_backward.default": attention_backward,
    **{str(operator): _with_local_scalars(operator) for operator in _LOCAL_SCALARS},
}
