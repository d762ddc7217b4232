"""Distances between rows."""

from math import inf

import pytest
import torch
from hypothesis import given

from tests.oracle import distance as oracle
from tests.oracle.counted import count
from tests.oracle.recording import operations
from tests.unit.prices.shapes import extents, few

aten = torch.ops.aten
ORDERS = (0.0, 1.0, 2.0, inf, 2.5)


@pytest.mark.parametrize("order", ORDERS)
@few
@given(rows=extents, others=extents, width=extents)
def test_between_two_sets(order: float, rows: int, others: int, width: int) -> None:
    x, y = torch.rand(rows, width), torch.rand(others, width)
    found = operations(lambda: aten._cdist_forward(x, y, order, None))
    assert found == count(lambda tally: oracle.distances(tally, rows, others, width, order))
    gradient = torch.rand(rows, others)
    found = operations(lambda: aten._cdist_backward(gradient, x, y, order, gradient))
    textbook = count(lambda tally: oracle.distances_backward(tally, rows, others, width, order))
    assert found == (textbook if order else 0)


@pytest.mark.parametrize("order", ORDERS)
@few
@given(rows=extents, width=extents)
def test_within_one_set(order: float, rows: int, width: int) -> None:
    x = torch.rand(rows, width)
    pairs = rows * (rows - 1) // 2
    found = operations(lambda: aten._pdist_forward(x, order))
    assert found == pairs * count(lambda tally: oracle.distances(tally, 1, 1, width, order))
    gradient = torch.rand(pairs)
    found = operations(lambda: aten._pdist_backward(gradient, x, order, gradient))
    textbook = count(lambda tally: oracle.pairs_backward(tally, rows, width, order))
    assert found == (textbook if order else 0)
