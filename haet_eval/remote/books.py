"""The meter's books as the table of an executor: which storages there are, and how tensors lie in them."""

from collections.abc import Mapping
from dataclasses import dataclass

from haet_eval.remote.handles import HeldTensor, Storage
from haet_eval.remote.inventory import inventory_of
from haet_eval.remote.messages import Placed


@dataclass(frozen=True, slots=True)
class StoredTensors:
    """A storage: its size, and the number of one of its tensors.

    `data` is the number that the training data got whose storage it is, if nothing has written to it; else 0.
    """

    size_bytes: int
    handle: int
    data: int


@dataclass(frozen=True, slots=True)
class Table:
    """All living tensors by their numbers, and their storages in the order of their first tensors.

    `next` is the number that the next new tensor gets, `taken` the inventory.
    """

    storages: tuple[StoredTensors, ...]
    tensors: tuple[Placed, ...]
    next: int
    taken: bytes

    @property
    def stored(self) -> list[StoredTensors]:
        """The storages whose bytes a checkpoint holds: all but training data that nothing has written to."""
        return [held for held in self.storages if not held.data]

    @property
    def stored_bytes(self) -> int:
        return sum(held.size_bytes for held in self.stored)


def table_of(living: Mapping[int, HeldTensor], following: int, data: Mapping[int, Storage]) -> Table:
    """The table of an executor by the meter's books.

    Args:
        living: the tensors that live, by number.
        following: the number that the next new tensor gets.
        data: the storages of the training data, by the numbers that their tensors got.
    """
    places: dict[int, int] = {}
    storages: list[StoredTensors] = []
    tensors: list[Placed] = []
    # The next executor loads these data by itself, so a checkpoint need not hold them.
    unwritten = {id(storage): number for number, storage in data.items() if not storage.writes}
    # The order decides which tensor is the first of its storage: it must be the same when the run goes on.
    for number, handle in sorted(living.items()):
        storage, layout = handle.storage, handle.layout
        if id(storage) not in places:
            places[id(storage)] = len(storages)
            storages.append(StoredTensors(storage.size_bytes, number, unwritten.get(id(storage), 0)))
        place = places[id(storage)]
        tensors.append((number, place, layout.dtype, layout.shape, layout.stride, handle.offset, layout.bits))
    return Table(tuple(storages), tuple(tensors), following, inventory_of(living))
