"""Runs a recorded or mutated call on PyTorch's kernels, with tensors made up on the spot."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from types import MappingProxyType
from typing import Any

import torch

from haet_eval.operators.checking.validation import ElementOrigin, Refused
from haet_eval.operators.schema import Parameter
from haet_eval.operators.signature import Argument, TensorMeta
from haet_eval.operators.table import lookup
from haet_eval.remote.executor.guards import BadValue, guarded
from tests.attacks.recorded_calls import RecordedCall

ALIGNMENT_BYTES = 64
STRIDED = ("aten.as_strided", "aten.set_")


def with_real_origins(call: RecordedCall, chance: Random) -> tuple[RecordedCall, dict[str, torch.Tensor]]:
    """The call with those origins only that hold, and the tensors that they have really made."""
    tensors: dict[str, torch.Tensor] = {}
    if call.schema().facts.by_origin:
        for name, origin in call.origins.items():
            meta = call.arguments.get(name)
            made = _made(origin, meta, chance) if isinstance(meta, TensorMeta) else None
            if made is not None:
                tensors[name] = made
    return replace(call, origins={name: call.origins[name] for name in tensors}), tensors


_NONE_MADE: Mapping[str, torch.Tensor] = MappingProxyType({})


def run(call: RecordedCall, chance: Random, made: Mapping[str, torch.Tensor] = _NONE_MADE) -> object:
    """Execute one call; `made` are tensor arguments that are there already.

    Raises:
        Exception: whatever the kernel says; memory errors end the process.
    """
    _, execute = prepared(call, chance, made)
    return execute()


def prepared(
    call: RecordedCall, chance: Random, made: Mapping[str, torch.Tensor] = _NONE_MADE
) -> tuple[dict[str, object], Callable[[], object]]:
    """The arguments by name, and a function that runs the kernel on them."""
    given: dict[str, object] = {}
    parameters = call.schema().parameters
    for parameter in parameters:
        if parameter.name in made:
            given[parameter.name] = made[parameter.name]
        elif parameter.name in call.arguments:
            given[parameter.name] = _argument(call, parameter, chance)
        elif not parameter.keyword_only:
            given[parameter.name] = parameter.default
    positional = [given[p.name] for p in parameters if not p.keyword_only]
    named = {p.name: given[p.name] for p in parameters if p.keyword_only and p.name in given}

    def execute() -> object:
        with torch.no_grad():
            return guarded(overload_of(call.operator))(*positional, **named)

    return given, execute


def overload_of(name: str) -> Any:
    _, base, overload = name.split(".")
    return getattr(getattr(torch.ops.aten, base), overload)


def _argument(call: RecordedCall, parameter: Parameter, chance: Random) -> object:
    value = call.arguments[parameter.name]
    known = call.values.get(parameter.name)
    if isinstance(value, TensorMeta) and known is not None and chance.random() < 0.7:
        flat = torch.tensor(known, dtype=torch.int64).to(getattr(torch, value.dtype))
        return flat.reshape(value.shape)
    flush = not call.operator.startswith(STRIDED)
    return _native(value, parameter, chance, flush, call.storage_bytes.get(parameter.name))


def _made(origin: ElementOrigin, meta: TensorMeta, chance: Random) -> torch.Tensor | None:
    """What the origin really makes, if that has the metadata asked for."""
    if lookup(origin.operator) is None:
        return None
    call = RecordedCall(origin.operator, origin.arguments)
    try:
        call.check()
        result = run(call, chance)
    except (Refused, BadValue, RuntimeError, TypeError, ValueError, NotImplementedError, IndexError):
        return None
    outputs = result if isinstance(result, (tuple, list)) else (result,)
    output = outputs[origin.output] if origin.output < len(outputs) else None
    if not isinstance(output, torch.Tensor):
        return None
    return output if (tuple(output.shape), output.stride()) == (meta.shape, meta.stride) else None


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
    """A tensor of this metadata, made-up values; its last element ends its memory where `flush`."""
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
    plain = _filled(length, dtype, chance).as_strided(meta.shape, meta.stride, offset)
    return _lazy(plain, chance) if chance.random() < 0.05 else plain


def _lazy(tensor: torch.Tensor, chance: Random) -> torch.Tensor:
    """The same metadata, but conjugated or negated by a mere flag."""
    if tensor.is_complex() and chance.random() < 0.5:
        return tensor.conj()
    return torch._neg_view(tensor) if tensor.dtype.is_floating_point else tensor


def _filled(length: int, dtype: torch.dtype, chance: Random) -> torch.Tensor:
    kind = chance.randrange(8)
    if dtype.is_floating_point or dtype.is_complex:
        if kind == 0:
            return torch.zeros(length, dtype=dtype)
        if kind == 1:
            return torch.full((length,), chance.choice(_EXTREMES), dtype=torch.float64).to(dtype)
        if kind == 2:
            return torch.rand(length, dtype=torch.float64).to(dtype)
        numbers = torch.randn(length, dtype=torch.float64)
        if kind == 3:
            numbers[torch.rand(length) < 0.2] = chance.choice(_EXTREMES)
        return numbers.to(dtype)
    if dtype is torch.bool:
        return torch.rand(length) < 0.5
    if kind == 0:
        lowest = torch.iinfo(dtype).min
        return torch.full((length,), chance.choice((lowest, -1)), dtype=torch.int64).to(dtype)
    return torch.randint(*_RANGES[kind], (length,)).to(dtype)


_RANGES = ((0, 1), (0, 2), (0, 2), (0, 2), (-5, 5), (0, 100), (-(2**30), 2**30), (-(2**62), 2**62))
_EXTREMES = (float("nan"), float("inf"), float("-inf"), 1e30, -1e30, 1e-30, -1.0)
