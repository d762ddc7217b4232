"""Ways to read the result of one operator off another: what the reduction law compares.

Each reading makes its inputs for a size n and gives two functions: one that gets the result by way of
another operator, all that it needs included, and one that computes it directly.
`python -m tests.unit.prices.readings` prints the table of the counting standard's page.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt
from typing import Final, TypeAlias

import torch
from torch.nn import functional as F  # noqa: N812

from tests.oracle.recording import operations

aten = torch.ops.aten
linalg = torch.linalg

Tensor: TypeAlias = torch.Tensor
Pair: TypeAlias = tuple[Callable[[], Tensor], Callable[[], Tensor]]

SIZES: Final = (2, 3, 5, 8, 16, 64)
SHOWN: Final = 64
SMALL: Final = 1e-5
"""A factor whose square is lost: a result that holds in first order is right to about this."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read a `result` off an `operator`, both in words; `make` is given n."""

    family: str
    operator: str
    result: str
    make: Callable[[int], Pair]


READINGS: list[Reading] = []


def _reading(
    family: str, operator: str, result: str
) -> Callable[[Callable[[int], Pair]], Callable[[int], Pair]]:
    def keep(make: Callable[[int], Pair]) -> Callable[[int], Pair]:
        READINGS.append(Reading(family, operator, result, make))
        return make

    return keep


def _random(*shape: int) -> Tensor:
    """Numbers below 1 in size, so that nothing is pivoted that need not be."""
    return torch.rand(shape, dtype=torch.float64) - 0.5


def _eye(size: int, scale: float = 1.0) -> Tensor:
    return torch.eye(size, dtype=torch.float64) * scale


def _zeros(*shape: int) -> Tensor:
    return torch.zeros(shape, dtype=torch.float64)


def _blocks(*rows: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([torch.cat(row, -1) for row in rows], -2)


PRODUCT: Final = "matrix product"
LINEAR_ALGEBRA: Final = "linear algebra"


# Products off factorizations and solutions.


def _by_complete_qr(x: Tensor, w: Tensor, inner: int) -> Tensor:
    """X·W by slices of the inner dimension: Q of [0; A; P] with AᵀA + PᵀP = c·I has it in a corner."""
    rows, columns, length = len(x), w.shape[1], x.shape[1]
    y = torch.cat([x, w.T]).T.reshape(length // inner, inner, rows + columns).mT
    gram = y.mT @ y
    c = gram.diagonal(dim1=-2, dim2=-1).sum(-1).max() * 1.01 + 1e-6
    p = linalg.cholesky(_eye(inner) * c - gram, upper=True)
    stacked = torch.cat([_zeros(length // inner, inner, inner), y, p], 1)
    q = linalg.qr(stacked, mode="complete").Q
    corner: Tensor = q[:, inner : inner + rows, inner + rows : inner + rows + columns]
    return corner.sum(0) * -c


@_reading(LINEAR_ALGEBRA, "qr, complete", PRODUCT)
def _complete_qr(n: int) -> Pair:
    x, w = _random(n, n), _random(n, n)
    return lambda: _by_complete_qr(x, w, n), lambda: x @ w


@_reading(LINEAR_ALGEBRA, "qr, complete, of 8 columns at most", PRODUCT)
def _complete_qr_of_slices(n: int) -> Pair:
    x, w = _random(n, n), _random(n, n)
    inner = min(n & -n, 8)
    return lambda: _by_complete_qr(x, w, inner), lambda: x @ w


@_reading(LINEAR_ALGEBRA, "qr, complete, of single columns", PRODUCT)
def _complete_qr_of_columns(n: int) -> Pair:
    x, w = _random(n, n), _random(n, n)
    return lambda: _by_complete_qr(x, w, 1), lambda: x @ w


@_reading(LINEAR_ALGEBRA, "qr, R only", "product with its transpose")
def _gram_of_r(n: int) -> Pair:
    """R of [tX; I] is I + t²XᵀX above the diagonal, in second order."""
    x = _random(2 * n, n)
    t = 1e-3
    stacked = torch.cat([x * t, _eye(n)])
    return lambda: linalg.qr(stacked, mode="r").R.abs().triu(1) / t**2, lambda: (x.T @ x).triu(1).abs()


@_reading(LINEAR_ALGEBRA, "qr, reduced, of a column", "norm and quotient")
def _unit_vector(n: int) -> Pair:
    x = _random(n, 1)
    return lambda: linalg.qr(x).Q.abs(), lambda: (x / linalg.vector_norm(x)).abs()


def _vectors(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Householder vectors I, Bᵀ, A below each other, with scales so small that their products vanish."""
    inner = a.shape[1]
    scales = torch.full((inner,), SMALL, dtype=torch.float64)
    return torch.cat([_eye(inner), b.T, a]), scales


@_reading(LINEAR_ALGEBRA, "householder_product", PRODUCT)
def _reflectors(n: int) -> Pair:
    a, b = _random(n, n), _random(n, n)
    vectors, scales = _vectors(a, b)
    wide = torch.cat([vectors, _zeros(3 * n, n)], 1)
    return lambda: linalg.householder_product(wide, scales)[2 * n :, n:] / -SMALL, lambda: a @ b


@_reading(LINEAR_ALGEBRA, "ormqr", PRODUCT)
def _applied_reflectors(n: int) -> Pair:
    a, b = _random(n, n), _random(n, n)
    vectors, scales = _vectors(a, b)
    picked = torch.cat([_zeros(n, n), _eye(n), _zeros(n, n)])
    return lambda: torch.ormqr(vectors, scales, picked)[2 * n :] / -SMALL, lambda: a @ b


@_reading(LINEAR_ALGEBRA, "cholesky", PRODUCT)
def _cholesky(n: int) -> Pair:
    """The Schur complement c·I − XXᵀ with X = [Bᵀ; A] has A·B below its diagonal."""
    a, b = _random(n, n), _random(n, n)
    c = 1 / SMALL
    x = torch.cat([b.T, a])
    matrix = _blocks((_eye(n), x.T), (x, _eye(2 * n, c)))
    return lambda: linalg.cholesky(matrix)[2 * n :, n : 2 * n] * -(c**0.5), lambda: a @ b


@_reading(LINEAR_ALGEBRA, "cholesky of 2 × 2", "root, quotient, product, difference, root")
def _small_cholesky(n: int) -> Pair:
    x = _random(n, 2, 2)
    matrices = x @ x.mT + _eye(2)

    def directly() -> Tensor:
        first = matrices[:, 0, 0].sqrt()
        below = matrices[:, 1, 0] / first
        last = (matrices[:, 1, 1] - below * below).sqrt()
        return torch.stack(
            [torch.stack([first, torch.zeros_like(first)], -1), torch.stack([below, last], -1)], 1
        )

    return lambda: linalg.cholesky(matrices), directly


@_reading(LINEAR_ALGEBRA, "ldl_factor", PRODUCT)
def _ldl(n: int) -> Pair:
    a, b = _random(n, n), _random(n, n)
    c = 1 / SMALL
    x = torch.cat([b.T, a])
    matrix = _blocks((_eye(n), x.T), (x, _eye(2 * n, c)))
    return lambda: linalg.ldl_factor(matrix).LD[2 * n :, n : 2 * n] * -c, lambda: a @ b


@_reading(LINEAR_ALGEBRA, "lu_factor", PRODUCT)
def _lu(n: int) -> Pair:
    """The Schur complement c·I − A·B; its factors are its triangles in first order."""
    a, b = _random(n, n), _random(n, n)
    c = 1 / SMALL
    matrix = _blocks((_eye(n), b), (a, _eye(n, c)))

    def by_lu() -> Tensor:
        rest: Tensor = linalg.lu_factor(matrix).LU[n:, n:]
        return -(rest.triu(1) + rest.tril(-1) * c)

    return by_lu, lambda: (a @ b) * (1 - _eye(n))


@_reading(LINEAR_ALGEBRA, "lu_factor of a column", "maximum of absolute values")
def _pivot(n: int) -> Pair:
    x = _random(n, 1)
    return lambda: linalg.lu_factor_ex(x).LU[0, 0].abs(), lambda: x.abs().amax()


def _lower(a: Tensor) -> Tensor:
    """[I 0; −A I]: to solve with it gives A times the upper half of the right side."""
    n = len(a)
    return _blocks((_eye(n), _zeros(n, n)), (-a, _eye(n)))


def _solving(operator: str, solve: Callable[[Tensor, Tensor], Tensor]) -> None:
    @_reading(LINEAR_ALGEBRA, operator, PRODUCT)
    def make(n: int) -> Pair:
        a, b = _random(n, n), _random(n, n)
        matrix, right = _lower(a), torch.cat([b, _zeros(n, n)])
        return lambda: solve(matrix, right)[n:], lambda: a @ b


def _identity_pivots(matrix: Tensor) -> Tensor:
    return torch.arange(1, len(matrix) + 1, dtype=torch.int32)


_solving("solve", linalg.solve)
_solving("solve_triangular", lambda m, r: linalg.solve_triangular(m, r, upper=False))
_solving(
    "solve_triangular, unit diagonal",
    lambda m, r: linalg.solve_triangular(m, r, upper=False, unitriangular=True),
)
_solving("cholesky_solve", lambda m, r: torch.cholesky_solve(r, m))
_solving("lu_solve", lambda m, r: linalg.lu_solve(m, _identity_pivots(m), r))
_solving("ldl_solve", lambda m, r: linalg.ldl_solve(m, _identity_pivots(m), r))


@_reading(LINEAR_ALGEBRA, "solve_triangular of complex 1 × 1", "complex quotient")
def _complex_quotient(n: int) -> Pair:
    x, y = (
        torch.complex(_random(n, 1, 1), _random(n, 1, 1)),
        torch.complex(_random(n, 1, 1), _random(n, 1, 1)),
    )
    return lambda: linalg.solve_triangular(x, y, upper=True), lambda: y / x


@_reading(LINEAR_ALGEBRA, "inv", PRODUCT)
def _inverse(n: int) -> Pair:
    a, b = _random(n, n), _random(n, n)
    zero, one = _zeros(n, n), _eye(n)
    matrix = _blocks((one, -a, zero), (zero, one, -b), (zero, zero, one))
    return lambda: linalg.inv(matrix)[:n, 2 * n :], lambda: a @ b


@_reading(LINEAR_ALGEBRA, "cholesky_inverse", PRODUCT)
def _cholesky_inverse(n: int) -> Pair:
    a, b = _random(n, n), _random(n, n)
    zero, one = _zeros(n, n), _eye(n)
    factor = _blocks((one, zero, zero), (-b, one, zero), (zero, -a, one))
    return lambda: torch.cholesky_inverse(factor)[2 * n :, :n], lambda: a @ b


@_reading(LINEAR_ALGEBRA, "matrix_exp", PRODUCT)
def _exponential(n: int) -> Pair:
    a, b = _random(n, n), _random(n, n)
    zero = _zeros(n, n)
    matrix = _blocks((zero, a, zero), (zero, zero, b), (zero, zero, zero))
    return lambda: linalg.matrix_exp(matrix)[:n, 2 * n :] * 2, lambda: a @ b


@_reading(LINEAR_ALGEBRA, "pinv", PRODUCT)
def _pseudo_inverse(n: int) -> Pair:
    a, b = _random(n, n), _random(n, n)
    zero, one = _zeros(n, n), _eye(n)
    matrix = _blocks((one, -a, zero), (zero, one, -b), (zero, zero, one))
    return lambda: linalg.pinv(matrix)[:n, 2 * n :], lambda: a @ b


def _solution_of_least_squares(driver: str) -> None:
    @_reading(LINEAR_ALGEBRA, f"lstsq, {driver}", PRODUCT)
    def product(n: int) -> Pair:
        """The solution of [I; tA] x = [0; b] is t·Aᵀb in first order."""
        a, b = _random(n, n), _random(n, n)
        matrix, right = torch.cat([_eye(n), a.T * SMALL]), torch.cat([_zeros(n, n), b])
        return lambda: linalg.lstsq(matrix, right, driver=driver).solution / SMALL, lambda: a @ b


def _residual_of_least_squares(driver: str) -> None:
    @_reading(LINEAR_ALGEBRA, f"lstsq, {driver}, of a column", "projection and norm of the rest")
    def residual(n: int) -> Pair:
        a, b = _random(n + 1, 1), _random(n + 1, 1)

        def directly() -> Tensor:
            rest = b - a * ((a * b).sum() / (a * a).sum())
            return (rest * rest).sum(0)

        return lambda: linalg.lstsq(a, b, driver=driver).residuals, directly


for _driver in ("gels", "gelsd", "gelss"):
    _solution_of_least_squares(_driver)
    _residual_of_least_squares(_driver)
_solution_of_least_squares("gelsy")  # it returns no residuals


def _singular_values(matrix: Tensor) -> Tensor:
    """By themselves; `torch.linalg.svdvals` computes vectors too for tensors that are watched."""
    values: Tensor = aten._linalg_svd(matrix, False, False)[1]
    return values


@_reading(LINEAR_ALGEBRA, "lstsq, gelss", "singular values")
def _values_of_gelss(n: int) -> Pair:
    a, b = _random(2 * n, n), _random(2 * n, 1)
    return lambda: linalg.lstsq(a, b, driver="gelss").singular_values, lambda: _singular_values(a)


@_reading(LINEAR_ALGEBRA, "eigvalsh", "singular values")
def _values_of_eigvalsh(n: int) -> Pair:
    a = _random(n, n)
    matrix = _blocks((_zeros(n, n), a), (a.T, _zeros(n, n)))
    return lambda: aten._linalg_eigh(matrix, "L", False)[0][n:].flip(0), lambda: _singular_values(a)


@_reading(LINEAR_ALGEBRA, "svdvals", "eigenvalues of a definite matrix")
def _values_of_svd(n: int) -> Pair:
    x = _random(n, n)
    matrix = x @ x.T
    return lambda: _singular_values(matrix).flip(0), lambda: aten._linalg_eigh(matrix, "L", False)[0]


# Products off products of other kinds.


@_reading("matrix products", "addmm, beta = 0", PRODUCT)
def _addmm(n: int) -> Pair:
    a, b = _random(n, n), _random(n, n)
    return lambda: torch.addmm(a, a, b, beta=0), lambda: a @ b


@_reading("matrix products", "addbmm, beta = 0", PRODUCT)
def _addbmm(n: int) -> Pair:
    a, b = _random(n, 2 * n), _random(2 * n, n)
    halves = torch.stack([a[:, :n], a[:, n:]]), torch.stack([b[:n], b[n:]])
    return lambda: torch.addbmm(a[:, :n], *halves, beta=0), lambda: a @ b


@_reading("matrix products", "bilinear", PRODUCT)
def _bilinear(n: int) -> Pair:
    a, b = _random(n, n), _random(n, n)
    one = torch.ones(n, 1, dtype=torch.float64)
    return lambda: F.bilinear(a, one, b.T[:, :, None]), lambda: a @ b


@_reading("convolutions", "conv2d", PRODUCT)
def _convolution(n: int) -> Pair:
    a, b = _random(n, n), _random(n, n)
    return lambda: F.conv2d(a[:, :, None, None], b.T[:, :, None, None])[:, :, 0, 0], lambda: a @ b


@_reading("convolutions", "conv_transpose2d", PRODUCT)
def _transposed(n: int) -> Pair:
    a, b = _random(n, n), _random(n, n)
    return lambda: F.conv_transpose2d(a[:, :, None, None], b[:, :, None, None])[:, :, 0, 0], lambda: a @ b


@_reading("convolutions", "conv2d, backward of the weight", PRODUCT)
def _weight_gradient(n: int) -> Pair:
    a, b = _random(n, n), _random(n, n)
    gradient, images, weight = a.T[:, :, None, None], b[:, :, None, None], _zeros(n, n, 1, 1)

    def backward() -> Tensor:
        masks = [False, True, False]
        ones = [1, 1]
        found: Tensor = aten.convolution_backward(
            gradient, images, weight, None, ones, [0, 0], ones, False, [0, 0], 1, masks
        )[1]
        return found[:, :, 0, 0]

    return backward, lambda: a @ b


@_reading("attention", "scaled_dot_product_attention", PRODUCT)
def _attention(n: int) -> Pair:
    """Softmax of the logarithms of weights that add up to 1 is these weights."""
    p, v = _random(n, n).abs() + 0.1, _random(n, n)
    p = p / p.sum(1, keepdim=True)
    eye = _eye(n)[None, None]

    def attend() -> Tensor:
        return F.scaled_dot_product_attention(p.log()[None, None], eye, v[None, None], scale=1.0)[0, 0]

    return attend, lambda: p @ v


@_reading("attention", "scaled_dot_product_attention, backward", PRODUCT)
def _attention_backward(n: int) -> Pair:
    """The gradient of V is PᵀdO."""
    p, g = _random(n, n).abs() + 0.1, _random(n, n)
    p = p / p.sum(1, keepdim=True)
    q, k, v = p.log()[None, None], _eye(n)[None, None], _zeros(1, 1, n, n)
    normalizer = _zeros(1, 1, n)

    def backward() -> Tensor:
        found: Tensor = aten._scaled_dot_product_flash_attention_for_cpu_backward(
            g[None, None], q, k, v, v, normalizer, 0.0, False, scale=1.0
        )[2]
        return found[0, 0]

    return backward, lambda: p.T @ g


@_reading("distances", "cdist, p = 2", PRODUCT)
def _distance(n: int) -> Pair:
    """2ab = a² + b² − (a − b)²."""
    a, b = _random(n, n), _random(n, n)

    def read() -> Tensor:
        distance = torch.cdist(a, b.T, compute_mode="donot_use_mm_for_euclid_dist")
        squares = (a * a).sum(1)[:, None] + (b * b).sum(0)
        return (squares - distance * distance) / 2

    return read, lambda: a @ b


@_reading("distances", "cdist, p = 1", "sums of absolute values")
def _manhattan(n: int) -> Pair:
    a, b = _random(n, n), _random(n, n)
    return lambda: torch.cdist(a, b, p=1), lambda: (a[:, None] - b).abs().sum(-1)


@_reading("distances", "cdist, backward", PRODUCT)
def _distance_backward(n: int) -> Pair:
    """With all distances 1 and x₁ = 0 the gradient is −G·x₂."""
    g, x = _random(n, n), _random(n, n)
    ones, zero = torch.ones_like(g), _zeros(n, n)
    return lambda: -aten._cdist_backward(g, zero, x, 2.0, ones), lambda: g @ x


@_reading("embedding_bag", "embedding_bag with weights", PRODUCT)
def _bag(n: int) -> Pair:
    a, b = _random(n, n), _random(n, n)
    every = torch.arange(n).repeat(n, 1)
    return lambda: F.embedding_bag(every, b, mode="sum", per_sample_weights=a), lambda: a @ b


@_reading("embedding_bag", "embedding_bag", "reads and sums")
def _bag_of_reads(n: int) -> Pair:
    table, index = _random(n, n), torch.randint(0, n, (n, n))
    return lambda: F.embedding_bag(index, table, mode="sum"), lambda: F.embedding(index, table).sum(1)


@_reading("embedding_bag", "embedding_bag, backward of the weights", "reads and inner products")
def _bag_weights(n: int) -> Pair:
    table, gradient = _random(n, n), _random(n, n)
    bags = torch.arange(n)
    index = torch.randint(0, n, (n,))
    return (
        lambda: aten._embedding_bag_per_sample_weights_backward(gradient, table, index, bags, bags, 0),
        lambda: (table[index] * gradient).sum(1),
    )


@_reading("sampling", "affine_grid", PRODUCT)
def _grid(n: int) -> Pair:
    theta = _random(n, 2, 3)
    places = torch.tensor([[x, y, 1.0] for y in (-1, 1) for x in (-1, 1)], dtype=torch.float64)
    return (
        lambda: F.affine_grid(theta, [n, 1, 2, 2], align_corners=True).flatten(1, 2),
        lambda: places.expand(n, 4, 3) @ theta.mT,
    )


@_reading("sampling", "grid_sample, nearest", "reads by index")
def _sampled(n: int) -> Pair:
    row, index = _random(1, 1, 1, n), torch.randint(0, n, (n,))
    x = index.double() * (2 / (n - 1)) - 1
    grid = torch.stack([x, torch.zeros_like(x)], -1)[None, None]
    return lambda: F.grid_sample(row, grid, "nearest", align_corners=True)[0, 0, 0], lambda: row[0, 0, 0][
        index
    ]


# Scans and reductions.


@_reading("scans", "cumsum", "sum")
def _cumsum(n: int) -> Pair:
    x = _random(n, n)
    return lambda: x.cumsum(1)[:, -1], lambda: x.sum(1)


@_reading("scans", "cumprod", "product of a row")
def _cumprod(n: int) -> Pair:
    x = _random(n, n)
    return lambda: x.cumprod(1)[:, -1], lambda: x.prod(1)


@_reading("scans", "cummax", "maximum")
def _cummax(n: int) -> Pair:
    x = _random(n, n)
    return lambda: x.cummax(1).values[:, -1], lambda: x.amax(1)


@_reading("scans", "logcumsumexp", "logsumexp")
def _logcumsumexp(n: int) -> Pair:
    x = _random(n, n)
    return lambda: x.logcumsumexp(1)[:, -1], lambda: x.logsumexp(1)


@_reading("reductions", "log_softmax", "logsumexp")
def _log_softmax(n: int) -> Pair:
    x = _random(n, n)
    return lambda: x[:, 0] - x.log_softmax(1)[:, 0], lambda: x.logsumexp(1)


@_reading("reductions", "softmax, backward", "inner products")
def _softmax_backward(n: int) -> Pair:
    g, y = _random(n, n), _random(n, n)
    return (
        lambda: g[:, 0] - aten._softmax_backward_data(g, y, 1, torch.float64)[:, 0] / y[:, 0],
        lambda: (g * y).sum(1),
    )


@_reading("reductions", "vector_norm", "inner product")
def _norm(n: int) -> Pair:
    """4xy = (x + y)² − (x − y)²."""
    x, y = _random(n), _random(n)
    return (
        lambda: (linalg.vector_norm(x + y) ** 2 - linalg.vector_norm(x - y) ** 2) / 4,
        lambda: torch.dot(x, y),
    )


@_reading("reductions", "any, of single numbers", "comparison with 0")
def _truths(n: int) -> Pair:
    x = _random(n).relu()
    return lambda: x[:, None].any(1), lambda: x != 0


@_reading("losses", "mse_loss, backward", "difference, and two products")
def _squared_error_backward(n: int) -> Pair:
    g, x, y = _random(n), _random(n), _random(n)
    return lambda: aten.mse_loss_backward(g, x, y, 2), lambda: (x - y) * g * 2


@_reading("reductions", "var", "sum of squares")
def _variance(n: int) -> Pair:
    x = _random(n)
    centred = torch.cat([x, -x])
    return lambda: centred.var(correction=0) * n, lambda: (x * x).sum()


@_reading("normalisations", "layer_norm, backward of the weight", "inner products")
def _norm_weight(n: int) -> Pair:
    g, x = _random(n, n), _random(n, n)
    zero, one = _zeros(n, 1), torch.ones(n, 1, dtype=torch.float64)
    return (
        lambda: aten.native_layer_norm_backward(
            g, x, [n], zero, one, one[:, 0], one[:, 0], [False, True, False]
        )[1],
        lambda: (g * x).sum(0),
    )


@_reading("normalisations", "batch_norm", "mean")
def _batch_mean(n: int) -> Pair:
    x = _random(n, n)
    return lambda: aten.native_batch_norm(x, None, None, None, None, True, 0.0, 1e-5)[1], lambda: x.mean(0)


# Pooling, resizing, transforms.


def _square(n: int) -> int:
    """The side of an image of about n·n pixels that windows of 2 divide."""
    return 2 * max(isqrt(n), 1)


@_reading("pooling", "avg_pool2d", "sums of windows")
def _average(n: int) -> Pair:
    side = _square(n)
    x = _random(1, 1, side, side)
    parts = x.reshape(side // 2, 2, side // 2, 2)
    return lambda: F.avg_pool2d(x, 2, divisor_override=1)[0, 0], lambda: parts.sum((1, 3))


@_reading("pooling", "avg_pool2d, backward", "sums over windows that share elements")
def _average_backward(n: int) -> Pair:
    side = _square(n) + 1
    g, x = _random(1, 1, side - 1, side - 1), _zeros(1, 1, side, side)
    columns = g.reshape(1, 1, -1).expand(1, 4, -1)
    return (
        lambda: aten.avg_pool2d_backward(g, x, [2, 2], [1, 1], [0, 0], False, True, 1),
        lambda: F.fold(columns, side, 2),
    )


@_reading("pooling", "max_pool2d", "maxima of windows")
def _maximum(n: int) -> Pair:
    side = _square(n)
    x = _random(1, 1, side, side)
    return lambda: F.max_pool2d(x, 2)[0, 0], lambda: x.reshape(side // 2, 2, side // 2, 2).amax((1, 3))


@_reading("pooling", "max_pool2d, backward, windows that overlap", "scatter_add")
def _maximum_backward(n: int) -> Pair:
    side = _square(n) + 1
    x, g = _random(1, 1, side, side), _random(1, 1, side - 1, side - 1)
    index = F.max_pool2d(x, 2, 1, return_indices=True)[1]
    return (
        lambda: aten.max_pool2d_with_indices_backward(
            g, x, [2, 2], [1, 1], [0, 0], [1, 1], False, index
        ).flatten(),
        lambda: _zeros(side * side).scatter_add(0, index.flatten(), g.flatten()),
    )


@_reading("pooling", "max_pool2d, backward, windows apart", "scatter")
def _maximum_backward_apart(n: int) -> Pair:
    side = _square(n)
    x, g = _random(1, 1, side, side), _random(1, 1, side // 2, side // 2)
    index = F.max_pool2d(x, 2, return_indices=True)[1]
    return (
        lambda: aten.max_pool2d_with_indices_backward(
            g, x, [2, 2], [2, 2], [0, 0], [1, 1], False, index
        ).flatten(),
        lambda: _zeros(side * side).scatter(0, index.flatten(), g.flatten()),
    )


@_reading("pooling", "max_unpool2d", "scatter")
def _unpool(n: int) -> Pair:
    side = _square(n)
    x, index = _random(1, 1, 2, side), torch.randperm(4 * side)[: 2 * side].reshape(1, 1, 2, side)
    return (
        lambda: aten.max_unpool2d(x, index, [4, side]).flatten(),
        lambda: _zeros(4 * side).scatter(0, index.flatten(), x.flatten()),
    )


@_reading("interpolation", "interpolate, bilinear", "avg_pool2d")
def _half_size(n: int) -> Pair:
    x = _random(1, 1, _square(n), _square(n))
    return lambda: F.interpolate(x, scale_factor=0.5, mode="bilinear"), lambda: F.avg_pool2d(x, 2)


@_reading("interpolation", "interpolate, bilinear, antialiased", "two convolutions")
def _antialiased(n: int) -> Pair:
    """To half of the size, away from the border: windows of four along each axis."""
    side = _square(n) + 6
    x = _random(1, 1, side, side)
    tent = torch.tensor([1, 3, 3, 1], dtype=torch.float64) / 8

    def directly() -> Tensor:
        narrowed = F.conv2d(x, tent[None, None, None], stride=(1, 2), padding=(0, 1))
        return F.conv2d(narrowed, tent[None, None, :, None], stride=(2, 1), padding=(1, 0))[..., 1:-1, 1:-1]

    return (
        lambda: F.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True)[..., 1:-1, 1:-1],
        directly,
    )


@_reading("interpolation", "interpolate, nearest, backward", "sums of windows")
def _nearest_backward(n: int) -> Pair:
    side = _square(n)
    g = _random(1, 1, side, side)
    return (
        lambda: aten.upsample_nearest2d_backward(g, [side, side], [1, 1, side // 2, side // 2])[0, 0],
        lambda: g.reshape(side // 2, 2, side // 2, 2).sum((1, 3)),
    )


@_reading("Fourier transforms", "rfft", "sum")
def _constant_term(n: int) -> Pair:
    x = _random(n)
    return lambda: torch.fft.rfft(x).real[0], lambda: x.sum()


@_reading("Fourier transforms", "fft of 2", "sum and difference")
def _butterfly(n: int) -> Pair:
    x = torch.complex(_random(n, 2), _random(n, 2))
    return (
        lambda: torch.fft.fft(x),
        lambda: torch.stack([x[:, 0] + x[:, 1], x[:, 0] - x[:, 1]], 1),
    )


# Reading and writing by index.


@_reading("indexing", "index_put, accumulate", "scatter_add")
def _accumulate(n: int) -> Pair:
    x, index, values = _random(n), torch.randint(0, n, (n,)), _random(n)
    return lambda: x.index_put((index,), values, accumulate=True), lambda: x.scatter_add(0, index, values)


@_reading("indexing", "index_put, accumulate", "sum")
def _accumulated_sum(n: int) -> Pair:
    x, index = _random(n), torch.zeros(n, dtype=torch.long)
    return lambda: _zeros(1).index_put((index,), x, accumulate=True), lambda: x.sum(0, keepdim=True)


@_reading("indexing", "index_add, alpha", "product by a number, and scatter_add")
def _index_add(n: int) -> Pair:
    x, index, values = _random(n), torch.randint(0, n, (n,)), _random(n)
    return (
        lambda: x.index_add(0, index, values, alpha=0.5),
        lambda: x.scatter_add(0, index, values * 0.5),
    )


@_reading("indexing", "embedding, backward", "index_add")
def _embedding_backward(n: int) -> Pair:
    g, index = _random(n, n), torch.randint(0, n, (n,))
    return (
        lambda: aten.embedding_dense_backward(g, index, n, -1, False),
        lambda: _zeros(n, n).index_add(0, index, g),
    )


@_reading("indexing", "scatter_reduce, amax", "maximum")
def _scatter_maximum(n: int) -> Pair:
    x, index = _random(n), torch.zeros(n, dtype=torch.long)
    return lambda: x[:1].scatter_reduce(0, index, x, "amax"), lambda: x.amax(0, keepdim=True)


@_reading("indexing", "bincount with weights", "scatter_add")
def _bincount(n: int) -> Pair:
    index, values = torch.randint(0, n, (n,)), _random(n)
    return lambda: torch.bincount(index, values, n), lambda: _zeros(n).scatter_add(0, index, values)


@_reading("indexing", "nll_loss", "reads by index")
def _loss(n: int) -> Pair:
    x, target = _random(n, n), torch.randint(0, n, (n,))
    return lambda: F.nll_loss(x, target, reduction="none"), lambda: -x.gather(1, target[:, None])[:, 0]


@_reading("indexing", "isin", "comparisons, and any of them")
def _member(n: int) -> Pair:
    x, others = torch.randint(0, n, (n,)), torch.randint(0, n, (n,))
    return lambda: torch.isin(x, others), lambda: (x[:, None] == others).any(1)


# Sorting and selection, elementwise and random operators.


@_reading("sorting", "sort", "maximum and minimum")
def _sorted(n: int) -> Pair:
    x = _random(n, n)
    return lambda: x.sort(1).values[:, [0, -1]], lambda: torch.stack([x.amin(1), x.amax(1)], 1)


@_reading("sorting", "topk, k = n", "sort")
def _top(n: int) -> Pair:
    x = _random(n, n)
    return lambda: x.topk(n).values, lambda: x.sort(descending=True).values


@_reading("sorting", "kthvalue, k = n", "maximum")
def _last(n: int) -> Pair:
    x = _random(n, n)
    return lambda: x.kthvalue(n).values, lambda: x.amax(1)


@_reading("sorting", "unique", "sort")
def _distinct(n: int) -> Pair:
    x = _random(n)
    return lambda: torch.unique(x), lambda: x.sort().values


@_reading("elementwise", "addcmul", "product")
def _addcmul(n: int) -> Pair:
    x, y, zero = _random(n), _random(n), _zeros(n)
    return lambda: torch.addcmul(zero, x, y), lambda: x * y


@_reading("elementwise", "lerp", "product")
def _lerp(n: int) -> Pair:
    x, y, zero = _random(n), _random(n), _zeros(n)
    return lambda: torch.lerp(zero, x, y), lambda: x * y


@_reading("elementwise", "tanh, backward", "product")
def _tanh_backward(n: int) -> Pair:
    x, zero = _random(n), _zeros(n)
    return lambda: aten.tanh_backward(x, zero), lambda: x * 1.0


@_reading("elementwise", "dropout, backward", "two products")
def _dropout_backward(n: int) -> Pair:
    x, mask = _random(n), _random(n) > 0
    return lambda: aten.native_dropout_backward(x, mask, 1.5), lambda: x * mask * 1.5


@_reading("elementwise", "isnan of complex numbers", "two tests and their disjunction")
def _complex_nan(n: int) -> Pair:
    z = torch.complex(_random(n), _random(n))
    return lambda: z.isnan(), lambda: z.real.isnan() | z.imag.isnan()


@_reading("random numbers", "_sample_dirichlet", "quotients by a sum")
def _dirichlet(n: int) -> Pair:
    """With huge parameters a draw is their share of the sum."""
    x = _random(n).abs() + 0.1
    huge = x * 1e15
    return lambda: torch._sample_dirichlet(huge), lambda: x / x.sum()


def table(size: int = SHOWN) -> list[str]:
    """The rows of the page: operator, result, and both prices for size n."""
    torch.manual_seed(0)
    rows = []
    for reading in READINGS:
        read, directly = reading.make(size)
        prices = operations(read), operations(directly)
        rows.append(f"| `{reading.operator}` | {reading.result} | {prices[0]:,} | {prices[1]:,} |")
    return rows


if __name__ == "__main__":
    print("\n".join(table()))  # noqa: T201
