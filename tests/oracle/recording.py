"""Records what torch really executes below autograd, as the signatures that prices are made for."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from haet_eval.operators.pricing.evaluate import price_of
from haet_eval.operators.signature import (
    ANY,
    CONJUGATE,
    NEGATIVE,
    SPECIAL_FLOATS,
    Argument,
    Signature,
    TensorMeta,
)
from haet_eval.operators.table import price_function


class Recording(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A context in which every ATen overload below autograd is kept as a Signature, in order.

    Composites (CompositeImplicitAutograd) that reach this level and have no price are decomposed.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.signatures: list[Signature] = []

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        keywords = dict(kwargs or {})
        if price_function(str(func)) is None and is_composite(func):
            with self:
                decomposed = func.decompose(*args, **keywords)
            if decomposed is not NotImplemented:
                return decomposed
        result = func(*args, **keywords)
        if func.namespace == "profiler":  # marks the time of Optimizer.step, computes nothing
            return result
        self.signatures.append(signature_of(func, args, keywords, result))
        return result


def is_composite(func: Any) -> bool:
    """Whether torch marks the overload as a composite of others."""
    name = func._schema.name + (f".{func._schema.overload_name}" if func._schema.overload_name else "")
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(name, "CompositeImplicitAutograd"))


def signature_of(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> Signature:
    """The signature of one call: arguments by schema name, defaults filled in."""
    arguments = {
        parameter.name: argument(
            args[position]
            if position < len(args)
            else kwargs.get(
                parameter.name, parameter.default_value if parameter.has_default_value() else None
            )
        )
        for position, parameter in enumerate(func._schema.arguments)
    }
    returned = len(func._schema.returns)
    outputs = () if returned == 0 else (result,) if returned == 1 else tuple(result)
    return Signature(str(func), arguments, tuple(argument(output) for output in outputs))


def argument(value: Any) -> Argument:
    """A value as a signature holds it."""
    match value:
        case torch.Tensor():
            return TensorMeta(
                tuple(value.shape),
                tuple(value.stride()),
                int(value.storage_offset()),
                dtype_name(value.dtype),
                value.is_conj() * CONJUGATE | value.is_neg() * NEGATIVE,
            )
        case None | bool() | int() | str():
            return value
        case float():
            return value if value in SPECIAL_FLOATS else ANY
        case complex():
            return ANY
        case list() | tuple():
            return tuple(argument(item) for item in value)
        case torch.dtype():
            return dtype_name(value)
        case _:
            return str(value)


def dtype_name(dtype: torch.dtype) -> str:
    """A dtype's name without the module, as in `float32`."""
    return str(dtype).removeprefix("torch.")


def record(program: Callable[[], object]) -> list[Signature]:
    """The signatures of all that a program executes, in order."""
    recording = Recording()
    with recording:
        program()
    return recording.signatures


def operations(program: Callable[[], object]) -> int:
    """The price of all that a program executes.

    Raises:
        LookupError: an operator has no price.
    """
    return sum(map(_price, record(program)))


def _price(signature: Signature) -> int:
    price = price_of(signature)
    if price is None:
        raise LookupError(f"{signature.operator} has no price")
    return price
