"""The reduction law: no operator is a cheaper way to do another one's work."""

from pathlib import Path

import pytest
import torch

from haet_eval.operators.standard import under
from tests.oracle.recording import operations
from tests.unit.prices.readings import READINGS, SIZES, Reading, table

PAGE = Path(__file__).parents[3] / "docs" / "counting-standard.md"

BROKEN_BY_VERSION_1 = {
    *("qr, complete, of 8 columns at most", "qr, complete, of single columns", "qr, reduced, of a column"),
    *("cholesky of 2 × 2", "lu_factor of a column", "solve_triangular of complex 1 × 1"),
    *("lstsq, gels, of a column", "lstsq, gelsd, of a column", "lstsq, gelss, of a column", "lstsq, gelss"),
    *("max_pool2d, backward, windows that overlap", "dropout, backward", "_sample_dirichlet"),
    *("isnan of complex numbers", "any, of single numbers", "mse_loss, backward"),
}

each = pytest.mark.parametrize("reading", READINGS, ids=lambda one: f"{one.operator}: {one.result}")


@each
def test_the_reading_gives_the_result(reading: Reading) -> None:
    torch.manual_seed(0)
    for size in SIZES:
        read, directly = reading.make(size)
        torch.testing.assert_close(read(), directly(), rtol=1e-3, atol=1e-3)


@each
def test_the_reading_costs_no_less(reading: Reading) -> None:
    torch.manual_seed(0)
    for size in SIZES:
        read, directly = reading.make(size)
        assert operations(read) >= operations(directly), size


def test_version_1_broke_the_law() -> None:
    """What the law has to find: the readings that were worth their while before it was there."""
    torch.manual_seed(0)
    cheaper = set()
    with under(1):
        for reading in READINGS:
            pairs = (reading.make(size) for size in SIZES)
            if any(operations(read) < operations(directly) for read, directly in pairs):
                cheaper.add(reading.operator)
    assert cheaper == BROKEN_BY_VERSION_1


def test_the_page_has_the_table() -> None:
    """`python -m tests.unit.prices.readings` prints it."""
    page = PAGE.read_text(encoding="utf-8")
    assert not [row for row in table() if row not in page]
