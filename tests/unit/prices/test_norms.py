"""Normalisations and dropout against their definitions."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given
from torch.nn import functional as F  # noqa: N812

from haet_eval.operators.pricing.evaluate import price_of
from tests.oracle import norms as oracle
from tests.oracle.counted import Tally, count, total
from tests.oracle.recording import operations, record
from tests.unit.prices.shapes import extents, few

aten = torch.ops.aten
MASKS = tuple(product([False, True], repeat=3))


def rows(tally: Tally, number: int, length: int) -> list[list[Any]]:
    return [tally.tensor([length]) for _ in range(number)]


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("running", [False, True])
@few
@given(samples=extents, channels=extents, size=extents)
def test_batch_norm_in_training(running: bool, affine: bool, samples: int, channels: int, size: int) -> None:
    x = torch.rand(samples, channels, size)
    weight = bias = torch.rand(channels) if affine else None
    statistics = torch.rand(channels) if running else None

    def textbook(tally: Tally) -> None:
        for channel in rows(tally, channels, samples * size):
            parameter = [tally.scalar()] * len(channel) if affine else None
            mean, variance = oracle.normalise(channel, parameter, parameter)
            if running:
                oracle.update_running(tally, mean, variance, len(channel))

    assert operations(
        lambda: aten.native_batch_norm(x, weight, bias, statistics, statistics, True, 0.1, 1e-5)
    ) == count(textbook)


@pytest.mark.parametrize("affine", [False, True])
@few
@given(samples=extents, channels=extents, size=extents)
def test_batch_norm_in_evaluation(affine: bool, samples: int, channels: int, size: int) -> None:
    x, statistics = torch.rand(samples, channels, size), torch.rand(channels)
    weight = bias = torch.rand(channels) if affine else None

    def textbook(tally: Tally) -> None:
        for channel in rows(tally, channels, samples * size):
            parameter = [tally.scalar()] * len(channel) if affine else None
            oracle.normalise_with_running(tally, channel, parameter, parameter)

    assert operations(lambda: F.batch_norm(x, statistics, statistics, weight, bias)) == count(textbook)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("affine", [False, True])
@few
@given(samples=extents, channels=extents, size=extents)
def test_batch_norm_backward(training: bool, affine: bool, samples: int, channels: int, size: int) -> None:
    x, g = torch.rand(samples, channels, size), torch.rand(samples, channels, size)
    statistics = torch.rand(channels)
    weight = torch.rand(channels) if affine else None
    for mask in MASKS:

        def textbook(tally: Tally, mask: tuple[bool, ...] = mask) -> None:
            for _ in range(channels):
                values = tally.tensor([samples * size]), tally.tensor([samples * size])
                gamma = tally.scalar() if affine else None
                oracle.batch_norm_backward(tally, *values, gamma, mask=mask, training=training)

        def program(mask: tuple[bool, ...] = mask) -> Any:
            kept = (statistics, statistics, statistics, statistics)
            return aten.native_batch_norm_backward(g, x, weight, *kept, training, 1e-5, mask)

        assert operations(program) == count(textbook)


@pytest.mark.parametrize("affine", [False, True])
@few
@given(samples=extents, length=extents)
def test_layer_norm(affine: bool, samples: int, length: int) -> None:
    x = torch.rand(samples, length)
    weight = bias = torch.rand(length) if affine else None

    def textbook(tally: Tally) -> None:
        parameter = tally.tensor([length]) if affine else None
        for row in rows(tally, samples, length):
            oracle.normalise(row, parameter, parameter)

    assert operations(lambda: F.layer_norm(x, (length,), weight, bias)) == count(textbook)


@pytest.mark.parametrize("affine", [False, True])
@few
@given(samples=extents, length=extents)
def test_layer_norm_backward(affine: bool, samples: int, length: int) -> None:
    x, g = torch.rand(samples, length), torch.rand(samples, length)
    statistics = torch.rand(samples, 1)
    weight = torch.rand(length) if affine else None
    for mask in MASKS if affine else ((True, False, False),):

        def textbook(tally: Tally, mask: tuple[bool, ...] = mask) -> None:
            values = rows(tally, samples, length), rows(tally, samples, length)
            places = list(range(length)) * samples
            oracle.group_backward(tally, *values, places, weighted=affine, mask=mask)

        def program(mask: tuple[bool, ...] = mask) -> Any:
            parameters = (weight, weight)
            return aten.native_layer_norm_backward(g, x, [length], statistics, statistics, *parameters, mask)

        assert operations(program) == count(textbook)


@pytest.mark.parametrize("affine", [False, True])
@few
@given(samples=extents, groups=extents, width=extents, size=extents)
def test_group_norm(affine: bool, samples: int, groups: int, width: int, size: int) -> None:
    channels = groups * width
    x = torch.rand(samples, channels, size, requires_grad=True)
    weight = torch.rand(channels, requires_grad=True) if affine else None
    bias = torch.rand(channels, requires_grad=True) if affine else None
    length = width * size

    def forward(tally: Tally) -> None:
        for group in rows(tally, samples * groups, length):
            parameter = tally.tensor([length]) if affine else None
            oracle.normalise(group, parameter, parameter)

    assert operations(lambda: torch.group_norm(x, groups, weight, bias)) == count(forward)
    places = [channel for channel in range(channels) for _ in range(size)] * samples

    def backward(tally: Tally) -> None:
        values = rows(tally, samples * groups, length), rows(tally, samples * groups, length)
        oracle.group_backward(tally, *values, places, weighted=affine, mask=(True, affine, affine))

    y = torch.group_norm(x, groups, weight, bias)
    g = torch.rand_like(y)
    assert operations(lambda: torch.autograd.backward(y, g)) == count(backward)


@few
@given(samples=extents, length=extents)
def test_rms_norm(samples: int, length: int) -> None:
    x = torch.rand(samples, length)
    weight = torch.rand(length)

    def forward(tally: Tally) -> None:
        gamma = tally.tensor([length])
        for row in rows(tally, samples, length):
            oracle.rms_normalise(row, gamma)

    assert operations(lambda: F.rms_norm(x, (length,), weight, 1e-5)) == count(forward)

    def backward(tally: Tally) -> None:
        gamma = tally.tensor([length])
        pairs = zip(rows(tally, samples, length), rows(tally, samples, length), strict=True)
        terms = [oracle.rms_backward(tally, g, data, gamma) for g, data in pairs]
        for column in zip(*terms, strict=True):
            total(column)

    # The operator has no kernel for the CPU; its signature is the same without data.
    inputs = [tensor.to("meta") for tensor in (x, x, torch.rand(samples, 1), weight)]
    assert operations(
        lambda: aten._fused_rms_norm_backward(*inputs[:2], [length], *inputs[2:], [True, True])
    ) == count(backward)


@few
@given(out=extents, length=extents)
def test_weight_norm(out: int, length: int) -> None:
    v, g = torch.rand(out, length), torch.rand(out, 1)

    def forward(tally: Tally) -> None:
        for row in rows(tally, out, length):
            oracle.weight_norm(row, tally.scalar())

    def backward(tally: Tally) -> None:
        for gradient, row in zip(rows(tally, out, length), rows(tally, out, length), strict=True):
            oracle.weight_norm_backward(tally, gradient, row, tally.scalar())

    norms = torch.rand(out, 1)
    assert operations(lambda: aten._weight_norm_interface(v, g)) == count(forward)
    assert operations(lambda: aten._weight_norm_interface_backward(v, v, g, norms, 0)) == count(backward)


def test_the_figures_of_the_standard() -> None:
    x, weight = torch.rand(8, 4, 5), torch.rand(4)
    inputs = x.numel()
    assert operations(lambda: F.batch_norm(x, None, None, weight, weight, True)) == 7 * inputs + 2 * 4
    running = lambda: F.batch_norm(x, weight, weight, weight, weight, True)  # noqa: E731
    assert operations(running) == 7 * inputs + 8 * 4
    assert operations(lambda: F.batch_norm(x, weight, weight, weight, weight)) == 4 * inputs + 2 * 4
    mask = [True, True, True]
    kept = (weight, None, None, weight, weight)
    backward = lambda: aten.native_batch_norm_backward(x, x, *kept, True, 1e-5, mask)  # noqa: E731
    assert operations(backward) == 9 * inputs + 4


@few
@given(samples=extents, length=extents)
def test_dropout_fused_and_in_parts(samples: int, length: int) -> None:
    x = torch.rand(samples, length, requires_grad=True)
    elements = samples * length
    assert operations(lambda: aten.native_dropout(x.detach(), 0.5, True)) == 3 * elements
    assert operations(lambda: aten.native_dropout(x.detach(), 0.5, False)) == 0
    mask = torch.ones(samples, length, dtype=torch.bool)
    for scale, each in ((2.0, 2), (1.0, 1)):
        found = operations(lambda scale=scale: aten.native_dropout_backward(x.detach(), mask, scale))  # type: ignore[misc]
        assert found == each * elements == operations(lambda: x.detach() * mask) * each


def test_what_runs_is_the_fused_operator() -> None:
    names = {s.operator for s in record(lambda: F.group_norm(torch.rand(2, 4, 3), 2))}
    assert "aten.native_group_norm.default" in names


def test_every_batch_norm_costs_the_same() -> None:
    """Those of other devices have no kernel here: their signatures are made from the native one."""
    x, c = torch.rand(8, 4, 5), torch.rand(4)
    (native,) = record(lambda: aten.native_batch_norm(x, c, c, c, c, True, 0.1, 1e-5))
    for operator in ("cudnn_batch_norm", "miopen_batch_norm", "_batch_norm_with_update"):
        assert price_of(replace(native, operator=f"aten.{operator}.default")) == price_of(native)
    legit = operations(lambda: aten._native_batch_norm_legit(x, c, c, c, c, True, 0.1, 1e-5))
    functional = operations(lambda: aten._native_batch_norm_legit_functional(x, c, c, c, c, True, 0.1, 1e-5))
    assert legit == functional == price_of(native)
    (evaluated,) = record(lambda: aten.native_batch_norm(x, c, c, c, c, False, 0.1, 1e-5))
    no_training = operations(lambda: aten._native_batch_norm_legit_no_training(x, c, c, c, c, 0.1, 1e-5))
    assert no_training == price_of(evaluated)
    arguments = (x, x, c, c, c, c, c, True, 1e-5, [True, True, True])
    (backward,) = record(lambda: aten.native_batch_norm_backward(*arguments))
    for operator in ("cudnn_batch_norm_backward", "miopen_batch_norm_backward"):
        assert price_of(replace(backward, operator=f"aten.{operator}.default")) == price_of(backward)
