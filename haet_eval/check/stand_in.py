"""Inputs made up for one call, so that an executor without data can find what the call returns."""

from collections.abc import Sequence
from typing import Final

from haet_eval.check.numbering import Numbering, packed
from haet_eval.operators.signature import TensorMeta
from haet_eval.remote import wire
from haet_eval.remote.handles import HeldTensor, size_bytes
from haet_eval.remote.wire import Atom, Code, Definition, Tag, Value

_WHOLE: Final = ("int", "uint")


class StandIns:
    """Makes tensors of given layouts: integers are 0, an index that every tensor has; floats are 1.

    Inputs that share memory share it here too, so that memory is taken once: a list of slices of one tensor
    takes no more than that tensor. `masks` is what a mask holds everywhere.
    """

    def __init__(self, numbering: Numbering, *, masks: bool) -> None:
        self._numbering = numbering
        self._masks = masks

    def make(self, handles: Sequence[HeldTensor]) -> list[int]:
        """One tensor for each handle; returns their numbers."""
        bases: dict[tuple[int, str], int] = {}
        for handle in handles:
            # By dtype as well: `view(dtype)` lets tensors of two dtypes share a storage, and `full` makes one
            # dtype.
            key = (id(handle.storage), handle.layout.dtype)
            # As large as the furthest element that any of them reaches.
            bases[key] = max(bases.get(key, 0), size_bytes(handle.layout, handle.offset))
        made = {key: self._full(key[1], taken // wire.ITEM_BYTES[key[1]]) for key, taken in bases.items()}
        views = {id(handle): self._view(handle.meta, made[_key(handle)]) for handle in handles}
        return [views[id(handle)] for handle in handles]

    def _full(self, dtype: str, elements: int) -> int:
        arguments: dict[str, Value] = {
            "size": (elements,),
            # 1 and not 0 for floats: logarithms and quotients stay finite.
            "fill_value": int(self._masks if dtype == "bool" else not dtype.startswith(_WHOLE)),
            "dtype": Atom(Tag.DTYPE, dtype),
            "device": Atom(Tag.DEVICE),
        }
        return self._call("aten.full.default", arguments)

    def _view(self, meta: TensorMeta, base: int) -> int:
        arguments: dict[str, Value] = {
            "self": Atom(Tag.TENSOR),
            "size": meta.shape,
            "stride": meta.stride,
            "storage_offset": meta.offset,
        }
        # Strides and offset as they were: some operators return another layout for another input layout.
        return self._call("aten.as_strided.default", arguments, base)

    def _call(self, operator: str, arguments: dict[str, Value], *inputs: int) -> int:
        head = wire.encode_definition(Definition(operator, arguments, len(inputs), ()))
        made = self._numbering.tensors
        self._numbering.ask(wire.COUNTED.pack(Code.DEFINE, len(head)) + head + packed(inputs), len(inputs))
        return made


def _key(handle: HeldTensor) -> tuple[int, str]:
    return id(handle.storage), handle.layout.dtype
