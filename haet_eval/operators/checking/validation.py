"""Keeps hostile arguments away from the kernels: checks the schema first, then runs the validators.

How arguments are written: dtypes, memory formats and layouts are PyTorch's names without `torch.` (`float32`,
`channels_last`, `strided`), a device is `cpu`, `cuda` or `cuda:0`, a generator is any non-empty string.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from haet_eval.operators.checking import general
from haet_eval.operators.checking.call import MAX_ELEMENTS, Call, ElementOrigin, Refused
from haet_eval.operators.dtypes import DTYPES, FORMATS, MAX_DIMENSIONS
from haet_eval.operators.schema import Operator, Parameter
from haet_eval.operators.signature import ANY, Argument, TensorMeta
from haet_eval.operators.table import ArgumentCheck, entries

__all__ = [
    "DTYPES",
    "MAX_ELEMENTS",
    "ElementOrigin",
    "Refused",
    "bind",
    "is_dynamic",
    "validate",
    "validators_of",
    "written_parameters",
]

MAX_LIST: Final = 65_536
MAX_WORD: Final = 64
_INT64: Final = range(-(2**63), 2**63)
_DEVICE: Final = re.compile(r"cpu|cuda(:\d)?")
_NOTHING: Final[Mapping[str, ElementOrigin | None]] = MappingProxyType({})
_NO_SIZES: Final[Mapping[str, int]] = MappingProxyType({})

_GENERAL: Final[tuple[ArgumentCheck, ...]] = (
    general.dimensions_exist,
    general.reduction_exists,
    general.memory_is_ordinary,
    general.complex_halves_do_not_exist,
)


def bind(operator: Operator, given: Mapping[str, Argument]) -> dict[str, Argument]:
    """All arguments of a call by name, defaults filled in.

    Args:
        operator: from the table.
        given: the arguments that the submission sent, by parameter name. A float is its value or ANY.

    Raises:
        Refused: a name is unknown, an argument is missing or not of the schema's type, an integer is outside
            int64, or a list is not of the length the schema asks for.
    """
    known = {parameter.name for parameter in operator.parameters}
    if not known.issuperset(given):
        raise Refused(f"{operator.name} was given an argument that it does not have")
    bound: dict[str, Argument] = {}
    # By the schema and not by the order of the call, so that equal calls are bound equally and have one
    # signature.
    for parameter in operator.parameters:
        if parameter.name in given:
            value = _checked(operator, parameter, given[parameter.name])
        elif parameter.has_default:
            value = parameter.default
        else:
            raise Refused(f"{operator.name} needs an argument for {parameter.name!r}")
        # ANY stands for every float: the checks of one template would hold for values that they have not
        # seen.
        if parameter.name in operator.facts.literal and value is ANY:
            raise Refused(f"{operator.name}: {parameter.name!r} must be part of the definition")
        bound[parameter.name] = value
    return bound


def validate(
    operator: Operator,
    arguments: Mapping[str, Argument],
    origins: Mapping[str, ElementOrigin | None] = _NOTHING,
    storage_bytes: Mapping[str, int] = _NO_SIZES,
) -> None:
    """Check that the kernel stays within its tensors on these arguments.

    Args:
        operator: from the table.
        arguments: as `bind` returns them.
        origins: by parameter name, for single tensors: which call made them (see Origin).
        storage_bytes: by parameter name, for single tensors: bytes of their storage. Only `as_strided` and
            its relatives ask for it, and they refuse a tensor whose storage has no size here.

    Raises:
        Refused: a validator cannot rule out that the kernel leaves its tensors.
    """
    call = Call(operator, arguments, origins, storage_bytes)
    for check in validators_of(operator):
        try:
            check(call)
        # A validator does arithmetic on hostile shapes. If that fails, the arguments are refused, too.
        except (ArithmeticError, LookupError, TypeError, ValueError) as problem:
            raise Refused(f"{operator.name}: its arguments do not fit together") from problem


def validators_of(operator: Operator) -> tuple[ArgumentCheck, ...]:
    """The checks of an operator, those that hold for many first."""
    broadcasts = (general.broadcasts,) if "pointwise" in operator.tags else ()
    return (*_GENERAL, *broadcasts, *entries()[operator.name].checks)


def is_dynamic(operator: Operator, arguments: Mapping[str, Argument]) -> bool:
    """Whether the shapes or the numbers it returns depend on data, for these arguments."""
    decide = operator.facts.dynamic_if
    return operator.dynamic if decide is None else decide(arguments)


def written_parameters(operator: Operator) -> frozenset[str]:
    """The parameters whose tensors the kernel may write: by the schema, and by the facts."""
    return operator.facts.writes | {parameter.name for parameter in operator.parameters if parameter.written}


def _checked(operator: Operator, parameter: Parameter, value: Argument) -> Argument:
    if value is None:
        if not parameter.optional:
            raise _wrong(operator, parameter)
        return None
    if not parameter.is_list:
        _check_item(operator, parameter, value)
        return value
    # PyTorch accepts `kernel_size=3` for `int[2]`, and the record of the call must say what the kernel gets.
    items = value if isinstance(value, tuple) else (value,) * (parameter.list_size or 0)
    if len(items) > MAX_LIST or (
        # PyTorch's `bool[3]` is an array of fixed length; a list of integers may be shorter, and the checks
        # repeat it.
        parameter.type == "bool" and len(items) != (parameter.list_size or len(items))
    ):
        raise _wrong(operator, parameter)
    for item in items:
        if item is not None or not parameter.optional_items:
            _check_item(operator, parameter, item)
    # A lone value for a list without a length was repeated zero times above, and nobody has checked it.
    if not isinstance(value, tuple) and not items:
        raise _wrong(operator, parameter)
    return items


def _check_item(operator: Operator, parameter: Parameter, value: Argument) -> None:
    if parameter.name == "other" and parameter.type == "Tensor" and _is_scalar(value):
        return  # PyTorch passes a Python number on in the place of a tensor: `tensor * 2`
    if not _KINDS[parameter.type](value):
        raise _wrong(operator, parameter)


def _wrong(operator: Operator, parameter: Parameter) -> Refused:
    kind = f"a list of {parameter.type}" if parameter.is_list else f"a {parameter.type}"
    return Refused(f"{operator.name} needs {kind} for {parameter.name!r} and was given something else")


def _is_tensor(value: Argument) -> bool:
    return isinstance(value, TensorMeta) and value.ndim <= MAX_DIMENSIONS and value.dtype in DTYPES


def _is_int(value: Argument) -> bool:
    # Python's integers have no end, and the executor must not fail on one that its kernel cannot hold.
    return isinstance(value, int) and not isinstance(value, bool) and value in _INT64


def _is_float(value: Argument) -> bool:
    return isinstance(value, float) or value is ANY or _is_int(value)


def _is_scalar(value: Argument) -> bool:
    return isinstance(value, (bool, complex)) or _is_float(value)


def _is_word(value: Argument) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_WORD


_KINDS: Final = {
    "Tensor": _is_tensor,
    "int": _is_int,
    "float": _is_float,
    "bool": lambda value: isinstance(value, bool),
    "Scalar": _is_scalar,
    "ScalarType": lambda value: value in DTYPES,
    "MemoryFormat": lambda value: value in FORMATS,
    "Layout": lambda value: value == "strided",
    "Device": lambda value: isinstance(value, str) and _DEVICE.fullmatch(value) is not None,
    "Generator": _is_word,
    "str": _is_word,
}
