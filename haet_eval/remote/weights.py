"""The weights that an executor returns, compared with the meter's books tensor by tensor."""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Final

from haet_eval.errors import SubmissionFailure, Verdict
from haet_eval.operators.signature import TensorMeta
from haet_eval.remote.wire import ITEM_BYTES

_MAX_MODEL_BYTES: Final = 1 << 30
MAX_WEIGHTS_BYTES: Final = _MAX_MODEL_BYTES + 100_000_000
"""Of a file of weights: a model with the longest header that safetensors reads."""
_LENGTH: Final = struct.Struct("<Q")
_ALIGNMENT: Final = 8
# For each tensor: its dtype, its two places, and the punctuation of JSON.
_FACTS_BYTES: Final = 256
# A size has 19 digits at most.
_DIGITS: Final = 24
# JSON may write a byte of a name as `\u0000`.
_ESCAPED: Final = 6
_SAFETENSORS: Final = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
    "float16": "F16",
    "bfloat16": "BF16",
    "float32": "F32",
    "float64": "F64",
}
_REAL: Final = {"complex64": "float32", "complex128": "float64"}


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor of the returned model as safetensors holds it: name, dtype as in `float32`, shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def size_bytes(self) -> int:
        return prod(self.shape) * ITEM_BYTES[self.dtype]


def weight_of(name: str, layout: TensorMeta) -> Weight:
    """How a tensor is stored. A complex one is stored as pairs of reals."""
    if layout.dtype in _REAL:
        return Weight(name, _REAL[layout.dtype], (*layout.shape, 2))
    return Weight(name, layout.dtype, layout.shape)


def check_model_size(size_bytes: int) -> None:
    """Raises SubmissionFailure if a returned model is too large to be kept."""
    if size_bytes > _MAX_MODEL_BYTES:
        raise SubmissionFailure(
            Verdict.LIMIT_MEMORY,
            f"The returned model takes {size_bytes:,} bytes; it may take {_MAX_MODEL_BYTES:,}.",
            code="model-too-large",
        )


def most_bytes(weights: Sequence[Weight]) -> int:
    """The largest file that can hold these weights: their bytes, and a header that names them."""
    names = sum(_ESCAPED * len(weight.name.encode()) + _DIGITS * len(weight.shape) for weight in weights)
    header = _FACTS_BYTES * (1 + len(weights)) + names
    return _LENGTH.size + header + sum(weight.size_bytes for weight in weights)


def check_weights(data: bytes, weights: Sequence[Weight]) -> None:
    """Check that a safetensors file holds exactly these tensors, and not one byte more.

    The format: https://huggingface.co/docs/safetensors, "Format".

    Raises:
        ValueError: it holds something else; the text says what.
    """
    header, body = _header(data)
    expected = {weight.name: weight for weight in weights}
    if len(expected) < len(weights) or set(header) != set(expected):
        raise ValueError("it names other tensors than the model has")
    # The places must follow each other without gaps, in the order of the names: bytes between tensors, or
    # another order, could carry data out of the executor.
    begin = 0
    for name, facts in header.items():
        weight = expected[name]
        end = begin + weight.size_bytes
        stated = {
            "dtype": _SAFETENSORS[weight.dtype],
            "shape": list(weight.shape),
            "data_offsets": [begin, end],
        }
        # As text: `True` and 1.0 equal 1 in Python, and another order of the facts is equal, too.
        if _compact(facts) != _compact(stated):
            raise ValueError(f"{name!r} is stored as {facts}, not as {stated}")
        begin = end
    if begin != body:
        raise ValueError(f"{body - begin:,} bytes follow the last tensor")


def _header(data: bytes) -> tuple[dict[str, Any], int]:
    """The header of a safetensors file, and how many bytes follow it."""
    try:
        (length,) = _LENGTH.unpack_from(data)
        raw = data[_LENGTH.size : _LENGTH.size + length]
        header = json.loads(raw)
        compact = _compact(header)
    except (struct.error, ValueError, RecursionError):
        raise ValueError("its header cannot be read") from None
    # The header must be exactly these bytes. Spaces, doubled keys or another form of a number could carry
    # data.
    if not isinstance(header, dict) or raw != compact + b" " * (-len(compact) % _ALIGNMENT):
        raise ValueError("its header holds more than the tensors' names, dtypes, shapes and places")
    return header, len(data) - _LENGTH.size - length


def _compact(value: Any) -> bytes:
    """The one form in which safetensors writes a value of its header."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
