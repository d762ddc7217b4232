"""Special functions."""

import torch
from hypothesis import given

from tests.oracle.recording import operations
from tests.unit.prices.shapes import extents, few


@few
@given(rows=extents, columns=extents)
def test_a_polynomial_is_one_function_of_its_argument_and_its_degree(rows: int, columns: int) -> None:
    values, degrees = torch.zeros(rows, 1), torch.ones(columns)
    found = operations(lambda: torch.special.chebyshev_polynomial_t(values, degrees))
    assert found == rows * columns
    assert operations(lambda: torch.special.hermite_polynomial_h(values, 3)) == rows
