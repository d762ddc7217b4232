"""Dense linear algebra: direct algorithms counted exactly, iterative ones by published counts.

Direct: `factorizations`. Published: [G] Golub and Van Loan, Matrix Computations, 4th ed.: symmetric
eigenproblem 8.3, Schur form 7.5, SVD 8.6; [H] Higham 2005, The scaling and squaring method for the matrix
exponential revisited. A published count of complex arithmetic is four times the real one: a complex product
and sum are 8 real operations where a real pair is 2.
"""

from math import prod

from haet_eval.operators.checking.call import Call
from haet_eval.operators.dtypes import is_complex
from haet_eval.operators.pointwise import has_complex
from haet_eval.operators.pricing import factorizations
from haet_eval.operators.pricing.factorizations import matmul, substitution
from haet_eval.operators.pricing.integers import ceiling_division
from haet_eval.operators.pricing.work import Work
from haet_eval.operators.signature import Signature, TensorMeta
from haet_eval.operators.table import BY_KERNEL, operators


def least_squares(call: Call) -> None:
    """Without right-hand sides some of LAPACK's drivers end the process."""
    call.require(call.tensor("self").numel > 0 and call.tensor("b").numel > 0, "self or b is empty")


def eigh_operations(size: int, *, vectors: bool) -> int:
    """Symmetric QR: 9n³; eigenvalues only ⌈4n³/3⌉ [G]."""
    return 9 * size**3 if vectors else ceiling_division(4 * size**3, 3)


def eig_operations(size: int, *, vectors: bool) -> int:
    """Francis QR: 25n³; eigenvalues only 10n³ [G]."""
    return (25 if vectors else 10) * size**3


def svd_operations(rows: int, columns: int, *, vectors: bool, full: bool) -> int:
    """R-SVD [G]: 6mn² + 20n³ thin, 4m²n + 22n³ full, 2mn² + 2n³ values only; m the longer side."""
    small, large = sorted((rows, columns))
    if not vectors:
        return 2 * large * small**2 + 2 * small**3
    if full:
        return 4 * large**2 * small + 22 * small**3
    return 6 * large * small**2 + 20 * small**3


def _sides(meta: TensorMeta) -> tuple[int, int]:
    """Rows and columns."""
    return meta.shape[-2], meta.shape[-1]


def _batch(meta: TensorMeta) -> int:
    return prod(meta.shape[:-2])


def _each(s: Signature, matrices: int, operations: int) -> int:
    """A published count for so many matrices; complex ones four times."""
    return matrices * operations * (4 if has_complex(s) else 1)


def _done(s: Signature, work: Work) -> int:
    """The cost of an algorithm on the numbers of this call."""
    return work.operations(of_complex=has_complex(s))


def _right_sides(s: Signature, size: int) -> int:
    """Columns of the solution, of all matrices together."""
    return s.out.numel // max(size, 1)


@operators(check=BY_KERNEL)("""
    linalg_cholesky_ex(Tensor self, *, bool upper=False, bool check_errors=False) -> (Tensor L, Tensor info)
""")
def _cholesky(s: Signature) -> int:
    """n(n + 1)(2n + 1)/6, or 1 + 4 + … + n²."""
    matrix = s.tensor("self")
    return _done(s, factorizations.cholesky(matrix.shape[-1]) * _batch(matrix))


@operators(check=BY_KERNEL)("cholesky_inverse(Tensor self, bool upper=False) -> Tensor")
def _cholesky_inverse(s: Signature) -> int:
    """n(n + 1)(2n + 1)/3: the inverse of the factor, and its product with itself."""
    matrix = s.tensor("self")
    return _done(s, factorizations.inverse_from_cholesky(matrix.shape[-1]) * _batch(matrix))


@operators(check=BY_KERNEL)("cholesky_solve(Tensor self, Tensor input2, bool upper=False) -> Tensor")
def _cholesky_solve(s: Signature) -> int:
    """Two substitutions."""
    size = s.out.shape[-2]
    return _done(s, substitution(size) * 2 * _right_sides(s, size))


@operators(check=BY_KERNEL)("""
    linalg_lu_factor_ex(Tensor A, *, bool pivot=True, bool check_errors=False) -> (Tensor LU, Tensor pivots,
        Tensor info)
""")
def _lu(s: Signature) -> int:
    """n(n + 1)(4n − 1)/6: the search for each pivot is in it."""
    matrix = s.tensor("A")
    return _done(s, factorizations.lu(*_sides(matrix)) * _batch(matrix))


@operators(check=BY_KERNEL)("linalg_lu(Tensor A, *, bool pivot=True) -> (Tensor P, Tensor L, Tensor U)")
def _lu_with_permutation(s: Signature) -> int:
    """LU, and the cost of `lu_unpack` for its pivots."""
    matrix = s.tensor("A")
    exchanges = _batch(matrix) * (2 * min(_sides(matrix)) + matrix.shape[-2])
    return _lu(s) + (exchanges if s["pivot"] else 0)


@operators(check=BY_KERNEL)("""
    lu_unpack(Tensor LU_data, Tensor LU_pivots, bool unpack_data=True, bool unpack_pivots=True) -> (Tensor P,
        Tensor L, Tensor U)
""")
def _lu_unpack(s: Signature) -> int:
    """Two indexed writes for each exchange of rows, one for each row of the permutation."""
    pivots = s.tensor("LU_pivots")
    rows = prod(pivots.shape[:-1]) * s.tensor("LU_data").shape[-2]
    return 2 * pivots.numel + rows if s["unpack_pivots"] else 0


# LAPACK exchanges the rows that the pivots name, also outside of the matrix.
@operators(check=BY_KERNEL, guard="pivots")("""
    linalg_lu_solve(Tensor LU, Tensor pivots, Tensor B, *, bool left=True, bool adjoint=False) -> Tensor
""")
def _lu_solve(s: Signature) -> int:
    """Two substitutions per right side, one of them with a unit diagonal."""
    size = s.tensor("LU").shape[-1]
    return _done(s, _lu_substitution(size) * _right_sides(s, size))


def _lu_substitution(size: int) -> Work:
    return substitution(size, unit=True) + substitution(size)


@operators(check=BY_KERNEL)("""
    _linalg_solve_ex(Tensor A, Tensor B, *, bool left=True, bool check_errors=False) -> (Tensor result, Tensor
        LU, Tensor pivots, Tensor info)
""")
def _solve(s: Signature) -> int:
    """LU, then two substitutions per right side."""
    matrix = s.tensor("A")
    size = matrix.shape[-1]
    factors = factorizations.lu(size, size) * _batch(matrix)
    return _done(s, factors + _lu_substitution(size) * _right_sides(s, size))


@operators(check=BY_KERNEL)("""
    linalg_inv_ex(Tensor A, *, bool check_errors=False) -> (Tensor inverse, Tensor info)
""")
def _inverse(s: Signature) -> int:
    """2n³: LU, the inverse of U, and L solved from its right."""
    matrix = s.tensor("A")
    return _done(s, factorizations.inverse(matrix.shape[-1]) * _batch(matrix))


@operators(check=BY_KERNEL)("_linalg_det(Tensor A) -> (Tensor result, Tensor LU, Tensor pivots)")
def _determinant(s: Signature) -> int:
    """LU, then the product of the diagonal and of the sign of the permutation."""
    matrix = s.tensor("A")
    size = matrix.shape[-1]
    return _done(s, (factorizations.lu(size, size) + Work(products=size)) * _batch(matrix))


@operators(check=BY_KERNEL)("""
    _linalg_slogdet(Tensor A) -> (Tensor sign, Tensor logabsdet, Tensor LU, Tensor pivots)
""")
def _log_determinant(s: Signature) -> int:
    """LU; absolute value, logarithm and sum of the diagonal; its signs and their product."""
    matrix = s.tensor("A")
    size = matrix.shape[-1]
    diagonal = Work(products=size, sums=max(size - 1, 0), others=3 * size)
    return _done(s, (factorizations.lu(size, size) + diagonal) * _batch(matrix))


def ldl(s: Signature) -> int:
    """n³/3 and the search for pivots: t² − 1 and 4t − 2 with t rows left."""
    matrix = s.tensor("self")
    return _done(s, factorizations.ldl(matrix.shape[-1]) * _batch(matrix))


def ldl_solve(s: Signature) -> int:
    """Per right side two substitutions with unit diagonals, and D as if it were made of 2 × 2 blocks."""
    size = s.out.shape[-2]
    return _done(s, factorizations.ldl_substitution(size) * _right_sides(s, size))


@operators(check=BY_KERNEL)("""
    linalg_solve_triangular(Tensor self, Tensor B, *, bool upper, bool left=True, bool unitriangular=False) ->
        Tensor
    triangular_solve(Tensor self, Tensor A, bool upper=True, bool transpose=False, bool unitriangular=False)
        -> (Tensor solution, Tensor cloned_coefficient)
""")
def _triangular_solve(s: Signature) -> int:
    """n² per right side; n² − n with a unit diagonal."""
    size = (s.tensor("A") if "A" in s.arguments else s.tensor("self")).shape[-1]
    return _done(s, substitution(size, unit=bool(s["unitriangular"])) * _right_sides(s, size))


@operators(check=BY_KERNEL)("geqrf(Tensor self) -> (Tensor a, Tensor tau)")
def _reflectors(s: Signature) -> int:
    """2mn² − 2n³/3 and lower terms: the Householder vectors, and R."""
    matrix = s.tensor("self")
    return _done(s, _householder_qr(s, *_sides(matrix)) * _batch(matrix))


def _householder_qr(s: Signature, rows: int, columns: int) -> Work:
    return factorizations.householder_qr(rows, columns, of_complex=has_complex(s))


@operators(check=BY_KERNEL)('linalg_qr(Tensor A, str mode="reduced") -> (Tensor Q, Tensor R)')
def _qr(s: Signature) -> int:
    """R costs 2mn² − 2n³/3, and Q as much again; a complete Q 4m²n − 4mn² + 4n³/3. Lower terms are counted.

    Q is the product of the reflectors, with as many columns as the call returns.
    """
    matrix = s.tensor("A")
    rows, columns = _sides(matrix)
    work = _householder_qr(s, rows, columns)
    # Q holds a matrix product. When it cost nothing, a contestant trained a network for a quarter of its
    # operations (decision 0110).
    if s["mode"] != "r":
        reflectors = min(rows, columns)
        width = rows if s["mode"] == "complete" else reflectors
        work += factorizations.householder_product(rows, width, reflectors)
    return _done(s, work * _batch(matrix))


@operators(check=BY_KERNEL)("linalg_householder_product(Tensor input, Tensor tau) -> Tensor")
def _householder_product(s: Signature) -> int:
    """4mnk − 2(m + n)k² + 4k³/3 and lower terms."""
    matrix = s.tensor("input")
    work = factorizations.householder_product(*_sides(matrix), s.tensor("tau").shape[-1])
    return _done(s, work * _batch(matrix))


@operators(check=BY_KERNEL)("""
    ormqr(Tensor self, Tensor input2, Tensor input3, bool left=True, bool transpose=False) -> Tensor
""")
def _multiply_by_q(s: Signature) -> int:
    """k reflectors of length m on n columns: 4mnk − 2nk²."""
    rows, columns = _sides(s.out) if s["left"] else _sides(s.out)[::-1]
    work = factorizations.multiplied_by_q(rows, columns, s.tensor("input2").shape[-1])
    return _done(s, work * _batch(s.out))


@operators(check=least_squares)("""
    linalg_lstsq(Tensor self, Tensor b, float? rcond=None, *, str? driver=None) -> (Tensor solution, Tensor
        residuals, Tensor rank, Tensor singular_values) : dynamic
""")
def _least_squares(s: Signature) -> int:
    """QR, Qᵀb, a substitution, the residual; `gelsy`, the default, pivots; `gelsd`, `gelss` take an SVD.

    A wide matrix is factorized as its transpose, and the reflectors are applied to the solution.
    """
    matrix = s.tensor("self")
    rows, columns = _sides(matrix)
    sides, batch = _right_sides(s, columns), _batch(matrix)
    residual = Work(products=rows - columns, sums=rows - columns - 1) if rows > columns else Work()
    # These drivers return singular values, so they pay for an SVD (decision 0110).
    if s["driver"] in ("gelsd", "gelss"):
        factors = svd_operations(rows, columns, vectors=True, full=False)
        return _each(s, batch, factors) + _done(s, (_by_svd(rows, columns) + residual) * sides)
    small, large = sorted((rows, columns))
    factored = _householder_qr(s, large, small)
    # None is the default of the CPU, `gelsy`, whatever the device: a price must not depend on it.
    if s["driver"] != "gels":
        factored += _column_pivoting(large, small)
    solved = factorizations.multiplied_by_q(large, 1, small) + substitution(small)
    return _done(s, factored * batch + (solved + residual) * sides)


def _by_svd(rows: int, columns: int) -> Work:
    """Per right side: Uᵀb, a threshold and a quotient for each singular value, the product with V."""
    inner = min(rows, columns)
    return matmul(inner, rows, 1) + Work(quotients=inner, others=inner) + matmul(columns, inner, 1)


def _column_pivoting(rows: int, columns: int) -> Work:
    """The norms of the columns; each step the largest of those left, and their update by 6 operations.

    At the end the rank: each element of the diagonal against a multiple of the first.
    """
    norms = Work(products=rows, sums=max(rows - 1, 0), others=1) * columns
    left = columns * (columns - 1) // 2
    updates = Work(products=2, sums=1, quotients=1, others=3) * left
    return norms + updates + Work(products=1, others=2 * columns)


@operators(check=BY_KERNEL)("""
    _linalg_eigh(Tensor A, str UPLO="L", bool compute_v=True) -> (Tensor eigenvalues, Tensor eigenvectors)
""")
def _eigh(s: Signature) -> int:
    """9n³; values only ⌈4n³/3⌉."""
    matrix = s.tensor("A")
    return _each(s, _batch(matrix), eigh_operations(matrix.shape[-1], vectors=bool(s["compute_v"])))


@operators(check=BY_KERNEL)("linalg_eig(Tensor self) -> (Tensor eigenvalues, Tensor eigenvectors)")
def _eig(s: Signature) -> int:
    """25n³; the input decides whether that is real arithmetic."""
    return _of_eigenvalues(s, vectors=True)


def eigenvalues(s: Signature) -> int:
    """10n³."""
    return _of_eigenvalues(s, vectors=False)


def _of_eigenvalues(s: Signature, *, vectors: bool) -> int:
    matrix = s.tensor("self")
    # Eigenvalues are complex even for a real matrix, so `has_complex` of the call would charge fourfold for
    # real arithmetic.
    factor = 4 if is_complex(matrix.dtype) else 1
    return _batch(matrix) * factor * eig_operations(matrix.shape[-1], vectors=vectors)


@operators(check=BY_KERNEL)("""
    _linalg_svd(Tensor A, bool full_matrices=False, bool compute_uv=True, *, str? driver=None) -> (Tensor U,
        Tensor S, Tensor Vh)
""")
def _svd(s: Signature) -> int:
    """6mn² + 20n³, of all of U and V 4m²n + 22n³, values only 2mn² + 2n³."""
    matrix = s.tensor("A")
    vectors, full = bool(s["compute_uv"]), bool(s["full_matrices"])
    return _each(s, _batch(matrix), svd_operations(*_sides(matrix), vectors=vectors, full=full))


def polar(s: Signature) -> int:
    """SVD = WΣVᵀ; U = WVᵀ; H = VΣVᵀ."""
    matrix = s.tensor("A")
    rows, columns = _sides(matrix)
    inner = min(rows, columns)
    products = matmul(rows, inner, columns) + Work(products=inner * columns) + matmul(columns, inner, columns)
    factors = svd_operations(rows, columns, vectors=True, full=False)
    return _each(s, _batch(matrix), factors) + _done(s, products * _batch(matrix))


def hermitian_root(s: Signature) -> int:
    """A = VΛVᵀ; n roots, V scaled by them, the product with Vᵀ."""
    matrix = s.tensor("self")
    size = matrix.shape[-1]
    product = Work(products=size**2, others=size) + matmul(size, size, size)
    factors = eigh_operations(size, vectors=True)
    return _each(s, _batch(matrix), factors) + _done(s, product * _batch(matrix))


@operators(check=BY_KERNEL)("""
    linalg_pinv.atol_rtol_tensor(Tensor self, *, Tensor? atol=None, Tensor? rtol=None, bool hermitian=False)
        -> Tensor
""")
def _pseudo_inverse(s: Signature) -> int:
    """SVD (eigenvectors if Hermitian); threshold, selection, reciprocal of each value; V scaled; product.

    There may be several tolerances for one matrix: all but its factors is done for each.
    """
    matrix = s.tensor("self")
    rows, columns = _sides(matrix)
    inner = min(rows, columns)
    if s["hermitian"]:
        factors = eigh_operations(inner, vectors=True) + inner
    else:
        factors = svd_operations(rows, columns, vectors=True, full=False)
    values = Work(others=max(inner - 1, 0) + 2 + 3 * inner)
    product = Work(products=columns * inner) + matmul(columns, inner, rows)
    return _each(s, _batch(matrix), factors) + _done(s, (values + product) * _batch(s.out))


# The number of squarings follows from the norm, which no price may read (decision 0022).
EXPONENTIAL_SQUARINGS = 8
"""Squarings that every matrix exponential is charged for: enough for a norm of 5.4 · 2⁸."""


@operators(check=BY_KERNEL)("linalg_matrix_exp(Tensor self) -> Tensor")
def _matrix_exponential(s: Signature) -> int:
    """Padé of order 13 [H]: six products, a solution for n right sides, and a fixed 8 squarings."""
    matrix = s.tensor("self")
    size = matrix.shape[-1]
    solution = factorizations.lu(size, size) + _lu_substitution(size) * size
    products = matmul(size, size, size) * (6 + EXPONENTIAL_SQUARINGS)
    return _done(s, (products + solution) * _batch(matrix))
