"""Direct algorithms of dense linear algebra, counted exactly: not by their leading terms.

A published count such as n³/3 leaves out lower powers of n, and they are most of the work of small matrices,
of which a batch may hold millions. `tests/oracle/linalg.py` has each algorithm written out.

Sources: Golub and Van Loan, Matrix Computations, 4th ed.: LU with partial pivoting 3.4, Cholesky 4.2, LDLᵀ
4.4 (Bunch and Kaufman 1977), Householder reflections and QR 5.1 and 5.2.
"""

from haet_eval.operators.pricing.work import Work, pairs


def _sum_to(count: int) -> int:
    """0 + 1 + … + (count − 1)."""
    return count * (count - 1) // 2


def _squares_to(count: int) -> int:
    """0 + 1 + 4 + … + (count − 1)²."""
    return (count - 1) * count * (2 * count - 1) // 6


def _products_to(count: int, left: int, right: int) -> int:
    """Σ (left − k)(right − k) over 0 ≤ k < count."""
    return count * left * right - (left + right) * _sum_to(count) + _squares_to(count)


def matmul(rows: int, inner: int, columns: int) -> Work:
    """K products and K − 1 sums for each element."""
    return Work(products=rows * columns * inner, sums=rows * columns * max(inner - 1, 0))


def cholesky(size: int) -> Work:
    """1 + 4 + … + n² operations: n roots, a quotient for each element below them, and the updates."""
    return pairs((size**3 - size) // 6) + Work(quotients=_sum_to(size), others=size)


def triangular_inverse(size: int) -> Work:
    """1 + 4 + … + n² operations: substitution for each column of the identity, below its one."""
    return pairs((size**3 - size) // 6) + Work(quotients=_sum_to(size + 1))


def inverse_from_cholesky(size: int) -> Work:
    """M = L⁻¹, then the lower triangle of MᵀM."""
    products = size * (size + 1) * (size + 2) // 6
    return triangular_inverse(size) + Work(products=products, sums=products - _sum_to(size + 1))


def lu(rows: int, columns: int) -> Work:
    """For each pivot: the largest |x| of its column, the quotients below it, the update of the rest."""
    steps = min(rows, columns)
    below = steps * (rows - 1) - _sum_to(steps)
    # An absolute value for each candidate, the pivot among them, and a comparison for each after the first.
    candidates = below + steps
    updates = _products_to(steps, rows - 1, columns - 1)
    return pairs(updates) + Work(quotients=below, others=candidates + below)


def substitution(size: int, *, unit: bool = False) -> Work:
    """One triangular solution: n² operations, n fewer with a unit diagonal."""
    return pairs(_sum_to(size)) + Work(quotients=0 if unit else size)


def inverse(size: int) -> Work:
    """LU, the inverse of U, and L from its right: 2n³ together."""
    return lu(size, size) + triangular_inverse(size) + substitution(size, unit=True) * size


def ldl(size: int) -> Work:
    """For each step t² − 1 operations with t rows left; the search for a pivot looks at two columns."""
    return pairs((size**3 - size) // 6) + Work(quotients=_sum_to(size), others=max(2 * (size**2 - 1), 0))


def ldl_substitution(size: int) -> Work:
    """Two unit substitutions, and D as if it were made of 2 × 2 blocks: 11 operations by Cramer's rule."""
    blocks, single = divmod(size, 2)
    block = Work(products=6, sums=3, quotients=2)
    return substitution(size, unit=True) * 2 + block * blocks + Work(quotients=single)


def householder_qr(rows: int, columns: int, *, of_complex: bool) -> Work:
    """For each reflector its vector, 3l + 2 for a length of l; and 4l − 2 for each later column.

    2mn² − 2n³/3 is the leading term. A last row of real numbers needs no reflector. Of complex numbers it
    does: LAPACK makes its diagonal element real, and multiplies the rest of the row by a complex number.
    """
    # When that row was free, a matrix of one row was a product for nothing, and a contest could be won by it.
    reflectors = max(min(rows if of_complex else rows - 1, columns), 0)
    lengths = reflectors * rows - _sum_to(reflectors)
    vectors = Work(products=lengths, sums=lengths, quotients=lengths, others=2 * reflectors)
    return vectors + _reflections(rows, columns, reflectors)


def householder_product(rows: int, columns: int, reflectors: int) -> Work:
    """Columns of I − τvvᵀ multiplied, the last reflector first: 4mnk − 2(m + n)k² + 4k³/3 and less.

    A reflector of length l costs 4l − 2 for each later column, and l for its own.
    """
    lengths = reflectors * rows - _sum_to(reflectors)
    own = Work(products=lengths - reflectors, sums=reflectors)
    return own + _reflections(rows, columns, reflectors)


def multiplied_by_q(rows: int, columns: int, reflectors: int) -> Work:
    """So many reflectors on every column: 4l − 2 for a length of l."""
    lengths = reflectors * rows - _sum_to(reflectors)
    return pairs(columns * (2 * lengths - reflectors))


def _reflections(rows: int, columns: int, reflectors: int) -> Work:
    """Each reflector, of length l = m − k, on the columns after its own: 2l − 1 products and as many sums."""
    later = reflectors * (columns - 1) - _sum_to(reflectors)
    return pairs(2 * _products_to(reflectors, rows, columns - 1) - later)
