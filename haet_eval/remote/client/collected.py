"""`torch.tensor` of a list of handles: the executor stacks them, and nothing is read back."""

from collections.abc import Sequence
from typing import Any

import torch

from haet_eval.remote.client.gpu_scripts import here
from haet_eval.remote.client.tensor import RemoteTensor


def install_collected() -> None:
    """Let `torch.tensor`, `torch.as_tensor` and `Tensor.new_tensor` take lists of handles."""
    place: Any = torch
    # PyTorch reads each element of a list as a number. With handles that would be one charged read for each.
    for name in ("tensor", "as_tensor", "asarray"):
        setattr(place, name, _taking_handles(getattr(torch, name)))
    tensor: Any = torch.Tensor
    new_tensor = tensor.new_tensor

    def new(self: torch.Tensor, data: Any, **options: Any) -> Any:
        return (
            _made(data, {"dtype": self.dtype} | options)
            if _has_handles(data)
            else new_tensor(self, data, **options)
        )

    tensor.new_tensor = new


def _taking_handles(make: Any) -> Any:
    def made(data: Any, *args: Any, **options: Any) -> Any:
        if options.get("device") is not None:
            options["device"] = here(options["device"])
        return _made(data, options) if _has_handles(data) else make(data, *args, **options)

    return made


def _has_handles(data: Any) -> bool:
    """Whether a list, at some depth, begins with a handle; others are left to PyTorch."""
    while isinstance(data, list | tuple) and data:
        # Only the first item of each level is followed: a list of many numbers must not be walked through.
        if any(isinstance(item, RemoteTensor) for item in data):
            return True
        data = data[0]
    return False


def _made(data: Sequence[Any], options: dict[str, Any]) -> torch.Tensor:
    with torch.no_grad():
        stacked = _stacked(data)
        dtype = options.get("dtype") or _dtype_of_numbers(stacked)
        result = stacked.to(dtype)
    return result.requires_grad_(bool(options.get("requires_grad")))


def _stacked(data: Any) -> torch.Tensor:
    if isinstance(data, list | tuple):
        items = [_stacked(item) for item in data]
        dtype = items[0].dtype
        for item in items:
            dtype = torch.promote_types(dtype, item.dtype)
        # Detached, because torch.tensor makes a leaf that has no history.
        return torch.stack([item.detach().to(dtype) for item in items])
    return data if isinstance(data, torch.Tensor) else torch.tensor(data)


def _dtype_of_numbers(tensor: torch.Tensor) -> torch.dtype:
    """What PyTorch makes of the numbers that these tensors hold."""
    if tensor.is_floating_point():
        # torch.tensor sees Python's floats in a list, whatever dtype the tensors have that they come from.
        return torch.get_default_dtype()
    if tensor.dtype is torch.bool or tensor.is_complex():
        return tensor.dtype
    return torch.int64
