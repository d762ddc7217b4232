"""Recognises the call that is expected next: a training makes the same calls again in each step.

The full key of a call takes half a microsecond for each tensor. A call that followed the last one before is
recognised by one comparison in C++ instead (`TensorGuards` of torch.compile). It compares no less than the
key does, so a wrong guess costs time only.
"""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, Final, Generic, TypeAlias, TypeVar

import torch
from torch._C._dynamo.guards import TensorGuards

from haet_eval.counter.keys import part_of

Kept = TypeVar("Kept")
Fits: TypeAlias = Callable[[tuple[Any, ...], dict[str, Any] | None], bool]

# Each candidate costs a comparison at every call, and a guard takes far longer to make than a key. So a place
# that sees ever new shapes stops after so many guards, and its calls go by their keys.
_MOST_TRIED: Final = 4
_MOST_MADE: Final = 32
# A subclass can behave otherwise than its metadata says, so its calls go by their keys.
_PLAIN: Final = (torch.Tensor, torch.nn.Parameter)
# `number` is how the type of a schema prints PyTorch's Scalar.
_OF_NUMBERS: Final = ("number", "float")
_NO_TENSOR: Final = (RuntimeError, TypeError)
"""What a guard raises if another value stands for a tensor, or if their number is another."""


class Foreseen(Generic[Kept]):
    """A call of an overload, recognised by its tensors' metadata and its other arguments.

    `fits` says of a call of the same overload whether it is this one. `kept` is the result of recognising it.

    Raises:
        TypeError: a tensor is of a class or layout of its own or given twice, or a list holds tensors and
            other values.
    """

    __slots__ = ("fits", "func", "kept")

    def __init__(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], kept: Kept) -> None:
        self.func, self.kept = func, kept
        self.fits = _recogniser(func, args, kwargs)


class Followers(Generic[Kept]):
    """The calls that came after one call."""

    __slots__ = ("made", "newest")

    def __init__(self) -> None:
        self.newest: list[Foreseen[Kept]] = []
        self.made = 0

    def add(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], kept: Kept) -> None:
        """Expect a call to come here again, unless this place has seen too many different ones."""
        # `made` counts failures too: a call for which no guard can be made would be tried again at each step.
        if self.made >= _MOST_MADE:
            return
        self.made += 1
        try:
            follower = Foreseen(func, args, kwargs, kept)
        except TypeError:
            return
        self.newest = [follower, *self.newest[: _MOST_TRIED - 1]]


def _recogniser(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Fits:
    """A closure, since those find their variables fastest."""
    values = (*args, *kwargs.values())
    tensors = [place for place, value in enumerate(values) if _holds_tensors(value)]
    lists = any(isinstance(values[place], list) for place in tensors)
    check = _guard(_flat([values[place] for place in tensors]))
    # A call of nothing but tensors needs no other comparison: the guard alone decides.
    if len(tensors) == len(args) and not kwargs and not lists:
        return _of_tensors(check)
    names = [*kwargs]
    # 1, 1.0 and True are equal in Python and have three signatures, so numbers are compared with their types.
    numbers = [place for place in _numbers(func, values, names) if place not in tensors]
    rest = [place for place in range(len(values)) if place not in (*tensors, *numbers)]
    pick, pick_rest = _picker(tensors), itemgetter(*rest) if rest else _nothing
    count, others = len(values), pick_rest(values)
    like = [(place, type(values[place]), _alone(values[place]), part_of(values[place])) for place in numbers]

    def fits(args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> bool:
        values = args
        if kwargs or names:
            if not kwargs or [*kwargs] != names:
                return False
            values = (*args, *kwargs.values())
        try:
            # The length first: `pick_rest` would raise for a shorter call.
            if len(values) != count or pick_rest(values) != others:
                return False
            for place, kind, number, part in like:
                value = values[place]
                if type(value) is not kind or (value != number and part_of(value) != part):
                    return False
            return check(*(_flat(pick(values)) if lists else pick(values)))
        except _NO_TENSOR:
            return False

    return fits


def _of_tensors(check: Callable[..., bool]) -> Fits:
    def fits(args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> bool:
        try:
            return not kwargs and check(*args)
        except _NO_TENSOR:
            return False

    return fits


def _guard(tensors: Sequence[torch.Tensor]) -> Callable[..., bool]:
    if not all(type(tensor) in _PLAIN and tensor.layout is torch.strided for tensor in tensors):
        raise TypeError("a tensor of another class or layout")
    # `x * x` is such a call. It goes by its key.
    if len({*map(id, tensors)}) < len(tensors):
        raise TypeError("a tensor is given twice, which TensorGuards rejects")
    sizes: Any = [list(tensor.size()) for tensor in tensors]
    strides: Any = [list(tensor.stride()) for tensor in tensors]
    return TensorGuards(*tensors, dynamic_dims_sizes=sizes, dynamic_dims_strides=strides).check


def _flat(values: Sequence[Any]) -> list[Any]:
    flat = []
    for value in values:
        if isinstance(value, list):
            flat += value
        else:
            flat.append(value)
    return flat


def _holds_tensors(value: Any) -> bool:
    """Whether a value is a tensor or a list of tensors.

    Raises:
        TypeError: it is a list of tensors and other values.
    """
    if not isinstance(value, list):
        return isinstance(value, torch.Tensor)
    found = [isinstance(item, torch.Tensor) for item in value]
    if any(found) and not all(found):
        raise TypeError("a list of tensors and other values")
    return any(found)


def _alone(value: Any) -> Any:
    """A value that equals another of its type only if both have one key; lists of 1 and of 1.0 are equal."""
    return value if isinstance(value, int | float) else None


def _numbers(func: Any, values: Sequence[Any], names: Sequence[str]) -> list[int]:
    """Places of arguments that take numbers of several types, or floats, of which most are alike."""
    arguments = {argument.name: str(argument.type) for argument in func._schema.arguments}
    types = [*list(arguments.values())[: len(values) - len(names)], *(arguments[name] for name in names)]
    return [place for place, kind in enumerate(types) if any(word in kind for word in _OF_NUMBERS)]


def _nothing(_: Sequence[Any]) -> None: ...


def _picker(places: Sequence[int]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """A function that returns what is at these places."""
    if len(places) == 1:
        (only,) = places
        return lambda values: (values[only],)
    return itemgetter(*places) if places else lambda _: ()
