"""Recognises the call that is expected next: a training makes the same calls again in each step.

The full key of a call takes half a microsecond for each tensor. A call that followed the last one before is
recognised by one comparison in C++ instead (`TensorGuards` of torch.compile). It compares no less than the
key does, so a wrong guess costs time only.
"""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, Final, Generic, TypeVar

import torch
from torch._C._dynamo.guards import TensorGuards

from haet_eval.counter.keys import part_of

Kept = TypeVar("Kept")

_MOST_TRIED: Final = 4
_MOST_MADE: Final = 32
_PLAIN: Final = (torch.Tensor, torch.nn.Parameter)
_OF_NUMBERS: Final = ("number", "float")


class Foreseen(Generic[Kept]):
    """A call, recognised by its operator, its tensors' metadata and its other arguments.

    Args:
        func: an overload.
        values: its positional arguments, then those given by name.
        names: of the latter.
        kept: the result of recognising it.

    Raises:
        TypeError: a tensor is of a class or layout of its own or given twice, or a list holds tensors and
            other values.
    """

    __slots__ = (
        *("_check", "_count", "_lists", "_names", "_numbers", "_others", "_rest", "_tensors"),
        *("func", "kept"),
    )

    def __init__(
        self,
        func: Any,
        values: Sequence[Any],
        names: tuple[str, ...],
        kept: Kept,
    ) -> None:
        self.func, self.kept = func, kept
        self._count, self._names = len(values), names
        tensors = [place for place, value in enumerate(values) if _holds_tensors(value)]
        numbers = [place for place in _numbers(func, values, names) if place not in tensors]
        rest = [place for place in range(len(values)) if place not in (*tensors, *numbers)]
        self._lists = any(isinstance(values[place], list) for place in tensors)
        self._tensors, self._rest = _picker(tensors), itemgetter(*rest) if rest else _nothing
        self._others = self._rest(values)
        self._numbers = [(place, type(values[place]), part_of(values[place])) for place in numbers]
        given = self._flat(values)
        if not all(type(tensor) in _PLAIN and tensor.layout is torch.strided for tensor in given):
            raise TypeError("a tensor of another class or layout")
        if len({*map(id, given)}) < len(given):
            raise TypeError("a tensor is given twice, which TensorGuards rejects")
        sizes: Any = [list(tensor.size()) for tensor in given]
        strides: Any = [list(tensor.stride()) for tensor in given]
        self._check = TensorGuards(*given, dynamic_dims_sizes=sizes, dynamic_dims_strides=strides).check

    def fits(self, values: Sequence[Any], names: tuple[str, ...]) -> bool:
        """Whether a call of the same operator with these arguments is this one."""
        try:
            return self._fits(values, names)
        except (RuntimeError, TypeError):  # a tensor stands where another value is expected, or none does
            return False

    def _fits(self, values: Sequence[Any], names: tuple[str, ...]) -> bool:
        if len(values) != self._count or names != self._names or self._rest(values) != self._others:
            return False
        for place, kind, expected in self._numbers:
            value = values[place]
            if type(value) is not kind or part_of(value) != expected:
                return False
        return self._check(*(self._flat(values) if self._lists else self._tensors(values)))

    def _flat(self, values: Sequence[Any]) -> list[Any]:
        flat = []
        for value in self._tensors(values):
            if isinstance(value, list):
                flat += value
            else:
                flat.append(value)
        return flat


class Followers(Generic[Kept]):
    """The calls that came after one call."""

    __slots__ = ("made", "newest")

    def __init__(self) -> None:
        self.newest: list[Foreseen[Kept]] = []
        self.made = 0

    def add(
        self,
        func: Any,
        values: Sequence[Any],
        names: tuple[str, ...],
        kept: Kept,
    ) -> None:
        """Expect a call to come here again, unless this place has seen too many different ones."""
        if self.made >= _MOST_MADE:
            return
        self.made += 1
        try:
            follower = Foreseen(func, values, names, kept)
        except TypeError:
            return
        self.newest = [follower, *self.newest[: _MOST_TRIED - 1]]


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


def _numbers(func: Any, values: Sequence[Any], names: tuple[str, ...]) -> list[int]:
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
