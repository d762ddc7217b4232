"""A call that a submission wants to make, as the validators see it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from haet_eval.operators.schema import Operator
from haet_eval.operators.signature import Argument, TensorMeta

MAX_ELEMENTS: Final = 2**33
"""The most elements that one tensor may have."""


class Refused(Exception):
    """An operator must not run on these arguments. `reason` says why, without any value of a tensor."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ElementOrigin:
    """Which call made the elements that a tensor argument shows.

    Two tensors of one storage with equal shape, stride, offset and dtype have one origin: `detach`, `alias`
    and a view that is undone later do not lose it. `output` is the position among the returned values,
    `arguments` are the bound arguments of that call. `pristine` is true if no call has written to the storage
    since.
    """

    operator: str
    output: int
    arguments: Mapping[str, Argument]
    pristine: bool


@dataclass(frozen=True, slots=True)
class Call:
    """An operator with its bound arguments.

    `origins` and `storage_bytes` (the size of the tensor's storage) are given by parameter name, for single
    tensors. A tensor without an origin is data, a literal, or was written since.
    """

    operator: Operator
    arguments: Mapping[str, Argument]
    origins: Mapping[str, ElementOrigin | None] = field(default_factory=lambda: MappingProxyType({}))
    storage_bytes: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def __getitem__(self, name: str) -> Argument:
        return self.arguments[name]

    def tensor(self, name: str) -> TensorMeta:
        """The tensor of that name.

        Raises:
            Refused: it was not given.
        """
        value = self.arguments.get(name)
        if not isinstance(value, TensorMeta):
            raise Refused(f"{self.operator.name} needs a tensor for {name!r}")
        return value

    def optional_tensor(self, name: str) -> TensorMeta | None:
        """The tensor of that name, or None."""
        value = self.arguments.get(name)
        return value if isinstance(value, TensorMeta) else None

    def tensors(self, name: str) -> tuple[TensorMeta, ...]:
        """The tensors of a list, without the absent ones."""
        value = self.arguments.get(name)
        items = value if isinstance(value, tuple) else ()
        return tuple(item for item in items if isinstance(item, TensorMeta))

    def integers(self, name: str) -> tuple[int, ...]:
        """The integers of a list; an absent list is empty."""
        value = self.arguments.get(name)
        items = value if isinstance(value, tuple) else ()
        return tuple(item for item in items if isinstance(item, int))

    def integer(self, name: str) -> int:
        """An integer or a truth value.

        Raises:
            Refused: it was not given.
        """
        value = self.arguments.get(name)
        if not isinstance(value, int):
            raise Refused(f"{self.operator.name} needs an integer for {name!r}")
        return value

    def require(self, holds: bool, reason: str) -> None:
        """Refuse the call unless `holds`.

        Raises:
            Refused: it does not.
        """
        if not holds:
            raise Refused(f"{self.operator.name}: {reason}")
