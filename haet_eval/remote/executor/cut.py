"""The records `select` and `slice`: the meter computes the result, and PyTorch's view must agree with it."""

from typing import Final

import torch

from haet_eval.remote.executor.outcome import Mismatch, bits_of, storage_of

_select: Final = torch.ops.aten.select.int
_slice: Final = torch.ops.aten.slice.Tensor


def selected(tensor: torch.Tensor, dimension: int, index: int) -> torch.Tensor:
    """`tensor.select(dimension, index)`.

    Raises:
        Mismatch: PyTorch returned another view than the meter computes.
    """
    shape, stride = tensor.size(), tensor.stride()
    view: torch.Tensor = _select(tensor, dimension, index)
    shape, cut = shape[:dimension] + shape[dimension + 1 :], stride[:dimension] + stride[dimension + 1 :]
    return _checked(view, tensor, shape, cut, index * stride[dimension])


def sliced(tensor: torch.Tensor, dimension: int, start: int, end: int, step: int) -> torch.Tensor:
    """`tensor[start:end:step]` in one dimension.

    Raises:
        Mismatch: PyTorch returned another view than the meter computes.
    """
    shape, stride = tensor.size(), tensor.stride()
    view: torch.Tensor = _slice(tensor, dimension, start, end, step)
    rows = -(-(end - start) // step)
    return _checked(
        view,
        tensor,
        (*shape[:dimension], rows, *shape[dimension + 1 :]),
        (*stride[:dimension], stride[dimension] * step, *stride[dimension + 1 :]),
        start * stride[dimension],
    )


def _checked(
    view: torch.Tensor, base: torch.Tensor, shape: tuple[int, ...], stride: tuple[int, ...], shift: int
) -> torch.Tensor:
    alike = (
        view.size() == shape
        and view.stride() == stride
        and view.storage_offset() == base.storage_offset() + shift
        and view.dtype is base.dtype
        # The same offset in another storage would be other data.
        and storage_of(view) == storage_of(base)
        and bits_of(view) == bits_of(base)
        and view is not base
    )
    if not alike:
        raise Mismatch("it returned another view than its numbers say")
    return view
