"""An inventory: one digest over all living tensors, of the meter's books or of the executor's table.

It is a second kind of evidence beside the check of each call: it covers every tensor, whoever touched it.
"""

import hashlib
import struct
from collections.abc import Hashable, Iterable
from functools import lru_cache
from typing import Final

from haet_eval.counting.signature import TensorMeta
from haet_eval.remote.wire import DTYPES

_ROW: Final = struct.Struct("<QQQq")
_TOTALS: Final = struct.Struct("<QQ")
INVENTORY_BYTES: Final = _TOTALS.size + hashlib.sha256().digest_size


def inventory(rows: Iterable[tuple[int, TensorMeta, int, Hashable, int]]) -> bytes:
    """Number of tensors, bytes of their storages, and a SHA-256 over their metadata.

    Args:
        rows: in the order of the handles, for each its number, its layout (the offset does not matter), its
            offset in elements, the identity of its storage, and the storage's size in bytes. Storages are
            numbered in the order in which they appear, so that only who shares one matters.
    """
    digest = hashlib.sha256()
    storages: dict[Hashable, int] = {}
    count = total = 0
    for number, layout, offset, storage, storage_bytes in rows:
        if storage not in storages:
            storages[storage] = len(storages)
            total += storage_bytes
        digest.update(_ROW.pack(number, storages[storage], storage_bytes, offset) + _packed(layout))
        count += 1
    return _TOTALS.pack(count, total) + digest.digest()


def totals(taken: bytes) -> tuple[int, int]:
    """Number of tensors and bytes of their storages, as an inventory states them."""
    count, total = _TOTALS.unpack_from(taken)
    return count, total


@lru_cache(1 << 14)
def _packed(layout: TensorMeta) -> bytes:
    head = bytes((DTYPES.index(layout.dtype), layout.bits, layout.ndim))
    return head + struct.pack(f"<{2 * layout.ndim}q", *layout.shape, *layout.stride)
