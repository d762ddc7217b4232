"""Hostile variations of honest calls."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from random import Random

from haet_eval.operators.signature import Argument, TensorMeta, tensors_in
from tests.attacks.recorded_calls import RecordedCall

LARGEST_NUMEL = 2_000_000
EDGE_INTEGERS = (
    -(2**63),
    -(2**40),
    -(2**31) - 1,
    -100,
    -3,
    -2,
    -1,
    0,
    1,
    2,
    3,
    5,
    7,
    64,
    1000,
    2**20,
    2**31,
    2**40,
    2**63 - 1,
)
EDGE_FLOATS = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    1e-300,
    1e-38,
    -1e300,
    1e300,
    float("inf"),
    float("-inf"),
    float("nan"),
)
EDGE_SIZES = (0, 0, 1, 1, 2, 3, 5, 7, 8, 16, 17, 33, 64, 100, 257, 4097)
DTYPES = (
    "float32", "float64", "bfloat16", "float16", "int64", "int32", "int16", "int8", "uint8", "bool",
    "complex64", "complex128",
)  # fmt: skip
FORMATS = ("contiguous_format", "preserve_format", "channels_last", "channels_last_3d")
WORDS = (
    "none", "tanh", "mean", "sum", "prod", "amax", "amin", "add", "multiply", "floor", "trunc", "L", "U", "V",
    "N", "reduced", "complete", "r", "reflect", "linear", "x",
)  # fmt: skip


def mutated(call: RecordedCall, chance: Random) -> RecordedCall:
    """The call with a few things changed; sizes that change everywhere change in the origins too."""
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3))):
        call = chance.choice(_MUTATIONS)(call, chance)
    return call


def without_tensors(call: RecordedCall) -> Iterator[RecordedCall]:
    """The call with each choice of its optional tensors left out, and each truth value either way."""
    choices: dict[str, tuple[Argument, Argument]] = {
        parameter.name: (call.arguments.get(parameter.name), None)
        for parameter in call.schema().parameters
        if parameter.type == "Tensor"
        and parameter.optional
        and call.arguments.get(parameter.name) is not None
    }
    if not choices:
        return
    truths = [name for name, value in call.arguments.items() if isinstance(value, bool)]
    choices.update((name, (False, True)) for name in truths)
    for chosen in product(*choices.values()):
        yield replace(call, arguments={**call.arguments, **dict(zip(choices, chosen, strict=True))})


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides: list[int] = []
    step = 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: a parameter, and a path of positions in lists."""

    name: str
    path: tuple[int, ...] = ()


def _places(call: RecordedCall, wanted: Callable[[Argument], bool]) -> list[Place]:
    return [
        place
        for name, value in call.arguments.items()
        for place in _within(Place(name), value)
        if wanted(_at(call, place))
    ]


def _within(place: Place, value: Argument) -> Iterator[Place]:
    yield place
    if isinstance(value, tuple):
        for position, item in enumerate(value):
            yield from _within(Place(place.name, (*place.path, position)), item)


def _at(call: RecordedCall, place: Place) -> Argument:
    value = call.arguments[place.name]
    for position in place.path:
        assert isinstance(value, tuple)
        value = value[position]
    return value


def _put(call: RecordedCall, place: Place, new: Argument) -> RecordedCall:
    value = _replaced(call.arguments.get(place.name), place.path, new)
    values = {name: kept for name, kept in call.values.items() if name != place.name}
    return replace(call, arguments={**call.arguments, place.name: value}, values=values)


def _replaced(value: Argument, path: tuple[int, ...], new: Argument) -> Argument:
    if not path:
        return new
    assert isinstance(value, tuple)
    first, *rest = path
    return (*value[:first], _replaced(value[first], tuple(rest), new), *value[first + 1 :])


def _is_tensor(value: Argument) -> bool:
    return isinstance(value, TensorMeta)


def _is_integer(value: Argument) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def change_shape(call: RecordedCall, chance: Random) -> RecordedCall:
    places = _places(call, _is_tensor)
    if not places:
        return call
    place = chance.choice(places)
    meta = _at(call, place)
    assert isinstance(meta, TensorMeta)
    shape = _other_shape(list(meta.shape), chance)
    return (
        call
        if shape is None
        else _put(call, place, replace(meta, shape=shape, stride=contiguous(shape), offset=0))
    )


def _other_shape(shape: list[int], chance: Random) -> tuple[int, ...] | None:
    kind = chance.randrange(8)
    if kind == 0:
        shape = []
    elif kind == 1:
        shape = [1]
    elif kind == 2:
        shape = [0]
    elif kind in {3, 4} and shape:
        shape[chance.randrange(len(shape))] = chance.choice(EDGE_SIZES)
    elif kind == 5:
        shape.insert(chance.randrange(len(shape) + 1), chance.choice((1, 1, 2, 3)))
    elif kind == 6 and shape:
        del shape[chance.randrange(len(shape))]
    elif kind == 7:
        chance.shuffle(shape)
    numel = 1
    for size in shape:
        numel *= size
    return tuple(shape) if numel <= LARGEST_NUMEL else None


def change_size_everywhere(call: RecordedCall, chance: Random) -> RecordedCall:
    """One size that occurs becomes another, in every tensor and in the origins."""
    sizes = {size for value in call.arguments.values() for meta in tensors_in(value) for size in meta.shape}
    if not sizes:
        return call
    old, new = chance.choice(sorted(sizes)), chance.choice(EDGE_SIZES)

    def swap(value: Argument) -> Argument:
        if isinstance(value, tuple):
            return tuple(swap(item) for item in value)
        if not isinstance(value, TensorMeta) or old not in value.shape:
            return value
        shape = tuple(new if size == old else size for size in value.shape)
        swapped = replace(value, shape=shape, stride=contiguous(shape), offset=0)
        return swapped if swapped.numel <= LARGEST_NUMEL else value

    origins = {
        name: replace(origin, arguments={key: swap(value) for key, value in origin.arguments.items()})
        for name, origin in call.origins.items()
    }
    return replace(
        call,
        arguments={name: swap(value) for name, value in call.arguments.items()},
        origins=origins,
        values={},
    )


def change_strides(call: RecordedCall, chance: Random) -> RecordedCall:
    places = _places(call, _is_tensor)
    if not places:
        return call
    place = chance.choice(places)
    meta = _at(call, place)
    assert isinstance(meta, TensorMeta)
    kind = chance.randrange(4)
    if kind == 0:
        stride = tuple(0 if chance.random() < 0.5 else step for step in meta.stride)
    elif kind == 1:
        factor = chance.choice((2, 3))
        stride = tuple(step * factor for step in contiguous(meta.shape))
    elif kind == 2:
        order = list(range(meta.ndim))
        chance.shuffle(order)
        packed = contiguous(tuple(meta.shape[dim] for dim in order))
        stride = tuple(packed[order.index(dim)] for dim in range(meta.ndim))
    else:
        stride = contiguous(meta.shape)
    return _put(call, place, replace(meta, stride=stride))


def change_dtype(call: RecordedCall, chance: Random) -> RecordedCall:
    places = _places(call, lambda value: isinstance(value, TensorMeta) or value in DTYPES)
    if not places:
        return call
    new = chance.choice(DTYPES)
    chosen = [chance.choice(places)]
    if chance.random() < 0.5:
        first = _at(call, chosen[0])
        chosen = [place for place in places if _dtype(_at(call, place)) == _dtype(first)]
    for place in chosen:
        value = _at(call, place)
        call = _put(call, place, replace(value, dtype=new) if isinstance(value, TensorMeta) else new)
    return call


def _dtype(value: Argument) -> Argument:
    return value.dtype if isinstance(value, TensorMeta) else value


def change_number(call: RecordedCall, chance: Random) -> RecordedCall:
    places = _places(call, lambda value: isinstance(value, (bool, int, float)))
    if not places:
        return call
    place = chance.choice(places)
    value = _at(call, place)
    new: Argument
    if isinstance(value, bool):
        new = not value
    elif isinstance(value, int):
        new = chance.choice((*EDGE_INTEGERS, value - 1, value + 1, value * 2, -value))
    else:
        new = chance.choice(EDGE_FLOATS)
    return _put(call, place, new)


def change_list(call: RecordedCall, chance: Random) -> RecordedCall:
    places = _places(call, lambda value: isinstance(value, tuple))
    if not places:
        return call
    place = chance.choice(places)
    value = _at(call, place)
    assert isinstance(value, tuple)
    kind = chance.randrange(4)
    if kind == 0:
        return _put(call, place, ())
    if kind == 1 and value:
        return _put(call, place, value[:-1])
    if kind == 2 and value:
        return _put(call, place, (*value, chance.choice(value)))
    return _put(call, place, tuple(chance.sample(value, len(value))))


def leave_out(call: RecordedCall, chance: Random) -> RecordedCall:
    operator = call.schema()
    names = [parameter.name for parameter in operator.parameters if parameter.optional]
    return _put(call, Place(chance.choice(names)), None) if names else call


def give_optional(call: RecordedCall, chance: Random) -> RecordedCall:
    """Fill an optional parameter with something of its type."""
    absent = [p for p in call.schema().parameters if p.optional and call.arguments.get(p.name) is None]
    if not absent:
        return call
    parameter = chance.choice(absent)
    value = _anything(parameter.type, call, chance)
    if parameter.is_list:
        value = (value,) * chance.choice((1, 2, 2, 3))
    return _put(call, Place(parameter.name), value)


def _anything(kind: str, call: RecordedCall, chance: Random) -> Argument:
    if kind == "Tensor":
        known = [meta for value in call.arguments.values() for meta in tensors_in(value)]
        return chance.choice(known) if known else TensorMeta((3,), (1,), 0, "float32")
    choices: dict[str, tuple[Argument, ...]] = {
        "int": EDGE_INTEGERS,
        "float": EDGE_FLOATS,
        "Scalar": (*EDGE_FLOATS, *EDGE_INTEGERS),
        "bool": (True, False),
        "ScalarType": DTYPES,
        "MemoryFormat": FORMATS,
        "Layout": ("strided",),
        "Device": ("cpu",),
        "Generator": ("generator",),
        "str": WORDS,
    }
    return chance.choice(choices[kind])


def change_word(call: RecordedCall, chance: Random) -> RecordedCall:
    names = [p.name for p in call.schema().parameters if p.type in {"str", "MemoryFormat", "ScalarType"}]
    if not names:
        return change_number(call, chance)
    name = chance.choice(names)
    return _put(call, Place(name), _anything(call.schema().parameter(name).type, call, chance))


def copy_argument(call: RecordedCall, chance: Random) -> RecordedCall:
    """One tensor's metadata in the place of another's."""
    places = _places(call, _is_tensor)
    if len(places) < 2:
        return call
    source, target = chance.sample(places, 2)
    return _put(call, target, _at(call, source))


_MUTATIONS = (
    change_shape, change_shape, change_shape, change_size_everywhere, change_size_everywhere, change_strides,
    change_dtype, change_number, change_number, change_number, change_list, leave_out, give_optional,
    change_word, copy_argument,
)  # fmt: skip
