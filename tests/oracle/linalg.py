"""Substitution, multiplication, factorization, written out for one matrix."""

from tests.oracle.counted import Counted, Tally, dot, largest, sqrt

Matrix = list[list[Counted]]


def substitution(tally: Tally, size: int, *, unit: bool) -> None:
    """Solve a triangular system for one right side."""
    matrix, right = tally.tensor([size, size]), tally.tensor([size])
    solution: list[Counted] = []
    for row in range(size):
        value = right[row]
        for column in range(row):
            value = value - matrix[row][column] * solution[column]
        solution.append(value if unit else value / matrix[row][row])


def lu(tally: Tally, rows: int, columns: int) -> None:
    """With partial pivoting: the pivot is the largest |x| among the rows left of its column."""
    matrix = tally.tensor([rows, columns])
    for pivot in range(min(rows, columns)):
        sizes = [abs(matrix[row][pivot]) for row in range(pivot, rows)]
        best = largest(sizes)
        place = pivot + next(i for i, size in enumerate(sizes) if size.value == best.value)
        matrix[pivot], matrix[place] = matrix[place], matrix[pivot]
        for row in range(pivot + 1, rows):
            factor = matrix[row][pivot] / matrix[pivot][pivot]
            for column in range(pivot + 1, columns):
                matrix[row][column] = matrix[row][column] - factor * matrix[pivot][column]


def triangular_inverse(tally: Tally, size: int) -> Matrix:
    """Of a lower triangle, column by column."""
    matrix = tally.tensor([size, size])
    inverse: Matrix = [[] for _ in range(size)]
    for column in range(size):
        found = {column: 1 / matrix[column][column]}
        for row in range(column + 1, size):
            value = -(matrix[row][column] * found[column])
            for k in range(column + 1, row):
                value = value - matrix[row][k] * found[k]
            found[row] = value / matrix[row][row]
        for row, value in found.items():
            inverse[row].append(value)
    return inverse


def inverse_from_cholesky(tally: Tally, size: int) -> None:
    """(LLᵀ)⁻¹ = MᵀM with M = L⁻¹, of which the lower triangle is enough."""
    m = triangular_inverse(tally, size)
    for row in range(size):
        for column in range(row + 1):
            dot([m[k][row] for k in range(row, size)], [m[k][column] for k in range(row, size)])


def ldl(tally: Tally, size: int) -> None:
    """LDLᵀ; before each step but the last a search of two columns, as Bunch and Kaufman's."""
    matrix = tally.tensor([size, size])
    for step in range(size):
        for _ in range(2 if step + 1 < size else 0):
            largest([abs(matrix[row][step]) for row in range(step, size)])
        kept = {row: matrix[row][step] for row in range(step + 1, size)}
        for row in range(step + 1, size):
            factor = matrix[row][step] / matrix[step][step]
            for column in range(step + 1, row + 1):
                matrix[row][column] = matrix[row][column] - factor * kept[column]


def householder_qr(
    tally: Tally, rows: int, columns: int, *, last_row: bool = False
) -> tuple[Matrix, list[list[Counted]], Matrix]:
    """R, the reflectors' vectors v with their τ as the last item, and the matrix that was factorized.

    The last row gets a reflector too if it is asked for, as one of complex numbers does in LAPACK.
    """
    matrix = tally.tensor([rows, columns])
    original = [list(row) for row in matrix]
    reflectors = []
    for step in range(min(rows if last_row else rows - 1, columns)):
        column = [matrix[row][step] for row in range(step, rows)]
        norm = sqrt(dot(column, column))
        beta = norm.operation(-norm.value if column[0].value > 0 else norm.value)
        difference = column[0] - beta
        vector = [x / difference for x in column[1:]]
        scale = difference / beta * -1
        reflectors.append([*vector, scale])
        matrix[step][step] = beta
        for later in range(step + 1, columns):
            _reflect(matrix, step, later, vector, scale)
    return matrix, reflectors, original


def _reflect(matrix: Matrix, first: int, column: int, vector: list[Counted], scale: Counted) -> None:
    """(I − τvvᵀ) on one column from row `first` on; v begins with a literal 1."""
    share = matrix[first][column]
    for row, v in enumerate(vector, start=first + 1):
        share = share + v * matrix[row][column]
    share = scale * share
    matrix[first][column] = matrix[first][column] - share
    for row, v in enumerate(vector, start=first + 1):
        matrix[row][column] = matrix[row][column] - v * share


def householder_product(tally: Tally, rows: int, columns: int, reflectors: list[list[Counted]]) -> Matrix:
    """The first columns of H₁H₂…Hₖ, the last reflector first; each column it begins with is a unit vector."""
    q = [[tally.scalar(float(row == column)) for column in range(columns)] for row in range(rows)]
    for step, (*vector, scale) in reversed(list(enumerate(reflectors))):
        for later in range(step + 1, columns):
            _reflect(q, step, later, vector, scale)
        q[step][step] = 1 - scale
        for row, v in enumerate(vector, start=step + 1):
            q[row][step] = scale * v * -1
    return q


def multiplied_by_q(tally: Tally, columns: int, reflectors: list[list[Counted]]) -> None:
    """H₁H₂…Hₖ times a matrix."""
    rows = len(reflectors[0])
    matrix = tally.tensor([rows, columns])
    for step, (*vector, scale) in reversed(list(enumerate(reflectors))):
        for column in range(columns):
            _reflect(matrix, step, column, vector, scale)


def reflectors_of(tally: Tally, rows: int, count: int) -> list[list[Counted]]:
    """Any vectors and scales, of the lengths that a factorization leaves."""
    return [tally.tensor([rows - step]) for step in range(count)]


def cholesky(tally: Tally, size: int) -> None:
    matrix = tally.tensor([size, size])
    for column in range(size):
        for row in range(column, size):
            value = matrix[row][column]
            for k in range(column):
                value = value - matrix[row][k] * matrix[column][k]
            matrix[row][column] = sqrt(value) if row == column else value / matrix[column][column]


def log_determinant_of_triangle(tally: Tally, size: int) -> None:
    """Sign and logarithm: |x|, log, sum; signs, their product with the permutation's."""
    diagonal = tally.tensor([size])
    sign, logs = tally.scalar(), []
    for x in diagonal:
        logs.append(abs(x).operation(0))
        sign = sign * x.operation(1)
    for x in logs[1:]:
        logs[0] = logs[0] + x
