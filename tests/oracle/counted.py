"""A scalar that counts the operations it takes part in, as the counting standard defines them.

Every arithmetic operation, comparison, selection, transcendental function, random draw and
data-dependent access adds one to the tally. Multiplying by a literal 1 or −1 and adding a literal 0
are free. A comparison that does nothing but choose between two values is one operation with its
choice, as it is in `maximum`. Literals are plain Python numbers; arithmetic among them is free.
"""

import math
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

Literal: TypeAlias = float | int
Nested: TypeAlias = Any
"""A Counted, or a list of Nested."""


class Tally:
    """The number of operations so far, and the maker of the scalars that add to it."""

    def __init__(self, seed: int = 0) -> None:
        self.operations = 0
        self._random = random.Random(seed)

    def scalar(self, value: Literal | None = None) -> "Counted":
        """An input; without a value some number in (0.1, 0.9), which every function accepts."""
        return Counted(self._random.uniform(0.1, 0.9) if value is None else float(value), self)

    def tensor(self, shape: Sequence[int]) -> Nested:
        """Inputs of that shape, as nested lists; a scalar for the empty shape."""
        return [self.tensor(shape[1:]) for _ in range(shape[0])] if shape else self.scalar()

    def draw(self) -> "Counted":
        """One random number: one operation."""
        self.operations += 1
        return self.scalar()


class Counted:
    """A number whose operations are counted."""

    __slots__ = ("tally", "value")

    def __init__(self, value: float, tally: Tally) -> None:
        self.value = value
        self.tally = tally

    def operation(self, value: float) -> "Counted":
        """The result of one operation on this number."""
        self.tally.operations += 1
        return Counted(value, self.tally)

    def __add__(self, other: "Counted | Literal") -> "Counted":
        if is_literal(other, 0):
            return self
        return self.operation(self.value + value_of(other))

    __radd__ = __add__

    def __sub__(self, other: "Counted | Literal") -> "Counted":
        if is_literal(other, 0):
            return self
        return self.operation(self.value - value_of(other))

    def __rsub__(self, other: Literal) -> "Counted":
        return self.operation(other - self.value)

    def __mul__(self, other: "Counted | Literal") -> "Counted":
        if is_literal(other, 1, -1):
            return Counted(self.value * value_of(other), self.tally)
        return self.operation(self.value * value_of(other))

    __rmul__ = __mul__

    def __truediv__(self, other: "Counted | Literal") -> "Counted":
        divisor = value_of(other)
        return self.operation(self.value / divisor if divisor else math.inf)

    def __rtruediv__(self, other: Literal) -> "Counted":
        return self.operation(other / self.value if self.value else math.inf)

    def __pow__(self, other: "Counted | Literal") -> "Counted":
        return self.operation(abs(self.value) ** value_of(other))

    def __neg__(self) -> "Counted":
        return self.operation(-self.value)

    def __abs__(self) -> "Counted":
        return self.operation(abs(self.value))

    def greater(self, other: "Counted | Literal") -> "Counted":
        """1 or 0: a comparison, one operation."""
        return self.operation(float(self.value > value_of(other)))


def is_literal(value: Counted | Literal, *literals: Literal) -> bool:
    """Whether the value is a Python number equal to one of the literals."""
    return not isinstance(value, Counted) and value in literals


def value_of(value: Counted | Literal) -> float:
    """The number itself."""
    return value.value if isinstance(value, Counted) else float(value)


def _transcendental(function: Callable[[float], float]) -> Callable[[Counted], Counted]:
    def apply(x: Counted) -> Counted:
        try:
            return x.operation(function(x.value))
        except (ValueError, OverflowError, ZeroDivisionError):
            return x.operation(math.nan)

    return apply


exp = _transcendental(math.exp)
log = _transcendental(math.log)
sqrt = _transcendental(math.sqrt)
rsqrt = _transcendental(lambda x: 1 / math.sqrt(x))
tanh = _transcendental(math.tanh)
erf = _transcendental(math.erf)
sin = _transcendental(math.sin)
cos = _transcendental(math.cos)
lgamma = _transcendental(math.lgamma)
floor = _transcendental(math.floor)


def atan2(y: Counted, x: Counted) -> Counted:
    """The angle of (x, y): one operation."""
    return y.operation(math.atan2(y.value, x.value))


def maximum(a: Counted, b: Counted | Literal) -> Counted:
    """The larger: one operation."""
    return a.operation(max(a.value, value_of(b)))


def minimum(a: Counted, b: Counted | Literal) -> Counted:
    """The smaller: one operation."""
    return a.operation(min(a.value, value_of(b)))


def choose(x: Counted, threshold: Counted | Literal, above: Counted, below: Counted | Literal) -> Counted:
    """`above` where x exceeds the threshold, else `below`: one operation, as a maximum is."""
    return x.operation(value_of(above) if x.value > value_of(threshold) else value_of(below))


def where(condition: Counted, a: Counted | Literal, b: Counted | Literal) -> Counted:
    """A selection by a condition that is there already: one operation."""
    return condition.operation(value_of(a) if condition.value else value_of(b))


def read(values: Sequence[Counted], index: Counted) -> Counted:
    """The element at an index that depends on data: one operation."""
    return index.operation(values[int(index.value) % len(values)].value)


def write(values: list[Counted], index: Counted, value: Counted | Literal) -> None:
    """Store at an index that depends on data: one operation."""
    values[int(index.value) % len(values)] = index.operation(value_of(value))


def total(values: Iterable[Counted]) -> Counted:
    """The sum, starting from the first value: one operation less than there are values."""
    first, *rest = values
    for value in rest:
        first = first + value
    return first


def product(values: Iterable[Counted]) -> Counted:
    """The product, starting from the first value."""
    first, *rest = values
    for value in rest:
        first = first * value
    return first


def largest(values: Iterable[Counted]) -> Counted:
    """The largest value, by comparing each with the largest so far."""
    first, *rest = values
    for value in rest:
        first = maximum(first, value)
    return first


def dot(a: Sequence[Counted], b: Sequence[Counted]) -> Counted:
    """The inner product: K multiplications, K − 1 additions."""
    return total([x * y for x, y in zip(a, b, strict=True)])


def flat(nested: Nested) -> list[Counted]:
    """All scalars of nested lists, in order."""
    return [x for item in nested for x in flat(item)] if isinstance(nested, list) else [nested]


def count(textbook: Callable[[Tally], object]) -> int:
    """How many operations a textbook implementation takes."""
    tally = Tally()
    textbook(tally)
    return tally.operations
