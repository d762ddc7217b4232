"""Images and labels from one file of arrays: NumPy's .npz, or safetensors."""

import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.lib.format as npy
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file

from haet_eval.data.arrays import LARGEST_SET_BYTES, Images, Labels

SUFFIXES: Final = (".npz", ".safetensors")
_COMPRESSIONS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

_DAMAGE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    MemoryError,  # a header announces more than this machine has
    NotImplementedError,
    OverflowError,
    RuntimeError,  # a member has a password
    SyntaxError,
    tokenize.TokenError,
)
"""What the libraries raise for damaged files, besides ValueError and OSError."""


def read_array_file(path: Path) -> tuple[Images, Labels]:
    """The arrays `images`, uint8 [N, C, H, W] with C 1 or 3, and `labels`, integers [N].

    Raises:
        ValueError: the file is wrong; the text says how.
        OSError: the file cannot be read.
    """
    arrays = _npz(path) if path.suffix == ".npz" else _safetensors(path)
    missing = {"images", "labels"} - arrays.keys()
    if missing:
        raise ValueError(f"it has no array `{min(missing)}`; it has {', '.join(sorted(arrays)) or 'none'}")
    return _images(arrays["images"]), _labels(arrays["labels"])


def _npz(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        # NumPy would unpack whatever the file announces, so the sizes are added up first (decision 0095).
        with zipfile.ZipFile(path) as members:
            unpacked = sum(member.file_size for member in members.infolist())
            if unpacked > LARGEST_SET_BYTES:
                raise ValueError(f"it unpacks to {unpacked:,} bytes: more than {LARGEST_SET_BYTES:,}")
            # Only these two are unpacked.
            names = [name for name in ("images", "labels") if f"{name}.npy" in members.namelist()]
            return {name: _member(members, f"{name}.npy") for name in names}
    except _DAMAGE as error:
        raise ValueError(f"it is no .npz file that can be read: {error}") from error


def _member(members: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    if members.getinfo(name).compress_type not in _COMPRESSIONS:
        raise ValueError(f"{name} in it is compressed in a way that NumPy does not use")
    with members.open(name) as file:
        array: npt.NDArray[Any] = npy.read_array(file, allow_pickle=False)
    return array


def _safetensors(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"it is no safetensors file: {error}") from error


def _images(array: npt.NDArray[Any]) -> Images:
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[1] not in (1, 3) or 0 in array.shape:
        raise ValueError(
            f"`images` is {array.dtype} {list(array.shape)}, and must be uint8 [N, C, H, W] with C 1 or 3"
        )
    return np.ascontiguousarray(array)


def _labels(array: npt.NDArray[Any]) -> Labels:
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"`labels` is {array.dtype} {list(array.shape)}, not integers [N]")
    return array.astype(np.int64)
