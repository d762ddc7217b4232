import hashlib
import math

import pytest
import safetensors.torch
import torch

from haet_eval.record import Artifact
from haet_eval.verification.machine import compare_weights
from haet_eval.verification.weights import relative_distance

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8]


def stored(**tensors: torch.Tensor) -> bytes:
    return safetensors.torch.save(tensors)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_distance_is_a_fraction_of_the_norm(dtype: torch.dtype) -> None:
    first = stored(a=torch.tensor([3, 0], dtype=dtype), b=torch.tensor(4, dtype=dtype))
    second = stored(a=torch.tensor([3, 0], dtype=dtype), b=torch.tensor(5, dtype=dtype))
    assert relative_distance(first, first) == 0
    assert relative_distance(first, second) == pytest.approx(1 / 5)


def test_other_names_shapes_or_dtypes_have_no_distance() -> None:
    first = stored(a=torch.zeros(2))
    for other in (stored(b=torch.zeros(2)), stored(a=torch.zeros(1, 2)), stored(a=torch.zeros(2).double())):
        assert relative_distance(first, other) is None


def test_weights_that_are_all_zero_have_an_absolute_distance() -> None:
    assert relative_distance(stored(a=torch.zeros(2)), stored(a=torch.ones(2))) == pytest.approx(2**0.5)


def test_a_file_that_is_not_safetensors_is_rejected() -> None:
    with pytest.raises(ValueError, match="no safetensors"):
        relative_distance(b"weights", stored(a=torch.zeros(2)))


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
    assert relative_distance(first, second) >= 1  # type: ignore[operator]
    assert compare_weights(stated, first, second, ["another processor"]).result != "holds"
    assert compare_weights(stated, first, second, []).result == "differs"
    assert compare_weights(stated, first, first, []).result == "holds"


@pytest.mark.parametrize("number", [torch.inf, -torch.inf, torch.nan])
def test_a_number_that_is_finite_in_one_file_only_is_infinitely_far(number: float) -> None:
    first, second = stored(a=torch.tensor([3.0, number])), stored(a=torch.tensor([3.0, 1.0]))
    assert relative_distance(first, second) == relative_distance(second, first) == math.inf
    assert relative_distance(first, first) == 0
