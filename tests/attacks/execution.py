"""Runs a recorded or mutated call on PyTorch's kernels, with tensors made up on the spot."""

from collections.abc import Callable
from random import Random

import torch

from haet_eval.counting.signature import Argument, TensorMeta
from haet_eval.remote.operators.schema import Parameter
from haet_eval.remote.operators.validation import Origin
from tests.attacks.recorded_calls import RecordedCall

ALIGNMENT_BYTES = 64
STRIDED = ("aten.as_strided", "aten.set_")


def run(call: RecordedCall, chance: Random) -> object:
    """Execute one call.

    Raises:
        Exception: whatever the kernel says; memory errors end the process.
    """
    overload = overload_of(call.operator)
    flush = not call.operator.startswith(STRIDED)
    positional: list[object] = []
    named: dict[str, object] = {}
    for parameter in call.schema().parameters:
        if parameter.name in call.arguments:
            value = _argument(call, parameter, chance, flush)
            if parameter.keyword_only:
                named[parameter.name] = value
            else:
                positional.append(value)
        elif not parameter.keyword_only:
            positional.append(parameter.default)
    with torch.no_grad():
        return overload(*positional, **named)


def overload_of(name: str) -> Callable[..., object]:
    _, base, overload = name.split(".")
    found = getattr(getattr(torch.ops.aten, base), overload)
    assert callable(found)
    return found  # type: ignore[no-any-return]


def _argument(call: RecordedCall, parameter: Parameter, chance: Random, flush: bool) -> object:
    value = call.arguments[parameter.name]
    origin = call.origins.get(parameter.name)
    if isinstance(value, TensorMeta) and origin is not None:
        made = _made(origin, value, chance)
        if made is not None:
            return made
    known = call.values.get(parameter.name)
    if isinstance(value, TensorMeta) and known is not None and chance.random() < 0.7:
        flat = torch.tensor(known, dtype=torch.int64).to(getattr(torch, value.dtype))
        return flat.reshape(value.shape)
    return _native(value, parameter, chance, flush, call.storage_bytes.get(parameter.name))


def _made(origin: Origin, meta: TensorMeta, chance: Random) -> torch.Tensor | None:
    """What the origin really makes, if that has the metadata asked for."""
    try:
        result = run(RecordedCall(origin.operator, origin.arguments), chance)
    except (RuntimeError, TypeError, ValueError, NotImplementedError, IndexError, AssertionError):
        return None
    outputs = result if isinstance(result, (tuple, list)) else (result,)
    output = outputs[origin.output] if origin.output < len(outputs) else None
    if (
        isinstance(output, torch.Tensor)
        and tuple(output.shape) == meta.shape
        and output.stride() == meta.stride
    ):
        return output
    return None


def _native(
    value: Argument, parameter: Parameter, chance: Random, flush: bool, storage: int | None = None
) -> object:
    if isinstance(value, TensorMeta):
        return tensor_of(value, chance, flush, storage)
    if isinstance(value, tuple):
        return [_native(item, parameter, chance, flush) for item in value]
    if isinstance(value, str):
        return _word(value, parameter.type)
    return value


def _word(value: str, kind: str) -> object:
    if kind == "Generator":
        return torch.Generator()
    if kind in {"ScalarType", "MemoryFormat", "Layout"}:
        return getattr(torch, value)
    return torch.device("cpu") if kind == "Device" else value


def tensor_of(
    meta: TensorMeta, chance: Random, flush: bool, storage_bytes: int | None = None
) -> torch.Tensor:
    """A tensor of this metadata, made-up values, whose last element is the last of its memory where `flush`."""
    dtype: torch.dtype = getattr(torch, meta.dtype)
    span = (
        0 if 0 in meta.shape else 1 + sum((s - 1) * t for s, t in zip(meta.shape, meta.stride, strict=True))
    )
    offset = meta.offset
    if flush:
        offset = -span % (ALIGNMENT_BYTES // dtype.itemsize)
    length = offset + span
    if not flush and storage_bytes is not None:
        length = max(length, storage_bytes // dtype.itemsize)
    return _filled(length, dtype, chance).as_strided(meta.shape, meta.stride, offset)


def _filled(length: int, dtype: torch.dtype, chance: Random) -> torch.Tensor:
    kind = chance.randrange(8)
    if dtype.is_floating_point or dtype.is_complex:
        if kind == 0:
            return torch.zeros(length, dtype=dtype)
        if kind == 1:
            return torch.full((length,), chance.choice(_EXTREMES), dtype=torch.float64).to(dtype)
        if kind == 2:
            return torch.rand(length, dtype=torch.float64).to(dtype)
        return torch.randn(length, dtype=torch.float64).to(dtype)
    if dtype is torch.bool:
        return torch.rand(length) < 0.5
    low, high = ((0, 2), (0, 2), (0, 2), (-5, 5), (0, 100), (-(2**30), 2**30), (-(2**62), 2**62), (0, 1))[
        kind
    ]
    return torch.randint(low, high, (length,)).to(dtype)


_EXTREMES = (float("nan"), float("inf"), float("-inf"), 1e30, -1e30, 1e-30, -1.0)
