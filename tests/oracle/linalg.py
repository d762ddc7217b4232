"""Substitution, multiplication, factorization, written out for one matrix."""

from tests.oracle.counted import Counted, Tally, dot, sqrt

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
    matrix = tally.tensor([rows, columns])
    for pivot in range(min(rows, columns)):
        for row in range(pivot + 1, rows):
            factor = matrix[row][pivot] / matrix[pivot][pivot]
            for column in range(pivot + 1, columns):
                matrix[row][column] = matrix[row][column] - factor * matrix[pivot][column]


def cholesky(tally: Tally, size: int) -> None:
    matrix = tally.tensor([size, size])
    for column in range(size):
        for row in range(column, size):
            value = matrix[row][column]
            for k in range(column):
                value = value - matrix[row][k] * matrix[column][k]
            matrix[row][column] = sqrt(value) if row == column else value / matrix[column][column]


def gram_schmidt(tally: Tally, rows: int, columns: int) -> None:
    """QR by the modified Gram–Schmidt process."""
    vectors = tally.tensor([columns, rows])
    for index, vector in enumerate(vectors):
        norm = sqrt(dot(vector, vector))
        unit = [x / norm for x in vector]
        for later in range(index + 1, columns):
            share = dot(unit, vectors[later])
            vectors[later] = [x - share * u for x, u in zip(vectors[later], unit, strict=True)]


def log_determinant_of_triangle(tally: Tally, size: int) -> None:
    """Sign and logarithm: |x|, log, sum; signs, their product with the permutation's."""
    diagonal = tally.tensor([size])
    sign, logs = tally.scalar(), []
    for x in diagonal:
        logs.append(abs(x).operation(0))
        sign = sign * x.operation(1)
    for x in logs[1:]:
        logs[0] = logs[0] + x
