import hashlib
import math
from pathlib import Path

import pytest
import safetensors.torch
import torch

from haet_eval.record import Artifact
from haet_eval.remote.weights import MAX_WEIGHTS_BYTES
from haet_eval.store import Store
from haet_eval.verification.evidence import Evidence, Sources
from haet_eval.verification.machine import compare_weights
from haet_eval.verification.weights import read_weights, relative_distance
from tests.fixtures.records import make_record

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8]


def stored(**tensors: torch.Tensor) -> bytes:
    return safetensors.torch.save(tensors)


def distance(first: bytes, second: bytes) -> float | None:
    return relative_distance(read_weights(first), read_weights(second))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_distance_is_a_fraction_of_the_norm(dtype: torch.dtype) -> None:
    first = stored(a=torch.tensor([3, 0], dtype=dtype), b=torch.tensor(4, dtype=dtype))
    second = stored(a=torch.tensor([3, 0], dtype=dtype), b=torch.tensor(5, dtype=dtype))
    assert distance(first, first) == 0
    assert distance(first, second) == pytest.approx(1 / 5)


def test_other_names_shapes_or_dtypes_have_no_distance() -> None:
    first = stored(a=torch.zeros(2))
    for other in (stored(b=torch.zeros(2)), stored(a=torch.zeros(1, 2)), stored(a=torch.zeros(2).double())):
        assert distance(first, other) is None


def test_weights_that_are_all_zero_have_an_absolute_distance() -> None:
    assert distance(stored(a=torch.zeros(2)), stored(a=torch.ones(2))) == pytest.approx(2**0.5)


def test_a_file_that_is_not_safetensors_is_rejected() -> None:
    with pytest.raises(ValueError, match="no safetensors"):
        read_weights(b"weights")


STRANGE = {
    "infinity": (torch.inf, torch.float32),
    "minus infinity": (-torch.inf, torch.bfloat16),
    "NaN": (torch.nan, torch.float32),
    "a number whose square overflows": (1e200, torch.float64),
}


@pytest.mark.parametrize("name", STRANGE)
def test_other_weights_beside_a_number_without_a_square_do_not_hold(name: str) -> None:
    number, dtype = STRANGE[name]
    first, second = (stored(a=torch.tensor([number, value], dtype=dtype)) for value in (1.0, 2.0))
    stated = Artifact(sha256=hashlib.sha256(first).hexdigest(), bytes=len(first))
    assert distance(first, second) >= 1  # type: ignore[operator]
    assert compare_weights(stated, first, second, ["another processor"]).result != "holds"
    assert compare_weights(stated, first, second, []).result == "differs"
    assert compare_weights(stated, first, first, []).result == "holds"


@pytest.mark.parametrize("number", [torch.inf, -torch.inf, torch.nan])
def test_a_number_that_is_finite_in_one_file_only_is_infinitely_far(number: float) -> None:
    first, second = stored(a=torch.tensor([3.0, number])), stored(a=torch.tensor([3.0, 1.0]))
    assert distance(first, second) == distance(second, first) == math.inf
    assert distance(first, first) == 0


GOOD, OTHER = stored(a=torch.zeros(2)), stored(a=torch.ones(2))
FLOAT8, OTHER8 = (stored(a=torch.tensor([number]).to(torch.float8_e4m3fn)) for number in (1.0, 2.0))


@pytest.mark.parametrize(
    ("before", "now", "result", "said"),
    [
        (b"nonsense", GOOD, "differs", "the stored ones are no safetensors"),
        (GOOD, b"nonsense", "not checked", "those of this run are no safetensors"),
        (None, GOOD, "not checked", "other ones"),
        (FLOAT8, OTHER8, "not checked", "other ones"),
    ],
    ids=["nonsense stored", "nonsense found", "nothing stored", "unknown dtype"],
)
def test_on_another_machine_only_the_stored_weights_can_contradict(
    before: bytes | None, now: bytes, result: str, said: str
) -> None:
    stated = Artifact(sha256=hashlib.sha256(before or OTHER).hexdigest(), bytes=1)
    found = compare_weights(stated, before, now, ["another processor"])
    assert (found.result, said in found.detail) == (result, True), found
    assert compare_weights(stated, before, now, []).result == "differs"


def test_weights_that_no_executor_returns_are_not_read(tmp_path: Path) -> None:
    """The file is full of holes, and takes no room here."""
    store = Store(tmp_path)
    made = make_record()
    assert made.training is not None
    assert made.training.model is not None
    store.artifacts.mkdir()
    with (store.artifacts / f"{made.training.model.sha256}.safetensors").open("wb") as file:
        file.truncate(MAX_WEIGHTS_BYTES + 1)
    checks = Evidence().gather(made, Sources(store, tmp_path))
    (found,) = [one for one in checks if one.subject == "weights"]
    assert "it is larger than" in found.detail
