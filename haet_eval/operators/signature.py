"""The signature of an operator call: all that a price may depend on, and nothing else."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from math import inf, prod
from typing import Final, TypeAlias


class AnyFloat(Enum):
    """Stands for a float whose value no price depends on."""

    ANY = "any"


ANY: Final = AnyFloat.ANY

# 2 is here as the order of a norm, and as a dampening for which 1 − dampening is −1.
SPECIAL_FLOATS: Final = (0.0, 1.0, -1.0, 2.0, inf, -inf)
"""Floats that a price may depend on (alpha, beta, weight decay, the order of a norm)."""


CONJUGATE: Final = 1
NEGATIVE: Final = 2
"""PyTorch's lazy bits: the elements of such a tensor are those in its memory, conjugated or negated."""


@dataclass(frozen=True, slots=True)
class TensorMeta:
    """The metadata of a tensor, on which a price may depend. Strides and offset in elements; dtype `float32`.

    `bits` holds the lazy bits CONJUGATE and NEGATIVE. They are metadata like the others: a kernel may return
    a view of a tensor without bits and new memory for a tensor with one.
    """

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    dtype: str
    bits: int = 0

    @property
    def numel(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)


Argument: TypeAlias = (
    bool | int | float | complex | str | AnyFloat | TensorMeta | tuple["Argument", ...] | None
)
"""A value by schema. Dtypes, memory formats and generators are strings."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One distinct call: operator, every argument by its schema name (defaults included), outputs.

    `operator` is the full overload name, as in `aten.add.Tensor`. A float argument is either one of
    SPECIAL_FLOATS or ANY. `outputs` has one entry for each returned value: the metadata of a tensor
    (for an in-place operator that of `self`), None, a number, or a tuple for a list of tensors.
    """

    operator: str
    arguments: Mapping[str, Argument]
    outputs: tuple[Argument, ...]

    def __getitem__(self, name: str) -> Argument:
        return self.arguments[name]

    def tensor(self, name: str) -> TensorMeta:
        """The tensor argument of that name.

        Raises:
            TypeError: the argument is absent or not a tensor.
        """
        value = self.arguments.get(name)
        if not isinstance(value, TensorMeta):
            raise TypeError(f"{self.operator}: argument {name!r} is no tensor")
        return value

    def optional_tensor(self, name: str) -> TensorMeta | None:
        """The tensor argument of that name, or None if it was not given."""
        return None if self.arguments.get(name) is None else self.tensor(name)

    def tensors(self, name: str) -> tuple[TensorMeta, ...]:
        """The tensors of the list argument of that name; absent entries are left out."""
        value = self.arguments.get(name)
        if not isinstance(value, tuple):
            raise TypeError(f"{self.operator}: argument {name!r} is no list of tensors")
        return tuple(item for item in value if isinstance(item, TensorMeta))

    def integers(self, name: str) -> tuple[int, ...]:
        """The integers of the list argument of that name; a single integer is a list of one."""
        value = self.arguments.get(name)
        # Python counts True among its integers.
        if isinstance(value, int) and not isinstance(value, bool):
            return (value,)
        if not isinstance(value, tuple):
            raise TypeError(f"{self.operator}: argument {name!r} is no list of integers")
        return tuple(item for item in value if isinstance(item, int))

    def given(self) -> Iterator[tuple[str, TensorMeta]]:
        """Every tensor among the arguments, with the name of its argument."""
        for name, value in self.arguments.items():
            for meta in tensors_in(value):
                yield name, meta

    @property
    def out(self) -> TensorMeta:
        """The first tensor among the outputs.

        Raises:
            TypeError: the call returns no tensor.
        """
        for meta in tensors_in(self.outputs):
            return meta
        raise TypeError(f"{self.operator}: returns no tensor")


def tensors_in(value: Argument) -> Iterator[TensorMeta]:
    """Every tensor in an argument or in the outputs, depth first."""
    if isinstance(value, TensorMeta):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from tensors_in(item)
