"""Prices of version 1 of the counting standard that version 2 has changed, for records that it priced.

Linear algebra goes by published counts. [G] Golub and Van Loan, Matrix Computations, 4th ed.: LU 3.2,
Cholesky 4.2, QR 5.2, symmetric eigenproblem 8.3, SVD 8.6. [L] LAPACK Working Note 41: inverse and
Householder products. [H] Higham 2005, The scaling and squaring method for the matrix exponential revisited.
A complex product and sum are 8 real operations where a real pair is 2.
"""

from math import prod

import haet_eval.operators.plain  # noqa: F401  (a former price needs a present one)
from haet_eval.operators.dtypes import is_complex
from haet_eval.operators.linalg import eigh_operations, svd_operations
from haet_eval.operators.losses import incoming_operations
from haet_eval.operators.pointwise import has_complex, per_element, real_or_complex
from haet_eval.operators.pricing.integers import ceiling_division, real_scalars, row_length, rows
from haet_eval.operators.reductions import folding
from haet_eval.operators.signature import CONJUGATE, NEGATIVE, Signature, TensorMeta
from haet_eval.operators.table import overloads, superseded

_FUNCTION = ".default .out"


# None of this may be corrected: `verify` prices records of version 1 by it, and a test has 2,000 of its
# prices.
def lu_operations(rows: int, columns: int) -> int:
    """LU of m × n: ⌈2n³/3⌉ for m = n [G]; mn² − n³/3 scaled for the other shapes."""
    small, large = sorted((rows, columns))
    return ceiling_division(3 * large * small**2 - small**3, 3)


def cholesky_operations(size: int) -> int:
    """Cholesky: ⌈n³/3⌉ [G]."""
    return ceiling_division(size**3, 3)


def qr_operations(rows: int, columns: int) -> int:
    """Householder QR of m × n, m ≥ n: 2mn² − ⌈2n³/3⌉ [G]; a wide matrix by its transpose's count."""
    small, large = sorted((rows, columns))
    return 2 * large * small**2 - ceiling_division(2 * small**3, 3)


def triangular_operations(size: int, right_sides: int, *, unit: bool = False) -> int:
    """Substitution: n² per right side, exactly; n² − n if the diagonal is one."""
    return (size**2 - (size if unit else 0)) * right_sides


def substitution_operations(size: int, right_sides: int) -> int:
    """Forward with a unit diagonal, then back."""
    return triangular_operations(size, right_sides, unit=True) + triangular_operations(size, right_sides)


def matmul_operations(rows: int, inner: int, columns: int) -> int:
    """n(2K − 1)."""
    return rows * columns * max(2 * inner - 1, 0)


def householder_operations(rows: int, columns: int, reflectors: int) -> int:
    """Q of m × n from k reflectors: 4mnk − 2(m + n)k² + ⌈4k³/3⌉ [L]."""
    quadratic = 4 * rows * columns * reflectors - 2 * (rows + columns) * reflectors**2
    return quadratic + ceiling_division(4 * reflectors**3, 3)


def _sides(meta: TensorMeta) -> tuple[int, int]:
    """Rows and columns."""
    return meta.shape[-2], meta.shape[-1]


def _batch(meta: TensorMeta) -> int:
    return prod(meta.shape[:-2])


def _each(s: Signature, matrices: int, operations: int) -> int:
    """So many matrices; complex ones four times."""
    return matrices * operations * (4 if has_complex(s) else 1)


@superseded(1, *overloads("linalg_cholesky_ex", ".default .L"))
def _cholesky(s: Signature) -> int:
    """⌈n³/3⌉."""
    matrix = s.tensor("self")
    return _each(s, _batch(matrix), cholesky_operations(matrix.shape[-1]))


@superseded(1, *overloads("cholesky_inverse", _FUNCTION))
def _cholesky_inverse(s: Signature) -> int:
    """⌈2n³/3⌉ [L]."""
    matrix = s.tensor("self")
    return _each(s, _batch(matrix), ceiling_division(2 * matrix.shape[-1] ** 3, 3))


@superseded(1, *overloads("cholesky_solve _cholesky_solve_helper", _FUNCTION))
def _cholesky_solve(s: Signature) -> int:
    """Two substitutions."""
    size = s.out.shape[-2]
    return _each(s, _batch(s.out), 2 * triangular_operations(size, s.out.shape[-1]))


@superseded(1, *overloads("linalg_lu_factor_ex", _FUNCTION), *overloads("linalg_lu", _FUNCTION))
def _lu(s: Signature) -> int:
    """⌈2n³/3⌉."""
    matrix = s.tensor("A")
    return _each(s, _batch(matrix), lu_operations(*_sides(matrix)))


@superseded(1, *overloads("linalg_lu_solve", _FUNCTION))
def _lu_solve(s: Signature) -> int:
    """Two substitutions per right side."""
    matrix = s.tensor("LU")
    rights = s.out.numel // max(matrix.shape[-1], 1)
    return _each(s, 1, substitution_operations(matrix.shape[-1], rights))


@superseded(1, *overloads("_linalg_solve_ex", ".default .result"))
def _solve(s: Signature) -> int:
    """LU, then two substitutions per right side."""
    matrix = s.tensor("A")
    size = matrix.shape[-1]
    factors = _each(s, _batch(matrix), lu_operations(size, size))
    return factors + _each(s, 1, substitution_operations(size, s.out.numel // max(size, 1)))


@superseded(1, *overloads("linalg_inv_ex", ".default .inverse"))
def _inverse(s: Signature) -> int:
    """2n³ [L]."""
    matrix = s.tensor("A")
    return _each(s, _batch(matrix), 2 * matrix.shape[-1] ** 3)


@superseded(1, *overloads("_linalg_det", ".default .result"))
def _determinant(s: Signature) -> int:
    """LU, then the product of the diagonal and of the sign of the permutation."""
    matrix = s.tensor("A")
    size = matrix.shape[-1]
    return _each(s, _batch(matrix), lu_operations(size, size) + size)


@superseded(1, *overloads("_linalg_slogdet", ".default .sign"))
def _log_determinant(s: Signature) -> int:
    """LU; absolute value, logarithm and sum of the diagonal; its signs and their product."""
    matrix = s.tensor("A")
    size = matrix.shape[-1]
    return _each(s, _batch(matrix), lu_operations(size, size) + max(5 * size - 1, 0))


@superseded(1, *overloads("linalg_ldl_factor_ex", _FUNCTION))
def _ldl(s: Signature) -> int:
    """As Cholesky: ⌈n³/3⌉ [G]."""
    return _cholesky(s)


@superseded(1, *overloads("linalg_ldl_solve", _FUNCTION))
def _ldl_solve(s: Signature) -> int:
    """Two substitutions with unit diagonals and n divisions per right side."""
    size = s.out.shape[-2]
    per_side = 2 * triangular_operations(size, 1, unit=True) + size
    return _each(s, _batch(s.out), per_side * s.out.shape[-1])


@superseded(
    1, *overloads("linalg_solve_triangular", _FUNCTION), *overloads("triangular_solve", ".default .X")
)
def _triangular_solve(s: Signature) -> int:
    """n² per right side."""
    matrix = s.tensor("A") if "A" in s.arguments else s.tensor("self")
    size = matrix.shape[-1]
    rights = s.out.numel // max(size, 1)
    return _each(s, 1, triangular_operations(size, rights, unit=bool(s["unitriangular"])))


@superseded(1, *overloads("linalg_qr", _FUNCTION), *overloads("geqrf", ".default .a"))
def _qr(s: Signature) -> int:
    """2mn² − ⌈2n³/3⌉."""
    matrix = s.tensor("A") if "A" in s.arguments else s.tensor("self")
    return _each(s, _batch(matrix), qr_operations(*_sides(matrix)))


@superseded(1, *overloads("linalg_householder_product", _FUNCTION))
def _householder_product(s: Signature) -> int:
    """4mnk − 2(m + n)k² + ⌈4k³/3⌉."""
    matrix = s.tensor("input")
    operations = householder_operations(*_sides(matrix), s.tensor("tau").shape[-1])
    return _each(s, _batch(matrix), operations)


@superseded(1, *overloads("ormqr", _FUNCTION))
def _multiply_by_q(s: Signature) -> int:
    """k reflectors of length m on n columns: 4mnk − 2nk² [L]."""
    rows, columns = _sides(s.out) if s["left"] else _sides(s.out)[::-1]
    reflectors = s.tensor("input2").shape[-1]
    return _each(s, _batch(s.out), 4 * rows * columns * reflectors - 2 * columns * reflectors**2)


@superseded(1, *overloads("linalg_lstsq", _FUNCTION))
def _least_squares(s: Signature) -> int:
    """QR, Qᵀb, substitution [G], whatever the driver."""
    matrix = s.tensor("self")
    small, large = sorted(_sides(matrix))
    sides = s.out.numel // max(matrix.shape[-1], 1)
    per_side = 4 * large * small - 2 * small**2 + small**2
    return _each(s, _batch(matrix), qr_operations(large, small)) + _each(s, sides, per_side)


@superseded(1, *overloads("linalg_polar", _FUNCTION))
def _polar(s: Signature) -> int:
    """SVD = WΣVᵀ; U = WVᵀ; H = VΣVᵀ."""
    matrix = s.tensor("A")
    rows, columns = _sides(matrix)
    inner = min(rows, columns)
    unitary = matmul_operations(rows, inner, columns)
    hermitian = inner * columns + matmul_operations(columns, inner, columns)
    factors = svd_operations(rows, columns, vectors=True, full=False)
    return _each(s, _batch(matrix), factors + unitary + hermitian)


@superseded(1, *overloads("linalg_matrix_sqrth", _FUNCTION))
def _hermitian_root(s: Signature) -> int:
    """A = VΛVᵀ; n roots, V scaled by them, the product with Vᵀ."""
    matrix = s.tensor("self")
    size = matrix.shape[-1]
    product = size + size**2 + matmul_operations(size, size, size)
    return _each(s, _batch(matrix), eigh_operations(size, vectors=True) + product)


@superseded(1, *overloads("linalg_pinv", ".atol_rtol_tensor .atol_rtol_tensor_out"))
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
    values = max(inner - 1, 0) + 2 + 3 * inner
    product = columns * inner + matmul_operations(columns, inner, rows)
    return _each(s, _batch(matrix), factors) + _each(s, _batch(s.out), values + product)


EXPONENTIAL_SQUARINGS = 8
"""Squarings that every matrix exponential is charged for: enough for a norm of 5.4 · 2⁸."""


@superseded(1, *overloads("linalg_matrix_exp", _FUNCTION))
def _matrix_exponential(s: Signature) -> int:
    """Padé of order 13 [H]: six products, a solution for n right sides, and a fixed 8 squarings."""
    matrix = s.tensor("self")
    size = matrix.shape[-1]
    solution = lu_operations(size, size) + substitution_operations(size, size)
    products = (6 + EXPONENTIAL_SQUARINGS) * matmul_operations(size, size, size)
    return _each(s, _batch(matrix), products + solution)


# The backward of dropout, without the scaling of its mask.


@superseded(1, *overloads("native_dropout_backward _masked_scale", ".default .out"))
def _backward(signature: Signature) -> int:
    """A product with the scaled mask."""
    return signature.out.numel


# The backward of the squared error, as if every incoming gradient were one number unless it is asked for.


@superseded(1, *overloads("mse_loss_backward", ".default .grad_input"))
def _mse_backward(signature: Signature) -> int:
    """2n + 1: (x − y) · 2g, with 2g/n formed once; 3n without a reduction."""
    elements = signature.out.numel
    return 3 * elements if signature["reduction"] == 0 else 2 * elements + 1 + incoming_operations(signature)


# The prices of version 1 for lazy bits: the call that makes a view pays, and the reads are free.


_SET = "aten.set_.source_Tensor"


@superseded(1, "aten._conj.default", "aten._neg_view.default")
def _sign_change(signature: Signature) -> int:
    """One negation of each element, however late it happens; none for the conjugate of real numbers."""
    parts = 2 if "_neg_view" in signature.operator and has_complex(signature) else 1
    return signature.out.numel * parts if has_complex(signature) or "_neg_view" in signature.operator else 0


@superseded(
    1,
    *overloads("as_strided", ".default _.default"),
    *overloads("as_strided_copy as_strided_scatter", _FUNCTION),
    _SET,
)
def _reaching_view(signature: Signature) -> int:
    """Free, unless the tensor has lazy bits: then it shows new elements, and the bits of these have a price.

    `as_strided` shows any element of the memory, and `set_` shows another memory. Otherwise these elements
    would be negated or conjugated at no cost.
    """
    bits = signature.tensor("self").bits
    if signature.operator == _SET:
        bits ^= signature.tensor("source").bits
    return _flips(bits, signature.out)


def _flips(bits: int, meta: TensorMeta) -> int:
    """One sign change for each element that a lazy bit conjugates, two for a complex one that it negates."""
    parts = 2 if is_complex(meta.dtype) else 1
    return meta.numel * ((bits & CONJUGATE > 0) + parts * (bits & NEGATIVE > 0))


# The test for NaN of complex numbers, without the disjunction of its two tests.


superseded(1, *overloads("isnan", ".default .out"))(per_element(1, 2))


# The backward of max pooling, without the additions of overlapping windows.


@superseded(
    1,
    *overloads(
        "adaptive_max_pool2d_backward adaptive_max_pool3d_backward fractional_max_pool2d_backward "
        "fractional_max_pool3d_backward max_pool2d_with_indices_backward max_pool3d_with_indices_backward",
        ".default .grad_input",
    ),
)
def _max_pool_backward(s: Signature) -> int:
    """Each gradient goes to the place of its maximum."""
    return s.tensor("grad_output").numel


# Draws whose parameters are tensors, at one operation each.


@superseded(
    1,
    *overloads(
        "normal",
        ".Tensor_Tensor .Tensor_Tensor_out .Tensor_float .Tensor_float_out .float_Tensor .float_Tensor_out",
    ),
    *overloads("_sample_dirichlet binomial poisson _standard_gamma", ".default .out"),
    *overloads("bernoulli", ".Tensor .Tensor_out .default .out"),
    "aten.bernoulli_.Tensor",
)
def _draws(s: Signature) -> int:
    """One per number drawn; a complex number is two."""
    return real_scalars(s.out)


# Truth values of numbers, without the comparison with 0.


@superseded(
    1,
    *overloads("any all", ".default .out .dim .dims .dims_out .all_out"),
    *overloads("_is_all_true _is_any_true", ".default"),
)
def _joined(signature: Signature) -> int:
    """|in| − n: one conjunction or disjunction for each value after the first."""
    folds = folding(signature.tensor("self").numel, signature.out.numel)
    return folds * real_or_complex(signature, 1, None)


# Selection by rank at the price of a maximum.


@superseded(1, *overloads("kthvalue", ".default .values"), *overloads("median", ".dim .dim_values"))
def _selection(s: Signature) -> int:
    """L − 1 per row."""
    return _selection_along(s.tensor("self"), s.integers("dim")[0])


@superseded(1, *overloads("nanmedian", ".dim .dim_values"))
def _selection_without_nan(s: Signature) -> int:
    """A test for NaN per element, then L − 1 per row."""
    values = s.tensor("self")
    return values.numel + _selection_along(values, s.integers("dim")[0])


def _selection_along(values: TensorMeta, dim: int) -> int:
    return rows(values, dim) * max(row_length(values, dim) - 1, 0)


@superseded(1, *overloads("median", ".default .out"))
def _median(s: Signature) -> int:
    """One row of all elements: L − 1."""
    return max(s.tensor("self").numel - 1, 0)


@superseded(1, *overloads("nanmedian", ".default .out"))
def _nanmedian(s: Signature) -> int:
    """A test for NaN per element, then L − 1."""
    return s.tensor("self").numel + _median(s)
