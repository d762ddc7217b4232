"""The price of an elementwise operator is what its function takes, for each element."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given

from tests.oracle import pointwise as oracle
from tests.oracle.complex_numbers import Complex
from tests.oracle.counted import Tally, atan2, choose, cos, count, exp, log, sin, sqrt, where
from tests.oracle.recording import operations
from tests.unit.prices.shapes import few, shapes

aten = torch.ops.aten
Case = tuple[Callable[..., Any], Callable[..., Any]]

UNARY: dict[str, Case] = {
    "neg": (torch.neg, lambda x: -x),
    "abs": (torch.abs, abs),
    "exp": (torch.exp, exp),
    "log in place": (torch.log_, log),
    "sqrt": (torch.sqrt, sqrt),
    "square": (torch.square, lambda x: x**2),
    "reciprocal": (torch.reciprocal, lambda x: 1 / x),
    "scalar times": (lambda x: x * 2.5, lambda x: x * 2.5),
    "scalar minus": (lambda x: 2.5 - x, lambda x: 2.5 - x),
    "divided by scalar": (lambda x: x / 3, lambda x: x / 3),
    "compare": (lambda x: x > 0.5, lambda x: x.greater(0.5)),
    "masked_fill": (
        lambda x: aten.masked_fill(x, torch.empty_like(x, dtype=torch.bool), 0.0),
        lambda x: where(x, 0, x),
    ),
    "clamp": (lambda x: x.clamp(0.2, 0.8), lambda x: oracle.clamp(x, 0.2, 0.8)),
    "clamp_min": (lambda x: x.clamp(min=0.2), lambda x: oracle.clamp(x, 0.2)),
    "clamp to one bound": (lambda x: aten.clamp(x, None, 0.8), lambda x: oracle.clamp(x, high=0.8)),
    "logit": (torch.logit, oracle.logit),
    "logit with eps": (lambda x: torch.logit(x, 1e-3), lambda x: oracle.logit(x, 1e-3)),
    "multigammaln": (lambda x: torch.mvlgamma(x + 9, 3), lambda x: oracle.multigammaln(x + 9, 3)),
    "nan_to_num": (torch.nan_to_num, oracle.nan_to_num),
    "sinc": (torch.sinc, lambda x: sin(y := 3.14 * x) / y),
    "entropy": (torch.special.entr, lambda x: -(x * log(x))),
}

BINARY: dict[str, Case] = {
    "add": (torch.add, oracle.add),
    "add alpha": (lambda x, y: torch.add(x, y, alpha=0.5), lambda x, y: oracle.add(x, y, 0.5)),
    "add alpha -1": (lambda x, y: torch.add(x, y, alpha=-1), lambda x, y: oracle.add(x, y, -1)),
    "sub in place": (lambda x, y: x.sub_(y, alpha=0.5), lambda x, y: x - 0.5 * y),
    "rsub": (lambda x, y: torch.rsub(x, y, alpha=0.5), lambda x, y: y - 0.5 * x),
    "mul": (torch.mul, lambda x, y: x * y),
    "div": (torch.div, lambda x, y: x / y),
    "pow": (torch.pow, lambda x, y: x**y),
    "maximum": (torch.maximum, lambda x, y: choose(x, y, x, y)),
    "greater": (torch.gt, lambda x, y: x.greater(y)),
    "lerp": (lambda x, y: torch.lerp(x, y, 0.3), lambda x, y: oracle.lerp(x, y, 0.3)),
    "lerp to the end": (lambda x, y: torch.lerp(x, y, 1.0), lambda x, y: oracle.lerp(x, y, 1)),
    "logaddexp": (torch.logaddexp, oracle.logaddexp),
    "xlogy": (torch.xlogy, oracle.xlogy),
    "hypot": (torch.hypot, oracle.hypotenuse),
    "polar": (torch.polar, lambda x, y: (x * cos(y), x * sin(y))),
    "ldexp": (lambda x, y: aten.ldexp.Tensor(x, y), lambda x, y: x * y.operation(2**y.value)),
}

TERNARY: dict[str, Case] = {
    "addcmul": (torch.addcmul, oracle.addcmul),
    "addcmul value": (
        lambda x, a, b: x.addcmul_(a, b, value=0.5),
        lambda x, a, b: oracle.addcmul(x, a, b, 0.5),
    ),
    "addcdiv": (torch.addcdiv, oracle.addcdiv),
    "addcdiv value": (
        lambda x, a, b: torch.addcdiv(x, a, b, value=0.5),
        lambda x, a, b: oracle.addcdiv(x, a, b, 0.5),
    ),
    "lerp by a tensor": (torch.lerp, oracle.lerp),
    "where": (lambda c, a, b: torch.where(c > 0.5, a, b), lambda c, a, b: where(c.greater(0.5), a, b)),
}

COMPLEX: dict[str, Case] = {
    "add": (torch.add, lambda x, y: x + y),
    "mul": (torch.mul, lambda x, y: x * y),
    "div": (torch.div, lambda x, y: x / y),
    "addcmul": (lambda x, y: torch.addcmul(x, x, y), lambda x, y: x + x * y),
    "neg": (lambda x, y: -x, lambda x, y: -x),
    "abs": (lambda x, y: x.abs(), lambda x, y: abs(x)),
    "sgn": (lambda x, y: x.sgn(), lambda x, y: x.sign()),
    "exp": (lambda x, y: x.exp(), lambda x, y: x.exp()),
    "log": (lambda x, y: x.log(), lambda x, y: x.log()),
    "sqrt": (lambda x, y: x.sqrt(), lambda x, y: x.sqrt()),
    "reciprocal": (lambda x, y: x.reciprocal(), lambda x, y: x.reciprocal()),
    "angle": (lambda x, y: x.angle(), lambda x, y: atan2(x.im, x.re)),
    "conj": (lambda x, y: x.conj().resolve_conj(), lambda x, y: x.conjugate()),
    "eq": (torch.eq, lambda x, y: x.equals(y)),
}


@pytest.mark.parametrize("name", UNARY)
@few
@given(shape=shapes())
def test_unary(name: str, shape: tuple[int, ...]) -> None:
    program, function = UNARY[name]
    check(program, function, shape, 1)


@pytest.mark.parametrize("name", BINARY)
@few
@given(shape=shapes())
def test_binary(name: str, shape: tuple[int, ...]) -> None:
    program, function = BINARY[name]
    check(program, function, shape, 2)


@pytest.mark.parametrize("name", TERNARY)
@few
@given(shape=shapes())
def test_ternary(name: str, shape: tuple[int, ...]) -> None:
    program, function = TERNARY[name]
    check(program, function, shape, 3)


@pytest.mark.parametrize("name", COMPLEX)
@few
@given(shape=shapes())
def test_complex(name: str, shape: tuple[int, ...]) -> None:
    program, function = COMPLEX[name]
    inputs = [torch.rand(shape, dtype=torch.complex64) for _ in range(2)]
    each = count(lambda tally: function(Complex.input(tally), Complex.input(tally)))
    assert operations(lambda: program(*inputs)) == inputs[0].numel() * each


def check(
    program: Callable[..., Any], function: Callable[..., Any], shape: tuple[int, ...], arity: int
) -> None:
    inputs = [torch.rand(shape) for _ in range(arity)]

    def textbook(tally: Tally) -> None:
        for _ in range(inputs[0].numel()):
            function(*(tally.scalar() for _ in range(arity)))

    assert operations(lambda: program(*inputs)) == count(textbook)


def test_broadcasting_is_priced_by_the_result() -> None:
    assert operations(lambda: torch.ones(3, 1) + torch.ones(1, 5)) == 15


def test_a_complex_function_without_a_price_is_uncountable() -> None:
    x = torch.rand(2, dtype=torch.complex64)
    with pytest.raises(LookupError, match=r"aten\.tanh\.default has no price"):
        operations(lambda: x.tanh())
