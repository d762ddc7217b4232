"""Products of matrices: 2K − 1 for each inner product."""

import pytest
import torch
from hypothesis import given
from torch.nn import functional as F  # noqa: N812

from tests.oracle import matmul as oracle
from tests.oracle.complex_numbers import Complex
from tests.oracle.counted import Tally, count, dot, flat, total
from tests.oracle.recording import operations
from tests.unit.prices.shapes import extents, few

aten = torch.ops.aten


@few
@given(rows=extents, inner=extents, columns=extents)
def test_mm(rows: int, inner: int, columns: int) -> None:
    a, b = torch.rand(rows, inner), torch.rand(inner, columns)
    each = count(lambda tally: oracle.mm(tally.tensor([rows, inner]), tally.tensor([inner, columns])))
    assert operations(lambda: a @ b) == each
    batches = torch.rand(3, rows, inner), torch.rand(3, inner, columns)
    assert operations(lambda: batches[0] @ batches[1]) == 3 * each
    assert operations(lambda: torch.einsum("bij,bjk->bik", *batches)) == 3 * each


@pytest.mark.parametrize("alpha", [1, -1, 0.5])
@pytest.mark.parametrize("beta", [0, 1, -1, 0.5])
@few
@given(rows=extents, inner=extents, columns=extents)
def test_addmm(beta: float, alpha: float, rows: int, inner: int, columns: int) -> None:
    bias, a, b = torch.rand(columns), torch.rand(rows, inner), torch.rand(inner, columns)
    expected = count(
        lambda tally: oracle.addmm(
            tally.tensor([columns]),
            tally.tensor([rows, inner]),
            tally.tensor([inner, columns]),
            beta,
            alpha,
        )
    )
    assert operations(lambda: torch.addmm(bias, a, b, beta=beta, alpha=alpha)) == expected


@few
@given(rows=extents, inner=extents)
def test_vectors(rows: int, inner: int) -> None:
    matrix, vector = torch.rand(rows, inner), torch.rand(inner)
    one = count(lambda tally: dot(tally.tensor([inner]), tally.tensor([inner])))
    assert operations(lambda: torch.dot(vector, vector)) == one
    assert operations(lambda: torch.vdot(vector, vector)) == one
    assert operations(lambda: matrix @ vector) == rows * one
    added = torch.rand(rows)
    assert operations(lambda: torch.addmv(added, matrix, vector)) == rows * (one + 1)


@few
@given(rows=extents, columns=extents)
def test_outer(rows: int, columns: int) -> None:
    a, b, added = torch.rand(rows), torch.rand(columns), torch.rand(rows, columns)
    products = count(lambda tally: oracle.outer(tally.tensor([rows]), tally.tensor([columns])))
    assert operations(lambda: torch.outer(a, b)) == products
    assert operations(lambda: torch.addr(added, a, b)) == 2 * products


@few
@given(batch=extents, inner=extents)
def test_a_summed_batch_is_a_longer_inner_product(batch: int, inner: int) -> None:
    added, a, b = torch.rand(2, 3), torch.rand(batch, 2, inner), torch.rand(batch, inner, 3)

    def textbook(tally: Tally) -> None:
        parts = [flat(oracle.mm(tally.tensor([2, inner]), tally.tensor([inner, 3]))) for _ in range(batch)]
        [tally.scalar() + total(entries) for entries in zip(*parts, strict=True)]

    assert operations(lambda: torch.addbmm(added, a, b)) == count(textbook)


@few
@given(left=extents, right=extents, out=extents)
def test_bilinear(left: int, right: int, out: int) -> None:
    a, b, weight = torch.rand(2, left), torch.rand(2, right), torch.rand(out, left, right)
    each = count(
        lambda tally: oracle.trilinear(
            tally.tensor([left]), tally.tensor([left, right]), tally.tensor([right])
        )
    )
    assert operations(lambda: F.bilinear(a, b, weight)) == 2 * out * each


@few
@given(batch=extents, left=extents, right=extents)
def test_dimensions_counted_from_the_end_cost_the_same(batch: int, left: int, right: int) -> None:
    a, b, one = torch.rand(batch, left), torch.rand(batch, right), torch.ones(())

    def product(*expanded: int) -> int:
        last, middle, *all_three = expanded
        return operations(
            lambda: torch.ops.aten._trilinear(a, b, one, [last], [middle], all_three, [0], unroll_dim=0)
        )

    assert product(-1, -2, -3, -2, -1) == product(2, 1, 0, 1, 2)
    assert product(2, 1, 0, 1, 2) == left * right * (3 * batch - 1)


def test_cross() -> None:
    a, b = torch.rand(5, 3), torch.rand(5, 3)
    each = count(lambda tally: oracle.cross(tally.tensor([3]), tally.tensor([3])))
    assert operations(lambda: torch.linalg.cross(a, b)) == 5 * each


@few
@given(inner=extents)
def test_complex_products(inner: int) -> None:
    a = torch.rand(inner, dtype=torch.complex64)
    expected = count(
        lambda tally: oracle.complex_dot(
            [Complex.input(tally) for _ in range(inner)], [Complex.input(tally) for _ in range(inner)]
        )
    )
    assert operations(lambda: torch.dot(a, a)) == expected == 8 * inner - 2


def test_the_three_operations_of_the_rules() -> None:
    weight, bias, x = torch.rand(1, 1), torch.rand(1), torch.rand(1, 1)
    assert operations(lambda: F.relu(F.linear(x, weight, bias))) == 3


def test_an_activation_fused_to_a_product() -> None:
    bias, a, b = torch.rand(4), torch.rand(2, 3), torch.rand(3, 4)
    parts = operations(lambda: F.relu(torch.addmm(bias, a, b)))
    assert operations(lambda: aten._addmm_activation(bias, a, b)) == parts
    parts = operations(lambda: F.gelu(torch.addmm(bias, a, b), approximate="tanh"))
    assert operations(lambda: aten._addmm_activation(bias, a, b, use_gelu=True)) == parts


def test_complex_added_products() -> None:
    z = torch.rand(2, 3, dtype=torch.complex64)
    added, other = torch.rand(2, 4, dtype=torch.complex64), torch.rand(3, 4, dtype=torch.complex64)
    products, results = 8 * (6 * 3 + 2 * 2), 8
    assert operations(lambda: torch.addmm(added, z, other)) == products + 2 * results
    scaled = operations(lambda: torch.addmm(added, z, other, alpha=0.5, beta=0.5))
    assert scaled == products + (6 + 6 + 2) * results
