"""The signature of a call that PyTorch has dispatched in this process."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import torch
from torch.utils._pytree import tree_iter

from haet_eval.operators.dtypes import name_of
from haet_eval.operators.signature import (
    ANY,
    CONJUGATE,
    NEGATIVE,
    SPECIAL_FLOATS,
    Argument,
    Signature,
    TensorMeta,
)
from haet_eval.remote.wire import DTYPES

UNUSUAL: Final = "unusual:"
"""Begins the name of a call with sparse, nested or quantized tensors, or of float8: it has no price."""


def signature_of(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> Signature:
    """The signature of one call: arguments by the names of PyTorch's schema, with their defaults.

    Args:
        func: an overload, as in `torch.ops.aten.add.Tensor`, or a higher-order operator.
        args: its positional arguments.
        kwargs: its other arguments.
        result: what it returned.
    """
    tensors = [value for value in tree_iter((args, kwargs, result)) if isinstance(value, torch.Tensor)]
    # Higher-order operators have no schema, and so no names of arguments.
    if not hasattr(func, "_schema"):
        return _without_schema(str(func), tensors)
    # Another name, so that no price fits: the prices are those of dense tensors, and strides of others may
    # not exist.
    if not all(map(_is_usual, tensors)):
        return _without_schema(f"{UNUSUAL}{func}", tensors)
    returned = len(func._schema.returns)
    outputs = () if returned == 0 else (result,) if returned == 1 else tuple(result)
    return Signature(
        str(func), dict(_arguments(func, args, kwargs)), tuple(_argument(output) for output in outputs)
    )


def _arguments(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[tuple[str, Argument]]:
    # Defaults are part of the signature: `add(x, y)` and `add(x, y, alpha=1)` must be one entry of the
    # histogram.
    for position, parameter in enumerate(func._schema.arguments):
        value = parameter.default_value if parameter.has_default_value() else None
        if position < len(args):
            value = args[position]
        elif parameter.name in kwargs:
            value = kwargs[parameter.name]
        yield parameter.name, _argument(value)


def _without_schema(name: str, tensors: Sequence[torch.Tensor]) -> Signature:
    """Enough to list a call that has no price: its name, and the tensors that can be described."""
    shown = tuple(_argument(tensor) if _is_usual(tensor) else _described(tensor) for tensor in tensors)
    return Signature(name, {"tensors": shown}, ())


def _is_usual(tensor: torch.Tensor) -> bool:
    return tensor.layout is torch.strided and not tensor.is_nested and name_of(tensor.dtype) in DTYPES


def _described(tensor: torch.Tensor) -> str:
    return f"{name_of(tensor.layout)} {name_of(tensor.dtype)}"


def _argument(value: Any) -> Argument:
    match value:
        case torch.Tensor():
            bits = value.is_conj() * CONJUGATE | value.is_neg() * NEGATIVE
            # The judge's templates have offset 0 too: no price depends on it, and each batch would be a new
            # entry.
            return TensorMeta(tuple(value.shape), tuple(value.stride()), 0, name_of(value.dtype), bits)
        case None | bool() | int() | str() | complex():
            return value
        case float():
            # As the meter does it, so that both histograms have the same entries.
            return value if value in SPECIAL_FLOATS else ANY
        case list() | tuple():
            return tuple(_argument(item) for item in value)
        case torch.dtype():
            return name_of(value)
        case torch._C.Generator():
            # Which one it is decides no price, and its state must not make an entry for each step.
            return "generator"
        case _:
            return str(value)
