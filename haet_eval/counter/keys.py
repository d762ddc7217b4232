"""The key of a call: equal for calls of one signature."""

from typing import Any, Final

import torch
from torch.utils._pytree import tree_iter

from haet_eval.operators.signature import SPECIAL_FLOATS

_Tensor: Final = torch.Tensor
_Parameter: Final = torch.nn.Parameter
_FLOATS: Final = {number: ("float", number) for number in SPECIAL_FLOATS}
# A learning rate that changes at each step must not make a new key each time.
_ANY_FLOAT: Final = ("float",)
# Tuples, since True equals 1 and would be the same key.
_TRUE, _FALSE, _END = ("true",), ("false",), ("end",)


def key_of(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """What distinguishes a call from all that have another signature."""
    # The id is valid as long as the overload lives; `CountedCall.func` keeps it alive.
    key: list[Any] = [id(func)]
    try:
        _walk(args, key)
        for name, value in kwargs.items():
            key.append(name)
            _walk((value,), key)
        hash(found := tuple(key))
    except (RuntimeError, TypeError, NotImplementedError):  # sparse and nested tensors have no strides
        values = tree_iter((args, kwargs))
        return (id(func), *((type(value), isinstance(value, _Tensor) and value.is_meta) for value in values))
    return found


def part_of(value: Any) -> tuple[Any, ...]:
    """The part of a key that an argument or a result makes."""
    if type(value) is float:
        return _FLOATS.get(value, _ANY_FLOAT)
    key: list[Any] = []
    _walk((value,), key)
    return tuple(key)


def _walk(values: Any, key: list[Any]) -> None:
    """Append what a signature depends on. A number is no other number here: 1, 1.0 and True differ."""
    for value in values:
        kind = type(value)
        # The commonest kinds first, by identity: this runs for each argument of each call.
        if kind is _Tensor or kind is _Parameter:
            # Not the whole device: the price does not depend on it, but calls on `meta` may not count at all.
            key += (value.shape, value.stride(), value.dtype, value.is_meta, value.is_neg(), value.is_conj())
        elif kind is int or value is None:
            key.append(value)
        elif kind is bool:
            key.append(_TRUE if value else _FALSE)
        elif kind is float:
            key.append(_FLOATS.get(value, _ANY_FLOAT))
        elif kind is list or kind is tuple or kind is torch.Size:
            _walk(value, key)
            # Without an end, ([a], b) and ([a, b],) would have one key.
            key.append(_END)
        elif isinstance(value, _Tensor):
            key += (value.shape, value.stride(), value.dtype, value.is_meta, value.is_neg(), value.is_conj())
            key.append(value.layout)
        elif kind is complex:
            key.append(("complex", value))
        elif isinstance(value, torch.Generator):
            # As in the signature. A new one for each epoch would make a new key, which keeps it alive.
            key.append(("generator",))
        else:
            key.append(value)
