"""The price of an activation and of its backward is what the written-out formula takes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from torch.nn import functional as F  # noqa: N812

from tests.oracle import activations as oracle
from tests.oracle.counted import count, tanh
from tests.oracle.recording import operations
from tests.unit.prices.shapes import few, shapes

aten = torch.ops.aten
Case = tuple[Callable[..., Any], Callable[..., Any]]

FORWARD: dict[str, Case] = {
    "relu": (F.relu, oracle.relu),
    "sigmoid": (torch.sigmoid, oracle.sigmoid),
    "tanh": (torch.tanh, tanh),
    "silu": (F.silu, oracle.silu),
    "gelu": (F.gelu, oracle.gelu),
    "gelu by tanh": (lambda x: F.gelu(x, approximate="tanh"), oracle.gelu_tanh),
    "softplus": (F.softplus, oracle.softplus),
    "softplus beta": (lambda x: F.softplus(x, beta=0.5), lambda x: oracle.softplus(x, 0.5)),
    "mish": (F.mish, oracle.mish),
    "hardsigmoid": (F.hardsigmoid, oracle.hardsigmoid),
    "hardswish": (F.hardswish, oracle.hardswish),
    "hardtanh": (F.hardtanh, oracle.hardtanh),
    "relu6": (F.relu6, oracle.hardtanh),
    "leaky_relu": (F.leaky_relu, oracle.leaky_relu),
    "elu": (F.elu, oracle.elu),
    "elu alpha": (lambda x: F.elu(x, alpha=0.5), lambda x: oracle.elu(x, 0.5)),
    "selu": (F.selu, lambda x: oracle.elu(x, 1.67, 1.05)),
    "celu": (F.celu, oracle.celu),
    "celu alpha": (lambda x: F.celu(x, alpha=0.5), lambda x: oracle.celu(x, 0.5)),
    "logsigmoid": (F.logsigmoid, oracle.log_sigmoid),
    "hardshrink": (F.hardshrink, oracle.hardshrink),
    "softshrink": (F.softshrink, oracle.softshrink),
}

BACKWARD: dict[str, Case] = {
    "relu": (lambda g, x: aten.threshold_backward(g, x, 0), oracle.relu_backward),
    "sigmoid": (aten.sigmoid_backward, oracle.sigmoid_backward),
    "tanh": (aten.tanh_backward, oracle.tanh_backward),
    "silu": (aten.silu_backward, oracle.silu_backward),
    "gelu": (aten.gelu_backward, oracle.gelu_backward),
    "gelu by tanh": (
        lambda g, x: aten.gelu_backward(g, x, approximate="tanh"),
        oracle.gelu_tanh_backward,
    ),
    "softplus": (lambda g, x: aten.softplus_backward(g, x, 1, 20), oracle.softplus_backward),
    "softplus beta": (
        lambda g, x: aten.softplus_backward(g, x, 0.5, 20),
        lambda g, x: oracle.softplus_backward(g, x, 0.5),
    ),
    "mish": (aten.mish_backward, oracle.mish_backward),
    "hardsigmoid": (aten.hardsigmoid_backward, oracle.hardsigmoid_backward),
    "hardswish": (aten.hardswish_backward, oracle.hardswish_backward),
    "hardtanh": (lambda g, x: aten.hardtanh_backward(g, x, -1, 1), oracle.hardtanh_backward),
    "leaky_relu": (
        lambda g, x: aten.leaky_relu_backward(g, x, 0.01, False),
        oracle.leaky_relu_backward,
    ),
    "logsigmoid": (lambda g, x: aten.log_sigmoid_backward(g, x, x), oracle.log_sigmoid_backward),
    "elu": (lambda g, x: aten.elu_backward(g, 1, 1, 1, False, x), oracle.elu_backward),
    "elu alpha": (
        lambda g, x: aten.elu_backward(g, 0.5, 1, 1, False, x),
        lambda g, x: oracle.elu_backward(g, x, 0.5),
    ),
    "selu": (
        lambda g, x: aten.elu_backward(g, 1.67, 1.05, 1, False, x),
        lambda g, x: oracle.elu_backward(g, x, 1.67, 1.05),
    ),
    "elu in place": (
        lambda g, y: aten.elu_backward(g, 1, 1, 1, True, y),
        oracle.elu_backward_of_result,
    ),
    "logit": (aten.logit_backward, oracle.logit_backward),
}


@pytest.mark.parametrize("name", FORWARD)
@few
@given(shape=shapes())
def test_forward(name: str, shape: tuple[int, ...]) -> None:
    program, function = FORWARD[name]
    x = torch.rand(shape)
    each = count(lambda tally: function(tally.scalar()))
    assert operations(lambda: program(x)) == x.numel() * each


@pytest.mark.parametrize("name", BACKWARD)
@few
@given(shape=shapes())
def test_backward(name: str, shape: tuple[int, ...]) -> None:
    program, function = BACKWARD[name]
    g, x = torch.rand(shape), torch.rand(shape)
    each = count(lambda tally: function(tally.scalar(), tally.scalar()))
    assert operations(lambda: program(g, x)) == x.numel() * each


@few
@given(shape=shapes(least=1))
def test_glu(shape: tuple[int, ...]) -> None:
    a = torch.rand(shape)
    x = torch.cat([a, a], dim=-1)
    forward = count(lambda tally: oracle.glu(tally.scalar(), tally.scalar()))
    backward = count(lambda tally: oracle.glu_backward(*(tally.scalar() for _ in range(3))))
    assert operations(lambda: F.glu(x)) == a.numel() * forward
    assert operations(lambda: aten.glu_backward(a, x, -1)) == a.numel() * backward


@few
@given(shape=shapes(least=2))
def test_prelu(shape: tuple[int, ...]) -> None:
    x, slope = torch.rand(shape), torch.rand(shape)
    forward = count(lambda tally: oracle.prelu(tally.scalar(), tally.scalar()))
    backward = count(lambda tally: oracle.prelu_backward(*(tally.scalar() for _ in range(3))))
    assert operations(lambda: aten._prelu_kernel(x, slope)) == x.numel() * forward
    assert operations(lambda: aten._prelu_kernel_backward(x, x, slope)) == x.numel() * backward


def test_figures_of_the_standard() -> None:
    x = torch.rand(10)
    figures = {F.silu: 50, F.gelu: 50, torch.sigmoid: 40, F.hardswish: 50, F.softplus: 30}
    for function, expected in figures.items():
        assert operations(lambda function=function: function(x)) == expected  # type: ignore[misc]
