"""Reads one of CIFAR's pickled batches without running any code that the pickle names."""

import pickle
from io import BytesIO
from typing import Any

import numpy as np

from haet_eval.data.arrays import Images, Labels

_NUMPY_NAMES = {
    # The old name is in the published files; NumPy 2 writes the other one.
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}


class _Inert:
    """Stands for a numpy object in the pickle: keeps the object's arguments, and builds nothing.

    numpy's own `__setstate__` would be exposed to hostile shapes and types.
    """

    arguments: tuple[Any, ...] = ()
    state: Any = None

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _InertUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type[_Inert]:
        if (module, name) not in _NUMPY_NAMES:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no CIFAR batch does")
        return _Inert


def read_batch(content: bytes, label_key: bytes, num_classes: int) -> tuple[Images, Labels]:
    """Images, uint8 [N, 3, 32, 32], and labels, int64 [N], of a batch as CIFAR's authors pickled it.

    The layout is described at https://www.cs.toronto.edu/~kriz/cifar.html: a row of `data` is an image,
    its red, green and blue plane one after the other, each row by row.

    Raises:
        ValueError: the content is not such a batch; the text says why.
    """
    try:
        # Python 2 wrote the files, and its texts are bytes.
        table = _InertUnpickler(BytesIO(content), encoding="bytes").load()
    except Exception as error:  # a damaged pickle raises nearly anything
        raise ValueError(f"it cannot be unpickled: {error}") from error
    if not isinstance(table, dict):
        raise ValueError("it holds no table")  # noqa: TRY004 - its content is wrong, not a caller's type
    images = _images(table.get(b"data"))
    labels = _labels(table.get(label_key), label_key.decode(), num_classes)
    if not len(images) == len(labels) > 0:
        raise ValueError(f"it has {len(images)} images and {len(labels)} labels")
    return images, labels


def _images(pickled: object) -> Images:
    match pickled:
        case _Inert(
            state=(_, (int(rows), 3072), _Inert(arguments=(b"u1" | "u1", *_)), fortran, bytes(pixels))
        ):
            pass
        case _:
            raise ValueError("`data` is no array of bytes with 3072 columns")
    # The shape is the pickle's word, and the bytes need not fit it.
    if len(pixels) != rows * 3072:
        raise ValueError(f"`data` has {len(pixels)} bytes where {rows} rows have {rows * 3072}")
    flat = np.frombuffer(pixels, dtype=np.uint8)
    return flat.reshape((rows, 3072), order="F" if fortran else "C").reshape(rows, 3, 32, 32)


def _labels(pickled: object, key: str, num_classes: int) -> Labels:
    if not isinstance(pickled, list):
        raise ValueError(f"`{key}` is no list")  # noqa: TRY004
    # By its exact type: a bool is an int to `isinstance`.
    if not all(type(label) is int and 0 <= label < num_classes for label in pickled):
        raise ValueError(f"`{key}` has an entry that is not an integer from 0 to {num_classes - 1}")
    return np.array(pickled, dtype=np.int64)
