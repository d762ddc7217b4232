"""What an executor hands out as weights is held against the books tensor by tensor, without slack."""

import json
import struct
from typing import Any

import pytest
import safetensors.torch
import torch

from haet_eval.operators.signature import TensorMeta
from haet_eval.remote import wire
from haet_eval.remote.weights import Weight, check_weights, most_bytes, weight_of

DTYPES = [name for name in wire.DTYPES if not name.startswith("complex")]


def stored(tensors: dict[str, torch.Tensor]) -> tuple[bytes, list[Weight]]:
    weights = [
        Weight(name, str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape))
        for name, tensor in tensors.items()
    ]
    return safetensors.torch.save(tensors), weights


def written(header: dict[str, Any] | bytes, body: bytes) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    return struct.pack("<Q", len(raw)) + raw + body


WEIGHTS = [Weight("a", "float32", (2, 1)), Weight("b", "int64", ())]
HEADER: dict[str, Any] = {
    "a": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]},
    "b": {"dtype": "I64", "shape": [], "data_offsets": [8, 16]},
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (3,), (0, 4), (2, 3, 5)])
def test_files_of_safetensors_itself_are_accepted(dtype: str, shape: tuple[int, ...]) -> None:
    data, weights = stored(
        {
            "größe.1": torch.zeros(shape, dtype=getattr(torch, dtype)),
            'with "quotes"\n': torch.zeros(2, dtype=torch.float32),
            **{name: torch.zeros(3, dtype=torch.int16) for name in ("z", "b", "y", "a", "x")},
        }
    )
    check_weights(data, weights)
    assert len(data) <= most_bytes(weights)


def test_model_without_tensors_is_accepted() -> None:
    check_weights(*stored({}))


def test_complex_tensor_is_stored_as_pairs_of_reals() -> None:
    layout = TensorMeta((2, 3), (3, 1), 0, "complex64")
    assert weight_of("w", layout) == Weight("w", "float32", (2, 3, 2))


def test_header_made_by_hand_is_accepted() -> None:
    check_weights(written(HEADER, bytes(16)), WEIGHTS)


def changed(name: str, **facts: Any) -> bytes:
    return written(HEADER | {name: HEADER[name] | facts}, bytes(16))


WRONG = {
    "nothing": b"",
    "no header": struct.pack("<Q", 1 << 60),
    "list": written(b"[]", bytes(16)),
    "number": written(b"7", bytes(16)),
    "deep": written(b"[" * 100_000, bytes(16)),
    "missing": written({"a": HEADER["a"]}, bytes(16)),
    "added": written(HEADER | {"c": HEADER["a"]}, bytes(16)),
    "metadata": written({"__metadata__": {"x": "y"}} | HEADER, bytes(16)),
    "other dtype": changed("a", dtype="I32"),
    "other shape": changed("a", shape=[1, 2]),
    "overlap": changed("b", data_offsets=[0, 8]),
    "gap": written(HEADER | {"b": HEADER["b"] | {"data_offsets": [12, 20]}}, bytes(20)),
    "fact": changed("a", note="x"),
    "float offsets": changed("a", data_offsets=[0.0, 8.0]),
    "true for one": changed("a", data_offsets=[False, 8]),
    "true in a shape": changed("a", shape=[2, True]),
    "float in a shape": changed("a", shape=[2.0, 1]),
    "another order of facts": written(HEADER | {"a": dict(reversed(HEADER["a"].items()))}, bytes(16)),
    "another order of names": written(dict(reversed(HEADER.items())), bytes(16)),
    "byte behind": written(HEADER, bytes(17)),
    "byte short": written(HEADER, bytes(15)),
    "spaces": written(json.dumps(HEADER).encode(), bytes(16)),
    "padding": written(json.dumps(HEADER, separators=(",", ":")).encode() + b" " * 8, bytes(16)),
    "name twice": written(
        json.dumps(HEADER, separators=(",", ":")).replace("{", '{"a":0,', 1).encode(), bytes(16)
    ),
}


@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG)
def test_every_other_file_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        check_weights(data, WEIGHTS)
