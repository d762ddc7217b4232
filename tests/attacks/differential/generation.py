"""Calls to try: recorded ones, the same with unusual tensors, mutations, and calls made from the schema."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Final

from haet_eval.operators.schema import Parameter
from haet_eval.operators.signature import CONJUGATE, NEGATIVE, Argument, TensorMeta
from haet_eval.operators.table import lookup
from tests.attacks.mutation import (
    DTYPES,
    FORMATS,
    WORDS,
    change_dtype,
    change_shape,
    change_size_everywhere,
    change_strides,
    contiguous,
    mutated,
)
from tests.attacks.recorded_calls import RecordedCall

SHAPES: Final = (
    (),
    (1,),
    (0,),
    (4,),
    (2, 3),
    (3, 3),
    (1, 3),
    (2, 0),
    (2, 3, 4),
    (2, 3, 4, 4),
    (1, 2, 3, 4, 5),
)
FLOATS: Final = (0.0, 1.0, -1.0, 2.0, 0.5, 1e-5, 0.1)
INTEGERS: Final = (-2, -1, 0, 0, 1, 1, 2, 3, 5)


def any_call(name: str, recorded: Sequence[RecordedCall], chance: Random) -> RecordedCall:
    """A call of that operator. PyTorch accepts most of them."""
    kind = chance.randrange(20)
    if kind == 0 or not recorded:
        return with_bits(from_schema(name, chance), chance)
    call = chance.choice(recorded)
    if kind <= 4:
        return with_bits(call, chance)
    if kind <= 8:
        return with_bits(mutated(call, chance), chance)
    for _ in range(chance.choice((1, 1, 2))):
        call = chance.choice(_ODD)(call, chance)
    return with_bits(call, chance)


def with_bits(call: RecordedCall, chance: Random) -> RecordedCall:
    """In a third of all calls some tensors are conjugated or negated by a bit."""
    if chance.random() < 0.65:
        return call
    share = chance.choice((0.3, 1))

    def lazy(meta: TensorMeta) -> TensorMeta:
        if chance.random() >= share or meta.dtype == "bool":
            return meta
        choices = (CONJUGATE, NEGATIVE, CONJUGATE | NEGATIVE) if "complex" in meta.dtype else (NEGATIVE,)
        return replace(meta, bits=chance.choice(choices))

    return _each_tensor(call, lazy)


def odd_layout(call: RecordedCall, chance: Random) -> RecordedCall:
    """Some tensors transposed, expanded, or stepped through memory, the shapes as they were."""

    def odd(meta: TensorMeta) -> TensorMeta:
        if chance.random() < 0.4:
            return meta
        return replace(meta, stride=chance.choice(_LAYOUTS)(meta.shape, chance), offset=0)

    return _each_tensor(call, odd)


def one_smaller(call: RecordedCall, chance: Random) -> RecordedCall:
    """One tensor loses a dimension's elements, or gets a dimension: kernels may take it to fit the others."""
    names = [name for name, value in call.arguments.items() if isinstance(value, TensorMeta)]
    if not names:
        return call
    name = chance.choice(names)
    meta = call.arguments[name]
    assert isinstance(meta, TensorMeta)
    shape, size = list(meta.shape), chance.choice((0, 0, 1))
    place = chance.randrange(len(shape) + 1)
    if place < len(shape):
        shape[place] = size
    else:
        shape.insert(0, size)
    changed = replace(meta, shape=tuple(shape), stride=contiguous(tuple(shape)), offset=0)
    return replace(call, arguments={**call.arguments, name: changed}, values={})


def one_dtype(call: RecordedCall, chance: Random) -> RecordedCall:
    """Every tensor of the dtype of the first gets another one."""
    found: list[TensorMeta] = []
    _each_tensor(call, lambda meta: (found.append(meta), meta)[1])  # type: ignore[func-returns-value]
    if not found:
        return call
    old, new = found[0].dtype, chance.choice(DTYPES)
    return _each_tensor(call, lambda meta: replace(meta, dtype=new) if meta.dtype == old else meta)


def _each_tensor(call: RecordedCall, change: Callable[[TensorMeta], TensorMeta]) -> RecordedCall:
    """The call with each tensor changed, but for those whose origin must make them."""

    def changed(value: Argument) -> Argument:
        if isinstance(value, tuple):
            return tuple(changed(item) for item in value)
        return change(value) if isinstance(value, TensorMeta) else value

    arguments = {
        name: value if name in call.origins else changed(value) for name, value in call.arguments.items()
    }
    return replace(call, arguments=arguments)


def _transposed(shape: tuple[int, ...], chance: Random) -> tuple[int, ...]:
    order = list(range(len(shape)))
    chance.shuffle(order)
    packed = contiguous(tuple(shape[place] for place in order))
    return tuple(packed[order.index(place)] for place in range(len(shape)))


def _stepped(shape: tuple[int, ...], chance: Random) -> tuple[int, ...]:
    return tuple(step * chance.choice((1, 2, 3)) for step in contiguous(tuple(size * 3 for size in shape)))


def _expanded(shape: tuple[int, ...], chance: Random) -> tuple[int, ...]:
    kept = [chance.random() < 0.5 for _ in shape]
    packed = contiguous(tuple(size if keep else 1 for size, keep in zip(shape, kept, strict=True)))
    return tuple(step if keep else 0 for step, keep in zip(packed, kept, strict=True))


def _strange_ones(shape: tuple[int, ...], chance: Random) -> tuple[int, ...]:
    """Contiguous, but for the strides of dimensions of size 1, which mean nothing."""
    pairs = zip(shape, contiguous(shape), strict=True)
    return tuple(chance.choice((0, 1, 7, step)) if size == 1 else step for size, step in pairs)


_LAYOUTS: Final = (_transposed, _stepped, _expanded, _strange_ones)
_ODD: Final = (
    odd_layout, odd_layout, odd_layout, one_smaller, one_dtype, change_size_everywhere, change_dtype,
    change_strides, change_shape,
)  # fmt: skip


def from_schema(name: str, chance: Random) -> RecordedCall:
    """A call whose arguments are of the types that the schema asks for, and mostly of one shape and dtype."""
    operator = lookup(name)
    assert operator is not None
    shape, dtype = chance.choice(SHAPES), chance.choice(("float32", "float32", "int64", *DTYPES))
    arguments = {
        parameter.name: _argument(parameter, shape, dtype, chance)
        for parameter in operator.parameters
        if not parameter.has_default or chance.random() < 0.3
    }
    return RecordedCall(name, arguments)


def _argument(parameter: Parameter, shape: tuple[int, ...], dtype: str, chance: Random) -> Argument:
    if parameter.optional and chance.random() < 0.5:
        return None
    if parameter.is_list:
        length = chance.choice((parameter.list_size or len(shape), len(shape), 1, 2, 3))
        return tuple(_items(parameter, length, shape, dtype, chance))
    return _item(parameter, shape, dtype, chance)


def _items(
    parameter: Parameter, length: int, shape: tuple[int, ...], dtype: str, chance: Random
) -> Iterator[Argument]:
    if parameter.type == "int" and length == len(shape) and chance.random() < 0.5:
        yield from shape
        return
    for _ in range(length):
        yield _item(parameter, shape, dtype, chance)


def _item(parameter: Parameter, shape: tuple[int, ...], dtype: str, chance: Random) -> Argument:
    if parameter.type == "Tensor":
        return _tensor(shape, dtype, chance)
    choices: dict[str, tuple[Argument, ...]] = {
        "int": INTEGERS,
        "float": FLOATS,
        "bool": (False, True),
        "Scalar": (*FLOATS, *INTEGERS, True, complex(1, 2)),
        "ScalarType": DTYPES,
        "MemoryFormat": FORMATS,
        "Layout": ("strided",),
        "Device": ("cpu",),
        "Generator": ("generator",),
        "str": WORDS,
    }
    return chance.choice(choices[parameter.type])


def _tensor(shape: tuple[int, ...], dtype: str, chance: Random) -> TensorMeta:
    if chance.random() < 0.2:
        shape = chance.choice(SHAPES)
    if chance.random() < 0.1:
        dtype = chance.choice(DTYPES)
    stride = chance.choice((contiguous(shape), chance.choice(_LAYOUTS)(shape, chance)))
    return TensorMeta(shape, stride, 0, dtype)
