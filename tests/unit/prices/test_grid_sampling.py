"""Sampling at positions that are data: every mode and padding."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812

from tests.oracle import grid_sampling as oracle
from tests.oracle.counted import count
from tests.oracle.recording import operations
from tests.unit.prices.shapes import extents, few

aten = torch.ops.aten
MODES, PADDINGS = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")
CASES = [
    (axes, mode, padding)
    for axes, mode, padding in itertools.product((2, 3), MODES, PADDINGS)
    if (axes, mode) != (3, "bicubic")
]


@pytest.mark.parametrize(("axes", "mode", "padding"), CASES)
@few
@given(channels=extents, size=extents, aligned=st.booleans())
def test_sampling(axes: int, mode: str, padding: str, channels: int, size: int, aligned: bool) -> None:
    images = torch.randn(2, channels, *[3] * axes)
    grid = torch.rand(2, *[size] * axes, axes)
    code = MODES.index(mode), PADDINGS.index(padding), aligned

    def location(*, for_input: bool, for_grid: bool) -> int:
        return count(
            lambda tally: oracle.sample_backward(
                oracle.Sampler(tally, axes, channels, mode, padding, aligned),
                for_input=for_input,
                for_grid=for_grid,
            )
        )

    once = count(lambda tally: oracle.sample(oracle.Sampler(tally, axes, channels, mode, padding, aligned)))
    locations = 2 * size**axes
    forward = operations(
        lambda: F.grid_sample(images, grid, mode=mode, padding_mode=padding, align_corners=aligned)
    )
    assert forward == locations * once
    backward = aten.grid_sampler_2d_backward if axes == 2 else aten.grid_sampler_3d_backward
    gradient = torch.ones(2, channels, *[size] * axes)
    for wanted in ([True, True], [False, True], [True, False]):
        found = operations(lambda wanted=wanted: backward(gradient, images, grid, *code, wanted))  # type: ignore[misc]
        assert found == locations * location(for_input=wanted[0], for_grid=wanted[1])


@few
@given(height=extents, width=extents)
def test_an_affine_grid_is_a_product_with_a_matrix(height: int, width: int) -> None:
    theta = torch.randn(2, 2, 3)
    found = operations(lambda: F.affine_grid(theta, [2, 1, height, width], align_corners=False))
    assert found == operations(lambda: torch.ones(2, height * width, 3) @ theta.transpose(1, 2))
