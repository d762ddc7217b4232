"""Resizing by fixed positions."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812

from haet_eval.operators.interpolation import BLEND_OPERATIONS, SPREAD_OPERATIONS
from tests.oracle import interpolation as oracle
from tests.oracle.counted import count
from tests.oracle.recording import operations
from tests.unit.prices.shapes import extents, few

METHODS = {"linear": (1, 2), "bilinear": (2, 2), "trilinear": (3, 2), "bicubic": (2, 4)}
sizes = st.integers(1, 6)


@pytest.mark.parametrize("method", METHODS)
@few
@given(channels=extents, length=sizes, resized=sizes)
def test_a_blend_and_its_transpose(method: str, channels: int, length: int, resized: int) -> None:
    axes, taps = METHODS[method]
    images = torch.randn(1, channels, *[length] * axes, requires_grad=True)

    def resize() -> torch.Tensor:
        return F.interpolate(images, [resized] * axes, mode=method, align_corners=False)

    outputs = channels * resized**axes
    assert operations(resize) == outputs * count(lambda tally: oracle.blend(tally, axes, taps))
    gradient = torch.ones(1, channels, *[resized] * axes)
    found = operations(lambda: torch.autograd.grad(resize(), images, gradient)) - operations(resize)
    assert found == outputs * count(lambda tally: oracle.spread(tally.scalar(), axes, taps))


def test_the_standard_says_about_nine_for_bilinear() -> None:
    assert BLEND_OPERATIONS["bilinear2d"] == 9
    assert SPREAD_OPERATIONS["bilinear2d"] == 10


@pytest.mark.parametrize("method", ["nearest", "nearest-exact"])
@few
@given(channels=extents, length=sizes, resized=sizes)
def test_nearest_copies_and_its_backward_adds(method: str, channels: int, length: int, resized: int) -> None:
    images = torch.randn(1, channels, length, length, requires_grad=True)

    def resize() -> torch.Tensor:
        return F.interpolate(images, [resized, resized], mode=method)

    gradient = torch.ones(1, channels, resized, resized)
    assert operations(resize) == 0
    assert operations(lambda: torch.autograd.grad(resize(), images, gradient)) == gradient.numel()


@pytest.mark.parametrize(("method", "support"), [("bilinear", 1), ("bicubic", 2)])
@few
@given(height=sizes, width=sizes, resized=st.tuples(sizes, sizes))
def test_antialiasing_widens_the_window(
    method: str, support: int, height: int, width: int, resized: tuple[int, int]
) -> None:
    images = torch.randn(1, 1, height, width, requires_grad=True)
    down, across = (
        max(2 * support, -(-2 * support * length // size))
        for length, size in zip((height, width), resized, strict=True)
    )
    plane, taps = (height, width), (across, down)

    def resize() -> torch.Tensor:
        return F.interpolate(images, resized, mode=method, antialias=True)

    forward = count(lambda tally: oracle.resize_in_two_passes(tally, plane, resized, taps))
    backward = count(lambda tally: oracle.resize_in_two_passes_backward(tally, plane, resized, taps))
    gradient = torch.ones(1, 1, *resized)
    assert operations(resize) == forward
    assert operations(lambda: torch.autograd.grad(resize(), images, gradient)) == forward + backward
