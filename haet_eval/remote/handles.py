"""The meter's books about each tensor: everything but its values."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from haet_eval.operators.signature import TensorMeta
from haet_eval.remote.wire import ITEM_BYTES

_LAYOUTS: Final[dict[TensorMeta, TensorMeta]] = {}
_MAX_LAYOUTS: Final = 1 << 17


def intern_layout(meta: TensorMeta) -> TensorMeta:
    """One shared object for each shape, stride, dtype and bits (offset 0): equal layouts then compare fast.

    Only speed depends on the sharing, so the table may be cleared when it has grown large. Whoever keeps the
    address of a layout keeps the layout as well: otherwise another one could be given that address.
    """
    # The submission chooses the shapes, so a table that only grows would fill the host's memory.
    if len(_LAYOUTS) > _MAX_LAYOUTS:
        _LAYOUTS.clear()
    layout = TensorMeta(meta.shape, meta.stride, 0, meta.dtype, meta.bits) if meta.offset else meta
    return _LAYOUTS.setdefault(layout, layout)


def span_elements(shape: tuple[int, ...], stride: tuple[int, ...]) -> int:
    """From the first element of a strided tensor to its last, in elements."""
    if 0 in shape:
        return 0
    return 1 + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))


# Compared by identity: two storages of the same size are still two.
@dataclass(slots=True, eq=False)
class Storage:
    """Memory that tensors share.

    `tainted`: it depends on data, so a read is charged. `writes` counts the writes.
    `sealed`: it belongs to the returned model, and no call may write it any more. `maker` is the template
    that made it, as output number `output`, and `made` the layout and offset that it had then. `first` is
    the number of its first handle, `handles` the number of its handles.
    """

    size_bytes: int
    tainted: bool
    writes: int = 0
    sealed: bool = False
    maker: object = None
    output: int = 0
    made: tuple[TensorMeta, int] | None = None
    first: int = 0
    handles: int = 1


@dataclass(slots=True, eq=False)
class HeldTensor:
    """A tensor that the executor holds. `offset` in elements."""

    layout: TensorMeta
    offset: int
    storage: Storage

    @property
    def meta(self) -> TensorMeta:
        layout = self.layout
        return TensorMeta(layout.shape, layout.stride, self.offset, layout.dtype, layout.bits)


def size_bytes(layout: TensorMeta, offset: int) -> int:
    """Bytes of a storage that just holds a tensor of that layout at that offset (in elements)."""
    return (offset + span_elements(layout.shape, layout.stride)) * ITEM_BYTES[layout.dtype]


@dataclass(slots=True)
class HandleTable:
    """All living tensors by number. Numbers are given in order, and each number only once."""

    living: dict[int, HeldTensor] = field(default_factory=dict)
    next: int = 1

    def add(self, handle: HeldTensor) -> int:
        # A number is never given again, so a late use of a freed tensor cannot reach another one.
        number = self.next
        self.living[number] = handle
        self.next += 1
        return number

    def keep_only(self, numbers: Iterable[int]) -> None:
        kept = set(numbers)
        self.living = {number: handle for number, handle in self.living.items() if number in kept}
