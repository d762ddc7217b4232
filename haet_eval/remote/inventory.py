"""An inventory: one digest over all living tensors, of the meter's books or of the executor's table.

It is a second kind of evidence, next to the check of each call: it covers every tensor, including those that
a call changed without being among its inputs and outputs.
"""

import hashlib
from collections.abc import Hashable, Iterable, Mapping
from functools import lru_cache
from typing import Final

from haet_eval.operators.signature import TensorMeta
from haet_eval.remote.handles import HeldTensor

_TOTAL_BYTES: Final = 16
INVENTORY_BYTES: Final = 2 * _TOTAL_BYTES + hashlib.sha256().digest_size


def inventory(rows: Iterable[tuple[int, TensorMeta, int, Hashable, int]]) -> bytes:
    """Number of tensors, bytes of their storages, and a SHA-256 over their metadata.

    Args:
        rows: in the order of the handles, for each its number, its layout (the offset does not matter), its
            offset in elements, the identity of its storage, and the storage's size in bytes. Storages are
            numbered in the order in which they appear, so that the digest shows only which tensors share one.
    """
    digest = hashlib.sha256()
    storages: dict[Hashable, int] = {}
    count = total = 0
    for number, layout, offset, storage, storage_bytes in rows:
        if storage not in storages:
            storages[storage] = len(storages)
            total += storage_bytes
        # A line for each tensor with separators, so that no two tables give the same bytes.
        digest.update(b"%d %d %d %d %s\n" % (number, storages[storage], storage_bytes, offset, _text(layout)))
        count += 1
    totals = (number.to_bytes(_TOTAL_BYTES, "little") for number in (count, total))
    return b"".join(totals) + digest.digest()


def inventory_of(living: Mapping[int, HeldTensor]) -> bytes:
    """The inventory of the meter's books."""
    return inventory(
        (number, handle.layout, handle.offset, id(handle.storage), handle.storage.size_bytes)
        for number, handle in sorted(living.items())
    )


def totals(taken: bytes) -> tuple[int, int]:
    """Number of tensors and bytes of their storages, as an inventory states them."""
    count, total = taken[:_TOTAL_BYTES], taken[_TOTAL_BYTES : 2 * _TOTAL_BYTES]
    return int.from_bytes(count, "little"), int.from_bytes(total, "little")


# Many tensors have the same layout, and an inventory may have a million lines.
@lru_cache(1 << 14)
def _text(layout: TensorMeta) -> bytes:
    return f"{layout.dtype} {layout.bits} {layout.shape} {layout.stride}".encode()
