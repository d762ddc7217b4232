"""Operators that are not on the list, written with those that are: each part is counted.

Fake quantization takes floats and gives floats: divide by the scale, round, clamp, multiply. The kernels
multiply by the inverse of the scale in float32, and so do these, bit for bit. The mask of what was not
clamped, which the derivative needs, is one comparison more.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, Final

import numpy as np
import torch

from haet_eval.operators.table import lookup

_aten: Final = torch.ops.aten
# `SMALL_SCALE_THRESHOLD` of PyTorch's QuantUtils.h, which is a float there.
_SMALL_SCALE: Final = float(np.float32(6.1e-5))


def _resized(tensor: torch.Tensor, size: list[int], **_: Any) -> torch.Tensor:
    """`resize_`: the elements stay in their order; what is new is zero, and not memory as it was left."""
    count = torch.Size(size).numel()
    flat = tensor.reshape(-1)[:count]
    if flat.numel() < count:
        flat = torch.cat([flat, flat.new_zeros(count - flat.numel())])
    # A clone, because `flat` may be a view, and a resized tensor shares memory with no other.
    resized: torch.Tensor = _aten.set_.source_Tensor(tensor, flat.clone().view(size))
    return resized


def _per_tensor(
    x: torch.Tensor, scale: float, zero_point: int, quant_min: int, quant_max: int
) -> tuple[torch.Tensor, torch.Tensor]:
    # Without a zero point there is nothing to add, and an addition of 0 would be counted.
    rounded = (x * _inverse(scale)).round()
    if zero_point:
        rounded = rounded + zero_point
    clamped = rounded.clamp(quant_min, quant_max)
    kept = clamped == rounded
    return ((clamped - zero_point) if zero_point else clamped) * scale, kept


def _inverse(scale: float) -> float:
    """1 / scale, both in float32."""
    # In double precision the inverse could round to another float32 than that of the kernel.
    return float(np.float32(1) / np.float32(scale))


def _tensors(
    x: torch.Tensor, scale: torch.Tensor, zero_point: torch.Tensor, quant_min: int, quant_max: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """With a scale and a zero point that are tensors, of shapes that broadcast."""
    rounded = (x * scale.reciprocal()).round() + zero_point
    clamped = rounded.clamp(quant_min, quant_max)
    return (clamped - zero_point) * scale, clamped == rounded


def _switched(
    x: torch.Tensor,
    scale: torch.Tensor,
    zero_point: torch.Tensor,
    fake_quant_enabled: torch.Tensor,
    quant_min: int,
    quant_max: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """What the switch says is read: it depends on no data, unless the submission makes it so."""
    if not fake_quant_enabled.item():
        return x.clone(), torch.ones_like(x, dtype=torch.bool)
    return _tensors(x, scale, zero_point, quant_min, quant_max)


def _per_channel(
    x: torch.Tensor, scale: torch.Tensor, zero_point: torch.Tensor, axis: int, quant_min: int, quant_max: int
) -> tuple[torch.Tensor, torch.Tensor]:
    shape = _along(x, axis)
    return _tensors(x, scale.view(shape), zero_point.view(shape), quant_min, quant_max)


def _along(x: torch.Tensor, axis: int) -> list[int]:
    return [-1 if place == axis % x.dim() else 1 for place in range(x.dim())]


def _observed(
    x: torch.Tensor,
    observer_on: torch.Tensor,
    fake_quant_on: torch.Tensor,
    running_min: torch.Tensor,
    running_max: torch.Tensor,
    scale: torch.Tensor,
    zero_point: torch.Tensor,
    averaging_const: float,
    quant_min: int,
    quant_max: int,
    ch_axis: int,
    per_row_fake_quant: bool = False,
    symmetric_quant: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """A moving average of the extremes, the scale that they ask for, and fake quantization with it."""
    if observer_on.item():
        low, high = _extremes(x, ch_axis) if per_row_fake_quant else torch.aminmax(x)
        if per_row_fake_quant and running_min.shape != low.shape:
            for buffer in (running_min, running_max, scale, zero_point):
                buffer.resize_(low.shape)
            # `resize_` has left zeros there, which would count as extremes.
            running_min.copy_(low), running_max.copy_(high)
        _average(running_min, low.view_as(running_min), averaging_const)
        _average(running_max, high.view_as(running_max), averaging_const)
        _choose(running_min, running_max, scale, zero_point, quant_min, quant_max, symmetric_quant)
    if not fake_quant_on.item():
        return x.clone(), torch.ones_like(x, dtype=torch.bool)
    if per_row_fake_quant:
        return _per_channel(x, scale, zero_point, ch_axis, quant_min, quant_max)
    return _tensors(x, scale, zero_point, quant_min, quant_max)


def _extremes(x: torch.Tensor, axis: int) -> tuple[torch.Tensor, torch.Tensor]:
    rows = x.transpose(0, axis).reshape(x.shape[axis], -1)
    low, high = torch.aminmax(rows, dim=1)
    return low, high


def _average(running: torch.Tensor, seen: torch.Tensor, share: float) -> None:
    """The first value is taken as it is: until then the running one is infinite."""
    running.copy_(torch.where(torch.isinf(running), seen, running + share * (seen - running)))


def _choose(
    low: torch.Tensor,
    high: torch.Tensor,
    scale: torch.Tensor,
    zero_point: torch.Tensor,
    quant_min: int,
    quant_max: int,
    symmetric: bool,
) -> None:
    """The scale and the zero point that map these extremes to the range of the integers.

    As PyTorch's `quant_utils::ChooseQuantizationParams`, whose intermediate results are in double precision.
    """
    steps = quant_max - quant_min
    both = (low < 0) & (high > 0)
    if symmetric:
        reach = torch.maximum((low / -(steps // 2 + 1)).abs(), (high / (steps // 2)).abs())
        # PyTorch keeps zero exact only for a range that has both signs.
        low = torch.where(both, reach * -(steps // 2 + 1), low)
        high = torch.where(both, reach * (steps // 2), high)
    # The range must contain zero, so that zero can be represented exactly.
    least, most = low.clamp(max=0), high.clamp(min=0)
    found = (most.double() - least.double()) / steps
    # PyTorch's choice for a range of no width, whose scale has no finite inverse.
    found = torch.where(torch.isinf(found.float().reciprocal()), 0.1, found)
    least, most = _widened(least, most, found, steps)
    found = found.clamp(min=_SMALL_SCALE)
    below, above = least.double() / found, most.double() / found
    # The end with the smaller terms has the smaller rounding error.
    nearer = abs(quant_min) - below.abs() < abs(quant_max) - above.abs()
    zero = torch.where(nearer, quant_min - below, quant_max - above)
    if symmetric:
        zero = torch.where((least < 0) & (most > 0), (quant_min + quant_max) / 2, zero)
    scale.copy_(found.view_as(scale))
    zero_point.copy_(zero.clamp(quant_min, quant_max).round().view_as(zero_point))


def _widened(
    least: torch.Tensor, most: torch.Tensor, scale: torch.Tensor, steps: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The extremes; of a range whose scale is too small, those that belong to the smallest scale.

    In float32 throughout, as PyTorch's: a product in double precision could round to another one.
    """
    small, narrow = scale < _SMALL_SCALE, scale.float()
    # A tensor divided by a tensor, because a number divided by one is multiplied by its inverse.
    factor = torch.full_like(narrow, _SMALL_SCALE) / narrow
    width = float(np.float32(_SMALL_SCALE) * np.float32(steps))
    return (
        torch.where(small, torch.where(most == 0, -width, least * factor), least),
        torch.where(small, torch.where(least == 0, width, most * factor), most),
    )


IN_PARTS: Final[dict[Any, Callable[..., Any]]] = {
    _aten.resize_.default: _resized,
    _aten.fake_quantize_per_tensor_affine_cachemask.default: _per_tensor,
    _aten._fake_quantize_per_tensor_affine_cachemask_tensor_qparams.default: _switched,
    _aten.fake_quantize_per_channel_affine_cachemask.default: _per_channel,
    _aten._fused_moving_avg_obs_fq_helper.default: _observed,
}


@cache
def parts_of(func: Any, device: str) -> Callable[..., Any] | None:
    """What to call instead of an overload on this device, so that its parts are counted.

    It is a composite of operators, an operator that was made in Python with torch.library, or one that is
    written with others here. None if it is counted as it is.
    """
    for key in (device.upper(), "CompositeExplicitAutograd"):
        if f"{func.name().replace('::', '/')}/{key}" in torch.library._impls:
            return partial(func._op_dk, torch._C._parse_dispatch_key(key))
    # After the operators made in Python: an implementation of the submission's own has precedence, as in
    # PyTorch.
    if func in IN_PARTS:
        return IN_PARTS[func]
    composite = torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")
    if composite and lookup(str(func)) is None:
        # Not func.decompose: that prefers parts in Python, which other modes of autograd do not take.
        return partial(func._op_dk, torch._C.DispatchKey.CompositeImplicitAutograd)
    return None
