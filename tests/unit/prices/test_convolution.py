"""Convolutions: forward, transposed and backward against the written-out sums."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812

from haet_eval.operators.pricing.evaluate import price_of
from haet_eval.operators.signature import Signature
from tests.oracle import convolution as oracle
from tests.oracle.convolution import Geometry
from tests.oracle.counted import count
from tests.oracle.recording import operations, record

aten = torch.ops.aten
CONVOLUTIONS: tuple[Callable[..., torch.Tensor], ...] = (F.conv1d, F.conv2d, F.conv3d)


@st.composite
def geometries(draw: st.DrawFn, dimensions: int) -> Geometry:
    def axis(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(dimensions))

    groups = draw(st.integers(1, 2))
    geometry = Geometry(
        samples=draw(st.integers(1, 2)),
        channels_in=groups * draw(st.integers(1, 2)),
        channels_out=groups * draw(st.integers(1, 2)),
        groups=groups,
        size=axis(1, 5 if dimensions < 3 else 3),
        kernel=axis(1, 3 if dimensions < 3 else 2),
        stride=axis(1, 3),
        padding=axis(0, 1),
        dilation=axis(1, 2),
    )
    assume(all(window >= 1 for window in geometry.windows))
    return geometry


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("biased", [False, True])
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_forward(dimensions: int, biased: bool, data: st.DataObject) -> None:
    geometry = data.draw(geometries(dimensions))
    x, w = torch.rand(geometry.data), torch.rand(geometry.weight)
    bias = torch.rand(geometry.channels_out) if biased else None
    expected = count(lambda tally: oracle.convolution(tally, geometry, bias=biased))
    assert operations(lambda: aten.convolution(x, w, bias, *arguments(geometry))) == expected
    convolve = CONVOLUTIONS[dimensions - 1]
    spatial = (geometry.stride, geometry.padding, geometry.dilation, geometry.groups)
    assert operations(lambda: convolve(x, w, bias, *spatial)) == expected


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_backward(dimensions: int, data: st.DataObject) -> None:
    geometry = data.draw(geometries(dimensions))
    g, x, w = torch.rand(geometry.result), torch.rand(geometry.data), torch.rand(geometry.weight)
    parts = (oracle.input_gradient, oracle.weight_gradient, oracle.bias_gradient)
    for flags in ([True, False, False], [False, True, False], [False, False, True], [True, True, True]):
        expected = sum(
            count(lambda tally, part=part: part(tally, geometry))  # type: ignore[misc]
            for part, wanted in zip(parts, flags, strict=True)
            if wanted
        )

        def program(flags: list[bool] = flags) -> Any:
            return aten.convolution_backward(
                g, x, w, [geometry.channels_out], *arguments(geometry), output_mask=flags
            )

        assert operations(program) == expected


@settings(max_examples=10, deadline=None)
@given(geometry=geometries(2))
def test_transposed_is_the_gradient_of_the_input(geometry: Geometry) -> None:
    g, w = torch.rand(geometry.result), torch.rand(geometry.weight)
    window = aten.convolution(torch.empty(geometry.data), w, None, *arguments(geometry)).shape[2:]
    reached = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + 1
        for n, s, p, d, k in zip(
            window, geometry.stride, geometry.padding, geometry.dilation, geometry.kernel, strict=True
        )
    )
    left_over = [size - r for size, r in zip(geometry.size, reached, strict=True)]
    assume(all(r >= 1 for r in reached))
    expected = count(lambda tally: oracle.input_gradient(tally, geometry))
    transposed = (geometry.stride, geometry.padding, geometry.dilation, True, left_over, geometry.groups)
    assume(all(o < max(s, d) for o, s, d in zip(left_over, geometry.stride, geometry.dilation, strict=True)))
    assert operations(lambda: aten.convolution(g, w, None, *transposed)) == expected


def test_backward_of_a_transposed_convolution() -> None:
    """Its gradients are a convolution of the incoming gradient and two sums like those of any other."""
    x, w = torch.rand(2, 4, 5, 5), torch.rand(4, 3, 3, 3)
    y = F.conv_transpose2d(x, w, padding=1)
    products = x.numel() * 3 * 9

    def program() -> Any:
        geometry = ([1, 1], [1, 1], [1, 1], True, [0, 0], 1)
        return aten.convolution_backward(y, x, w, [3], *geometry, [True, True, True])

    assert operations(program) == ((2 * products - x.numel()) + (2 * products - w.numel()) + (y.numel() - 3))


def test_one_by_one_with_stride_reaches_only_every_other_pixel() -> None:
    x, w = torch.rand(1, 8, 6, 6), torch.rand(16, 8, 1, 1)
    g = torch.rand(1, 16, 3, 3)
    geometry = ([2, 2], [0, 0], [1, 1], False, [0, 0], 1)
    program = operations(lambda: aten.convolution_backward(g, x, w, None, *geometry, [True, False, False]))
    assert program == 2 * (16 * 9 * 8) - 8 * 9


def test_padding_is_dense() -> None:
    x, w = torch.rand(1, 3, 8, 8), torch.rand(4, 3, 3, 3)
    larger = torch.rand(1, 3, 10, 10)
    assert operations(lambda: F.conv2d(x, w, padding=1)) == operations(lambda: F.conv2d(larger, w))


def test_the_three_operations_of_the_rules() -> None:
    x, w, b = torch.rand(1, 1, 1, 1), torch.rand(1, 1, 1, 1), torch.rand(1)
    assert operations(lambda: F.relu(F.conv2d(x, w, b))) == 3


def arguments(geometry: Geometry) -> tuple[Any, ...]:
    """The arguments of aten::convolution after the tensors."""
    zeros = [0] * len(geometry.size)
    return (geometry.stride, geometry.padding, geometry.dilation, False, zeros, geometry.groups)


BACKENDS: dict[str, Callable[..., torch.Tensor]] = {
    "slow": lambda x, w, b: aten._slow_conv2d_forward(x, w, [3, 3], b, [2, 2], [1, 1]),
    "slow dilated": lambda x, w, b: aten.slow_conv_dilated2d(x, w, [3, 3], b, [2, 2], [1, 1]),
    "mkldnn": lambda x, w, b: aten.mkldnn_convolution(x, w, b, [1, 1], [2, 2], [1, 1], 1),
    "overrideable": lambda x, w, b: aten._convolution(
        x, w, b, [2, 2], [1, 1], [1, 1], False, [0, 0], 1, False, False, False, False
    ),
}


@pytest.mark.parametrize("name", BACKENDS)
def test_every_backend_costs_the_same(name: str) -> None:
    x, w, b = torch.rand(2, 3, 8, 8), torch.rand(5, 3, 3, 3), torch.rand(5)
    expected = operations(lambda: F.conv2d(x, w, b, 2, 1))
    assert operations(lambda: BACKENDS[name](x, w, b)) == expected


def test_backends_of_other_devices_cost_the_same() -> None:
    """torch has no kernels for these here: the signature is made from that of the convolution."""
    x, w = torch.rand(2, 4, 8, 8), torch.rand(6, 2, 3, 3)
    (called,) = record(lambda: F.conv2d(x, w, None, 2, 1, 1, 2))
    for backend in ("cudnn_convolution", "miopen_convolution"):
        arguments = {**called.arguments, "self": called["input"]}
        signature = Signature(f"aten.{backend}.default", arguments, called.outputs)
        assert price_of(signature) == price_of(called)
    fused = replace(called, operator="aten.cudnn_convolution_relu.default")
    assert price_of(fused) == (price_of(called) or 0) + called.out.numel


def test_the_slow_transposed_convolution() -> None:
    x, w, b = torch.rand(2, 4, 5, 5), torch.rand(4, 3, 3, 3), torch.rand(3)
    expected = operations(lambda: F.conv_transpose2d(x, w, b, 2, 1))
    assert operations(lambda: aten.slow_conv_transpose2d(x, w, [3, 3], b, [2, 2], [1, 1])) == expected


def test_time_batch_channel() -> None:
    x, w, b = torch.rand(7, 2, 3), torch.rand(3, 3, 5), torch.rand(5)
    same = operations(lambda: F.conv1d(x.permute(1, 2, 0), w.permute(2, 1, 0), b))
    assert operations(lambda: torch.conv_tbc(x, w, b)) == same
