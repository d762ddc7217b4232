"""Pooling, with and without fixed windows."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812

from tests.oracle import pooling as oracle
from tests.oracle.counted import count
from tests.oracle.recording import operations
from tests.unit.prices.shapes import extents, few

aten = torch.ops.aten
kernels = st.integers(1, 3)
lengths = st.integers(3, 6)


def backward_operations(out: torch.Tensor) -> int:
    return operations(lambda: out.backward(torch.ones_like(out))) - operations(lambda: torch.ones_like(out))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@few
@given(channels=extents, kernel=kernels, length=lengths)
def test_max_pool(dimensions: int, channels: int, kernel: int, length: int) -> None:
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[dimensions - 1]
    images = torch.randn(2, channels, *[length] * dimensions, requires_grad=True)
    out = pool(images, kernel)
    windows = [[0] * kernel**dimensions] * out.numel()
    assert operations(lambda: pool(images, kernel)) == count(lambda tally: oracle.maxima(tally, windows))
    assert backward_operations(out) == count(lambda tally: oracle.maxima_backward(tally, out.numel()))


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "each"),
    [(2, 2, 1, 1), (1, 1, 1, 1), (2, 3, 1, 1), (3, 2, 1, 2), (2, 1, 2, 2), (2, 2, 3, 1), (2, 4, 3, 1)],
)
def test_the_backward_of_overlapping_maxima_adds(kernel: int, stride: int, dilation: int, each: int) -> None:
    """Windows that share elements cost what `scatter_add` costs, others what `scatter` does."""
    images = torch.randn(1, 2, 12, 12, requires_grad=True)
    out = F.max_pool2d(images, kernel, stride, dilation=dilation)
    assert backward_operations(out) == each * out.numel()


@pytest.mark.parametrize(("outputs", "each"), [(1, 1), (3, 1), (6, 1), (4, 2), (5, 2)])
def test_the_backward_of_adaptive_maxima_adds_if_they_overlap(outputs: int, each: int) -> None:
    images = torch.randn(1, 2, 6, 6, requires_grad=True)
    out = F.adaptive_max_pool2d(images, outputs)
    assert backward_operations(out) == each * out.numel()


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@few
@given(channels=extents, kernel=kernels, length=lengths)
def test_avg_pool(dimensions: int, channels: int, kernel: int, length: int) -> None:
    pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[dimensions - 1]
    images = torch.randn(2, channels, *[length] * dimensions, requires_grad=True)
    out = pool(images, kernel)
    windows = [[0] * kernel**dimensions] * out.numel()
    assert operations(lambda: pool(images, kernel)) == count(lambda tally: oracle.averages(tally, windows))
    assert backward_operations(out) == count(lambda tally: oracle.averages_backward(tally, windows))


@few
@given(length=lengths, padding=st.integers(0, 1))
def test_padding_is_dense_and_a_divisor_of_one_is_free(length: int, padding: int) -> None:
    images = torch.randn(1, 1, length, length)
    out = F.avg_pool2d(images, 3, 1, padding, divisor_override=1)
    windows = [[0] * 9] * out.numel()
    found = operations(lambda: F.avg_pool2d(images, 3, 1, padding, divisor_override=1))
    assert found == count(lambda tally: oracle.sums(tally, windows))


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@few
@given(channels=extents, length=lengths, outputs=extents)
def test_adaptive_pooling(dimensions: int, channels: int, length: int, outputs: int) -> None:
    lengths_of, counts = [length] * dimensions, [outputs + 1] * dimensions
    images = torch.randn(1, channels, *lengths_of, requires_grad=True)
    windows = oracle.adaptive_windows(lengths_of, counts) * channels
    largest: Any = (F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d)[dimensions - 1]
    average: Any = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[dimensions - 1]
    found = operations(lambda: largest(images, counts))
    assert found == count(lambda tally: oracle.maxima(tally, windows))
    found = operations(lambda: average(images, counts))
    assert found == count(lambda tally: oracle.averages(tally, windows))
    found = backward_operations(average(images, counts))
    assert found == count(lambda tally: oracle.averages_backward(tally, windows))


@pytest.mark.parametrize("dimensions", [2, 3])
@few
@given(channels=extents, outputs=st.integers(1, 3), kernel=st.integers(1, 2))
def test_fractional_max_pool(dimensions: int, channels: int, outputs: int, kernel: int) -> None:
    images = torch.randn(2, channels, *[6] * dimensions)
    samples = torch.rand(2, channels, dimensions)
    pool = aten.fractional_max_pool2d if dimensions == 2 else aten.fractional_max_pool3d
    found = operations(lambda: pool(images, [kernel] * dimensions, [outputs] * dimensions, samples))
    plane = count(lambda tally: oracle.fractional_maxima(tally, [outputs] * dimensions, kernel**dimensions))
    assert found == 2 * channels * plane


@few
@given(channels=extents, length=lengths)
def test_unpooling_writes_each_input(channels: int, length: int) -> None:
    pooled, places = F.max_pool2d(torch.randn(1, channels, length, length), 2, return_indices=True)
    found = operations(lambda: F.max_unpool2d(pooled, places, [2, 2], output_size=(length, length)))
    assert found == count(lambda tally: oracle.maxima_backward(tally, pooled.numel()))
