"""Images and labels of a data set, training and test."""

from hashlib import sha256
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Images: TypeAlias = npt.NDArray[np.uint8]
Labels: TypeAlias = npt.NDArray[np.int64]

LARGEST_SET_BYTES: Final = 2**34
"""The limit for the images of one set as arrays, which the host holds in memory."""


class Arrays(NamedTuple):
    """Images are uint8 [N, C, H, W], C being 1 or 3, and labels int64 [N]."""

    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels

    def digest(self) -> str:
        """Hexadecimal SHA-256: for each array a line `name dtype shape`, then its little-endian bytes."""
        hasher = sha256()
        for name, array in self._asdict().items():
            # The same digest on machines of either byte order.
            canonical = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
            hasher.update(f"{name} {array.dtype.name} {list(array.shape)}\n".encode())
            hasher.update(canonical.data)
        return hasher.hexdigest()
