"""Draws some images of many: the same ones on every machine, in every version, for ever."""

from hashlib import sha256

import numpy as np

from haet_eval.data.arrays import Labels


def draw(total: int, count: int, seed: int) -> Labels:
    """Positions of `count` of `total` images, int64 [count], ascending: a draw without replacement.

    Image i has the key SHA-256 of `haet-eval image {i} of seed {seed}`; the images with the least keys are
    drawn. Classes are not balanced. The draw uses no generator of a library, because these change between
    versions.
    """
    keys = [sha256(f"haet-eval image {image} of seed {seed}".encode()).digest() for image in range(total)]
    least = sorted(range(total), key=keys.__getitem__)[:count]
    return np.array(sorted(least), dtype=np.int64)
