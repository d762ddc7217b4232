"""Reductions, scans and softmax: the price of a tensor is that of its rows, one by one."""

from collections.abc import Callable
from math import inf
from typing import Any

import pytest
import torch
from hypothesis import given

from tests.oracle import reductions as oracle
from tests.oracle.complex_numbers import Complex
from tests.oracle.counted import Tally, count, largest, minimum, product, total, where
from tests.oracle.recording import operations
from tests.unit.prices.shapes import extents, few

aten = torch.ops.aten
Case = tuple[Callable[[torch.Tensor], Any], Callable[[list[Any]], Any]]

CASES: dict[str, Case] = {
    "sum": (lambda x: x.sum(-1), total),
    "prod": (lambda x: x.prod(-1), product),
    "amax": (lambda x: x.amax(-1), largest),
    "max with indices": (lambda x: x.max(-1), largest),
    "argmin": (lambda x: x.argmin(-1), largest),
    "all of numbers": (lambda x: x.all(-1), lambda row: oracle.norm(row, 0)),
    "mean": (lambda x: x.mean(-1), oracle.mean),
    "var": (lambda x: x.var(-1, correction=0), oracle.variance),
    "var_mean": (lambda x: torch.var_mean(x, -1, correction=0), oracle.variance),
    "std": (lambda x: x.std(-1, correction=0), oracle.deviation),
    "logsumexp": (lambda x: aten.logsumexp(x, [-1]), oracle.logsumexp),
    "norm": (lambda x: x.norm(dim=-1), oracle.norm),
    "vector norm": (lambda x: torch.linalg.vector_norm(x, dim=-1), oracle.norm),
    "count_nonzero": (lambda x: x.count_nonzero(-1), lambda row: oracle.norm(row, 0)),
    "cumsum": (lambda x: x.cumsum(-1), oracle.cumulative_sum),
    "cumprod": (lambda x: x.cumprod(-1), oracle.cumulative_product),
    "cummax": (lambda x: x.cummax(-1), oracle.cumulative_maximum),
    "logcumsumexp": (lambda x: x.logcumsumexp(-1), oracle.cumulative_logsumexp),
    "softmax": (lambda x: x.softmax(-1), oracle.softmax),
    "safe softmax": (lambda x: aten._safe_softmax(x, -1), oracle.softmax),
    "log_softmax": (lambda x: x.log_softmax(-1), oracle.log_softmax),
    "softmax backward": (
        lambda x: aten._softmax_backward_data(x, x, -1, x.dtype),
        lambda row: oracle.softmax_backward(row, row),
    ),
    "log_softmax backward": (
        lambda x: aten._log_softmax_backward_data(x, x, -1, x.dtype),
        lambda row: oracle.log_softmax_backward(row, row),
    ),
}


@pytest.mark.parametrize("name", CASES)
@few
@given(rows=extents, length=extents)
def test_rows(name: str, rows: int, length: int) -> None:
    program, textbook = CASES[name]
    x = torch.rand(rows, length)
    assert operations(lambda: program(x)) == count(lambda tally: each_row(tally, textbook, rows, length))


def each_row(tally: Tally, textbook: Callable[[list[Any]], Any], rows: int, length: int) -> None:
    for _ in range(rows):
        textbook([tally.scalar() for _ in range(length)])


@pytest.mark.parametrize("order", [0, 1, 2, 3, 2.5, inf])
@few
@given(rows=extents, length=extents)
def test_norms_of_every_order(order: float, rows: int, length: int) -> None:
    x = torch.rand(rows, length)
    expected = count(lambda tally: each_row(tally, lambda row: oracle.norm(row, order), rows, length))
    assert operations(lambda: torch.linalg.vector_norm(x, order, dim=-1)) == expected


@few
@given(rows=extents, length=extents)
def test_a_whole_tensor_is_one_row(rows: int, length: int) -> None:
    x = torch.rand(rows, length)
    elements = rows * length
    assert operations(lambda: x.sum()) == elements - 1
    assert operations(lambda: x.mean()) == elements
    assert operations(lambda: x.softmax(0)) == 5 * elements - 2 * length


@few
@given(length=extents)
def test_complex_sum(length: int) -> None:
    def textbook(tally: Tally) -> None:
        first, *rest = [Complex.input(tally) for _ in range(length)]
        for value in rest:
            first = first + value

    x = torch.rand(length, dtype=torch.complex64)
    assert operations(lambda: x.sum()) == count(textbook)


def test_the_figures_of_the_standard() -> None:
    x = torch.rand(3, 4)
    assert operations(lambda: x.var(-1, correction=0)) == 4 * 12
    assert operations(lambda: x.std(-1, correction=0)) == 4 * 12 + 3
    assert operations(lambda: x.softmax(-1)) == 5 * 12 - 2 * 3
    assert operations(lambda: x.cumsum(-1)) == 12 - 3


def test_nothing_to_fold_costs_nothing() -> None:
    assert operations(lambda: torch.ones(0, 3).sum(0)) == 0
    assert operations(lambda: torch.ones(()).cumsum(0)) == 0


def test_comparing_whole_tensors() -> None:
    x = torch.rand(2, 3)
    assert operations(lambda: torch.equal(x, x)) == 6 + 5
    assert operations(lambda: torch.equal(x, x[:1])) == 0


@few
@given(rows=extents, length=extents)
def test_less_common_reductions(rows: int, length: int) -> None:
    x, y = torch.rand(rows, length), torch.rand(rows, length)
    elements = rows * length
    assert operations(lambda: x.nansum(-1)) == elements + elements - rows
    assert operations(lambda: x.aminmax(dim=-1)) == 2 * (elements - rows)
    assert operations(lambda: x.trace()) == min(rows, length) - 1

    def distance(tally: Tally) -> None:
        oracle.norm([tally.scalar() - tally.scalar() for _ in range(elements)])

    assert operations(lambda: torch.dist(x, y)) == count(distance)

    def close(tally: Tally) -> None:
        pairs = [(tally.scalar(), tally.scalar()) for _ in range(elements)]
        largest([(1e-8 + 1e-5 * abs(b)).greater(abs(a - b)) for a, b in pairs])

    assert operations(lambda: torch.allclose(x, y)) == count(close)

    def renormalise(tally: Tally) -> None:
        for _ in range(rows):
            row = tally.tensor([length])
            factor = minimum(0.5 / oracle.norm(row), 1)
            [value * factor for value in row]

    assert operations(lambda: x.renorm(2, 0, 0.5)) == count(renormalise)


@few
@given(rows=extents, length=extents)
def test_masked_softmax(rows: int, length: int) -> None:
    x, mask = torch.rand(rows, length), torch.zeros(rows, length, dtype=torch.bool)

    def textbook(tally: Tally) -> None:
        for _ in range(rows):
            oracle.softmax([where(tally.scalar(), tally.scalar(), 0) for _ in range(length)])

    assert operations(lambda: aten._masked_softmax(x, mask, 1)) == count(textbook)


def test_a_scalar_is_one_row() -> None:
    x = torch.rand(())
    assert operations(lambda: x.softmax(0)) == count(lambda tally: oracle.softmax([tally.scalar()]))
    assert operations(lambda: x.log_softmax(0)) == count(lambda tally: oracle.log_softmax([tally.scalar()]))
