"""Products of matrices and vectors, written out."""

from collections.abc import Sequence

from tests.oracle.complex_numbers import Complex
from tests.oracle.counted import Counted, Literal, dot, total

Matrix = Sequence[Sequence[Counted]]


def mm(a: Matrix, b: Matrix) -> list[list[Counted]]:
    return [[dot(row, column) for column in zip(*b, strict=True)] for row in a]


def addmm(bias: Sequence[Counted], a: Matrix, b: Matrix, beta: Literal = 1, alpha: Literal = 1) -> object:
    """beta · bias + alpha · a b, with a bias for each column, scaled once."""
    products = [[x * alpha for x in row] for row in mm(a, b)]
    if beta == 0:
        return products
    scaled = [x * beta for x in bias]
    return [[x + c for x, c in zip(row, scaled, strict=True)] for row in products]


def outer(a: Sequence[Counted], b: Sequence[Counted]) -> list[list[Counted]]:
    return [[x * y for y in b] for x in a]


def cross(a: Sequence[Counted], b: Sequence[Counted]) -> list[Counted]:
    return [a[i - 2] * b[i - 1] - a[i - 1] * b[i - 2] for i in range(3)]


def trilinear(a: Sequence[Counted], w: Matrix, b: Sequence[Counted]) -> Counted:
    """Σ a_i · w_ij · b_j."""
    return total([x * w[i][j] * y for i, x in enumerate(a) for j, y in enumerate(b)])


def complex_dot(a: Sequence[Complex], b: Sequence[Complex]) -> Complex:
    first, *rest = [x * y for x, y in zip(a, b, strict=True)]
    for product in rest:
        first = first + product
    return first
