"""Linear algebra: published counts, near what the algorithms do and exact where they are simple."""

from collections.abc import Callable
from math import ceil

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from haet_eval.counting.prices import linalg as prices
from haet_eval.counting.prices.evaluate import price_of
from tests.oracle import linalg as oracle
from tests.oracle.counted import count
from tests.oracle.recording import operations, record
from tests.unit.prices.shapes import extents, few

aten = torch.ops.aten
sizes = st.integers(1, 5)


def regular(*batch: int, size: int) -> torch.Tensor:
    """Symmetric and positive definite."""
    return torch.eye(size).expand(*batch, size, size) * 2.0


@few
@given(batch=extents, size=sizes, sides=extents)
def test_substitution_is_counted_exactly(batch: int, size: int, sides: int) -> None:
    matrix, right = regular(batch, size=size), torch.rand(batch, size, sides)
    plain = count(lambda tally: oracle.substitution(tally, size, unit=False))
    unit = count(lambda tally: oracle.substitution(tally, size, unit=True))
    factors, pivots, _ = torch.linalg.lu_factor_ex(matrix)
    each = batch * sides
    found = operations(lambda: torch.linalg.solve_triangular(matrix, right, upper=True))
    assert found == each * plain
    found = operations(lambda: torch.linalg.solve_triangular(matrix, right, upper=True, unitriangular=True))
    assert found == each * unit
    assert operations(lambda: torch.cholesky_solve(right, matrix)) == each * 2 * plain
    assert operations(lambda: torch.linalg.lu_solve(factors, pivots, right)) == each * (plain + unit)


@given(size=st.integers(1, 200))
def test_factorizations_cost_what_the_books_say(size: int) -> None:
    assert prices.lu_operations(size, size) == ceil(2 * size**3 / 3)
    assert prices.cholesky_operations(size) == ceil(size**3 / 3)
    assert prices.qr_operations(size, size) == 2 * size**3 - ceil(2 * size**3 / 3)
    assert prices.qr_operations(2 * size, size) == 4 * size**3 - ceil(2 * size**3 / 3)


SIZE = 24
ALGORITHMS: dict[str, tuple[int, Callable[[], int]]] = {
    "LU": (
        prices.lu_operations(SIZE, SIZE),
        lambda: count(lambda tally: oracle.lu(tally, SIZE, SIZE)),
    ),
    "tall LU": (
        prices.lu_operations(2 * SIZE, SIZE),
        lambda: count(lambda tally: oracle.lu(tally, 2 * SIZE, SIZE)),
    ),
    "wide LU": (
        prices.lu_operations(SIZE, 2 * SIZE),
        lambda: count(lambda tally: oracle.lu(tally, SIZE, 2 * SIZE)),
    ),
    "Cholesky": (
        prices.cholesky_operations(SIZE),
        lambda: count(lambda tally: oracle.cholesky(tally, SIZE)),
    ),
    "tall QR": (
        prices.qr_operations(8 * SIZE, SIZE),
        lambda: count(lambda tally: oracle.gram_schmidt(tally, 8 * SIZE, SIZE)),
    ),
}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_published_count_is_the_leading_term_of_the_algorithm(name: str) -> None:
    published, executed = ALGORITHMS[name]
    assert published == pytest.approx(executed(), rel=0.10)


@few
@given(batch=extents, size=sizes, sides=extents)
def test_solving_is_factorizing_and_substituting(batch: int, size: int, sides: int) -> None:
    matrix, right = regular(batch, size=size), torch.rand(batch, size, sides)
    factors, pivots, _ = torch.linalg.lu_factor_ex(matrix)

    def in_two_steps() -> None:
        torch.linalg.lu_factor_ex(matrix)
        torch.linalg.lu_solve(factors, pivots, right)

    assert operations(lambda: torch.linalg.solve(matrix, right)) == operations(in_two_steps)
    assert operations(lambda: torch.linalg.inv_ex(matrix)) == batch * 2 * size**3


@few
@given(size=sizes)
def test_determinants(size: int) -> None:
    matrix = regular(size=size)
    assert operations(lambda: torch.linalg.det(matrix)) == prices.lu_operations(size, size) + size
    diagonal = count(lambda tally: oracle.log_determinant_of_triangle(tally, size))
    found = operations(lambda: torch.linalg.slogdet(matrix))
    assert found == prices.lu_operations(size, size) + diagonal


DECOMPOSITIONS: dict[str, Callable[[torch.Tensor], object]] = {
    "Cholesky": torch.linalg.cholesky_ex,
    "QR": torch.linalg.qr,
    "eigh": torch.linalg.eigh,
    "eigvalsh": torch.linalg.eigvalsh,
    "eig": torch.linalg.eig,
    "eigvals": torch.linalg.eigvals,
    "SVD": torch.linalg.svd,
    "thin SVD": lambda matrix: torch.linalg.svd(matrix, full_matrices=False),
    "singular values": torch.linalg.svdvals,
    "matrix_exp": torch.linalg.matrix_exp,
    "pinv": torch.linalg.pinv,
    "inverse": torch.linalg.inv_ex,
}


@pytest.mark.parametrize("name", DECOMPOSITIONS)
def test_a_batch_costs_its_matrices_and_complex_numbers_four_times(name: str) -> None:
    decompose = DECOMPOSITIONS[name]
    real, batch = regular(size=3), regular(5, size=3)
    complexes = real.to(torch.complex64)
    one = operations(lambda: decompose(real))
    assert one > 0
    assert operations(lambda: decompose(batch)) == 5 * one
    assert operations(lambda: decompose(complexes)) == 4 * one


@given(size=st.integers(1, 50))
def test_vectors_cost_more_than_values(size: int) -> None:
    assert prices.eigh_operations(size, vectors=True) == 9 * size**3
    assert prices.eigh_operations(size, vectors=False) < prices.eigh_operations(size, vectors=True)
    values, thin, full = (
        prices.svd_operations(2 * size, size, vectors=vectors, full=full)
        for vectors, full in ((False, False), (True, False), (True, True))
    )
    assert values < thin < full


@few
@given(rows=sizes, columns=sizes)
def test_a_wide_matrix_costs_what_its_transpose_costs(rows: int, columns: int) -> None:
    matrix = torch.rand(rows, columns)
    for decompose in (torch.linalg.qr, torch.linalg.svd, torch.linalg.lu_factor_ex):
        found = operations(lambda decompose=decompose: decompose(matrix))  # type: ignore[misc]
        assert found == operations(lambda decompose=decompose: decompose(matrix.t()))  # type: ignore[misc]


@few
@given(batch=extents, size=sizes)
def test_what_a_batch_shares_is_done_once_and_the_rest_for_each(batch: int, size: int) -> None:
    matrices, right = regular(batch, size=size), torch.rand(1, size, 2)
    spread = operations(lambda: aten.linalg_lstsq(matrices, right.expand(batch, size, 2)))
    assert operations(lambda: aten.linalg_lstsq(matrices, right)) == spread

    def inverted(tolerances: torch.Tensor) -> int:
        *_, call = record(lambda: aten.linalg_pinv(regular(size=size), atol=tolerances, rtol=tolerances))
        return price_of(call) or 0

    factors = prices.svd_operations(size, size, vectors=True, full=False)
    assert inverted(torch.ones(batch)) - factors == batch * (inverted(torch.ones(1)) - factors)
