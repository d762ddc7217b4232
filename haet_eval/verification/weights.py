"""The distance of two sets of weights."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import safetensors

_DTYPES: Final = {
    "BOOL": "u1",
    "U8": "u1",
    "I8": "i1",
    "I16": "<i2",
    "I32": "<i4",
    "I64": "<i8",
    "F16": "<f2",
    "BF16": "<u2",
    "F32": "<f4",
    "F64": "<f8",
}


StoredWeights: TypeAlias = Mapping[str, Mapping[str, Any]]
"""The tensors of a safetensors file by their names: dtype, shape and bytes of each."""


def read_weights(data: bytes) -> StoredWeights:
    """The tensors of a safetensors file.

    Raises:
        ValueError: it is not a safetensors file.
    """
    try:
        return dict(safetensors.deserialize(data))  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise ValueError(f"no safetensors: {error}") from None


def relative_distance(ours: StoredWeights, theirs: StoredWeights) -> float | None:
    """Euclidean distance of all numbers in two safetensors files, as a fraction of the first one's norm.

    Numbers that are infinite or NaN in both files are the same. The distance is infinite if they are so in
    one file only, or if the squares are too large for a float: then there is no evidence that the files
    agree.

    The distance is None if the files do not hold tensors of the same names, shapes and dtypes, or if a dtype
    is none of those that are known here.
    """
    # A distance of tensors that differ in shape has no meaning. The caller decides what that proves.
    if {name: _form(facts) for name, facts in ours.items()} != {
        name: _form(facts) for name, facts in theirs.items()
    }:
        return None
    if any(facts["dtype"] not in _DTYPES for facts in ours.values()):
        return None
    difference = norm = 0.0
    # Only two tensors at a time become float64: a whole model would take up to eight times its size.
    for name, facts in ours.items():
        apart, size = _squares(_values(facts), _values(theirs[name]))
        difference += apart
        norm += size
    # Infinite is larger than any tolerance; NaN would compare as false and need care at each caller.
    if not (math.isfinite(difference) and math.isfinite(norm)):
        return math.inf
    return math.sqrt(difference / norm) if norm else math.sqrt(difference)


def _squares(values: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> tuple[float, float]:
    """The squared distance of two arrays, and the squared norm of the finite numbers of the first."""
    # Two equal infinities have the difference NaN, so equal places are set to zero before the sum.
    same = (values == others) | (np.isnan(values) & np.isnan(others))
    with np.errstate(over="ignore", invalid="ignore"):
        apart = np.square(np.where(same, 0.0, values - others)).sum()
        size = np.square(values[np.isfinite(values)]).sum()
    return float(apart), float(size)


@dataclass(frozen=True, slots=True)
class Layout:
    """The names of the tensors in a safetensors file, and the bytes and the numbers of all their values."""

    names: frozenset[str]
    value_bytes: int
    numbers: int


def layout(path: Path) -> Layout:
    """The layout of a safetensors file, without reading the values.

    Raises:
        ValueError: it is not a safetensors file.
        OSError: it cannot be read.
    """
    names, value_bytes, numbers = set(), 0, 0
    try:
        # `safe_open` maps the file and reads its header only; the weights may take gigabytes.
        with safetensors.safe_open(path, framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118 it is no mapping
                facts = file.get_slice(name)
                count = math.prod(facts.get_shape())
                names.add(name)
                numbers += count
                value_bytes += count * _item_bits(facts.get_dtype()) // 8
    except safetensors.SafetensorError as error:
        raise ValueError(f"no safetensors: {error}") from None
    return Layout(frozenset(names), value_bytes, numbers)


def _item_bits(dtype: str) -> int:
    """The number in its name: `F32` has 32."""
    digits = re.search(r"\d+", dtype)
    return int(digits.group()) if digits else 8


def _form(facts: Mapping[str, Any]) -> tuple[str, tuple[int, ...]]:
    return facts["dtype"], tuple(facts["shape"])


def _values(facts: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    raw = bytes(facts["data"])
    if facts["dtype"] == "BF16":
        # NumPy has no bfloat16. Its 16 bits are the upper half of a float32.
        return (np.frombuffer(raw, _DTYPES["BF16"]).astype("<u4") << 16).view("<f4").astype(np.float64)
    return np.frombuffer(raw, _DTYPES[facts["dtype"]]).astype(np.float64)
