"""Calls whose metadata is known: the client's side of a template."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import torch

from haet_eval.operators.dtypes import name_of
from haet_eval.operators.signature import SPECIAL_FLOATS, TensorMeta
from haet_eval.operators.table import lookup
from haet_eval.remote.client.gpu_scripts import here
from haet_eval.remote.client.link import Refusal
from haet_eval.remote.handles import intern_layout
from haet_eval.remote.wire import ANY_FLOAT, DTYPES, Atom, Definition, Fresh, Outcome, Tag, Value

_INT64: Final = torch.iinfo(torch.int64)
SPECIAL: Final = {number: index for index, number in enumerate(SPECIAL_FLOATS)}


@dataclass(frozen=True, slots=True)
class NewOutput:
    """An output that is a new tensor; `offset` is relative to that of input `alias` if that is not -1."""

    layout: TensorMeta
    dtype: torch.dtype
    offset: int
    alias: int


@dataclass(frozen=True, slots=True)
class Input:
    """An output that is the n-th input itself."""

    position: int


CallResult: TypeAlias = NewOutput | Input | bool | int | float | complex | list[Any] | None


class KnownCall:
    """What a call returns, and how its record is written.

    `single` is the one result that is a new tensor, `same` the input that is the one result, or -1.
    `mirror`: whether it can be done on mirrors; `forgets`: the inputs that may have one and not afterwards.
    `compiled`: how the compiled hit path knows it, None if it was not asked yet. `layouts` are those of its
    inputs: their addresses are in its key, and must be given to no others.
    """

    __slots__ = (
        "compiled",
        "dynamic",
        "exact",
        "forgets",
        "layouts",
        "mirror",
        "new",
        "number",
        "pack",
        "random",
        "results",
        "returns",
        "same",
        "single",
        "view",
    )

    compiled: int | None
    number: int
    pack: Any
    new: int
    results: list[CallResult]
    returns: str  # "nothing", "one" or "tuple"
    single: NewOutput | None
    same: int
    dynamic: bool
    random: bool
    view: bool
    exact: bool
    layouts: list[TensorMeta]
    mirror: bool
    forgets: tuple[int, ...]


def results_of(outcome: Outcome, inputs: Sequence[Any], exact: bool) -> list[CallResult]:
    """The outputs as this side builds them."""
    return [_result(value, inputs, exact) for value in outcome.outputs]


def _result(value: Value, inputs: Sequence[Any], exact: bool) -> CallResult:
    match value:
        case tuple():
            return [_result(item, inputs, exact) for item in value]
        case Fresh():
            # A view's template serves every base of that layout, wherever it begins, so its offset is stored
            # relative to the base. If offsets are part of the template, it is stored as it is.
            relative = value.alias >= 0 and not exact
            offset = value.meta.offset - (inputs[value.alias].storage_offset() if relative else 0)
            alias = value.alias if relative else -1
            # Interned, because the keys of later calls hold the identity of a layout.
            return NewOutput(intern_layout(value.meta), getattr(torch, value.meta.dtype), offset, alias)
        case Atom():
            return Input(int(value.value))
        case str():
            raise TypeError("an operator returned text")
        case _:
            return value


def count_new(results: Sequence[CallResult]) -> int:
    """How many new tensors there are among results."""
    return sum(
        count_new(result) if isinstance(result, list) else isinstance(result, NewOutput) for result in results
    )


def _refused(func: Any, value: Any) -> Refusal:
    """Why an argument cannot be sent."""
    if isinstance(value, torch.dtype) and str(value).startswith(("torch.float8", "torch.float4")):
        return Refusal(
            f"{func} was given {value}, which is no dtype here: the counting standard prices no arithmetic "
            "on it. Round the floats instead: "
            "`s = torch.exp2(x.abs().clamp(min=2**-9).log2().floor())`, then "
            "`(x / s * 8).round() / 8 * s` keeps four significant bits, as float8_e4m3fn does.",
            code="handle-float8",
        )
    return Refusal(
        f"{func} was given {value!r}, which the executor cannot take. Tensors live on the "
        "device `task.device`, are dense, and of torch's ordinary dtypes.",
        code="handle-argument",
    )


def _check_integer(func: Any, value: object) -> None:
    if isinstance(value, int) and not _INT64.min <= value <= _INT64.max:
        raise Refusal(
            f"{func} was given {value:,}, and integers have 64 bits here. Write it as a float.",
            code="handle-integer",
        )


class DefinitionWriter:
    """Writes a call in the words of the wire."""

    def __init__(self, func: Any, generator_number: Any) -> None:
        self._func = func
        self._generator_number = generator_number
        self._tensors = 0
        self._floats: list[int] = []
        self._operator = lookup(str(func))
        self._literal = self._operator.facts.literal if self._operator else frozenset()

    def write(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Definition:
        """The definition of this call; of an operator that is not on the list, the name alone.

        Raises:
            Refusal: an argument that cannot be sent.
        """
        # The host knows which operators are allowed, and why not. It needs the name for that.
        if self._operator is None:
            return Definition(str(self._func), {}, 0, ())
        # By name, because the host checks arguments by its own table and has no PyTorch schema at run time.
        names = [argument.name for argument in self._func._schema.arguments]
        given = dict(zip(names, args, strict=False)) | kwargs
        arguments = {
            name: self._value(value, name in self._literal)
            for name, value in given.items()
            if name not in _LOCAL
        }
        return Definition(str(self._func), arguments, self._tensors, tuple(self._floats))

    def _value(self, value: Any, literal: bool) -> Value:
        match value:
            # bool before float: True is an int to Python. A template is of one kind of number each.
            case None | bool() | int() | str() | complex():
                _check_integer(self._func, value)
                return value
            case float():
                # An open float travels with each call, so that a learning rate that changes needs no new
                # template.
                return value if literal else self._float(value)
            case torch.Tensor():
                self._tensors += 1
                return Atom(Tag.TENSOR, self._tensors - 1)
            case list() | tuple():
                return tuple(self._value(item, literal) for item in value)
            case torch.dtype() if name_of(value) in DTYPES:
                return Atom(Tag.DTYPE, name_of(value))
            case torch.memory_format():
                return Atom(Tag.FORMAT, name_of(value))
            case torch.device() if here(value).type == "cpu":
                return Atom(Tag.DEVICE)
            case torch.layout() if value is torch.strided:
                return Atom(Tag.LAYOUT)
            case torch._C.Generator():
                return Atom(Tag.GENERATOR, self._generator_number(value))
            case _:
                raise _refused(self._func, value)

    def _float(self, value: float) -> Atom:
        # Prices depend on whether a float is exactly 0, ±1, 2 or infinite (decision 0012). So each of these
        # has a template of its own.
        special = SPECIAL.get(value, ANY_FLOAT)
        self._floats.append(special)
        return Atom(Tag.FLOAT, special)


# They are about how memory is copied to a GPU. The executor decides that by itself.
_LOCAL: Final = frozenset({"pin_memory", "non_blocking"})
