"""Scaled dot-product attention for one head, forward and backward."""

from dataclasses import dataclass

from tests.oracle.counted import Counted, Tally, choose, dot, exp, largest, total, where

Matrix = list[list[Counted]]
SCALE = 0.25
KEPT = 0.9


@dataclass(frozen=True)
class Head:
    """Queries [L, E], keys [S, E], values [S, Ev]."""

    tally: Tally
    rows: int
    columns: int
    width: int
    value_width: int
    scaled: bool = True
    masked: bool = False
    causal: bool = False
    dropped: bool = False

    def matrix(self, rows: int, columns: int) -> Matrix:
        return [[self.tally.scalar() for _ in range(columns)] for _ in range(rows)]


def forward(head: Head) -> None:
    weights, _ = _weights(head, *_inputs(head)[:2])
    values = _inputs(head)[2]
    _product(weights, values)


def backward(head: Head) -> None:
    queries, keys, values = _inputs(head)
    gradient = head.matrix(head.rows, head.value_width)
    weights, kept = _weights(head, queries, keys)
    _product(_transposed(weights), gradient)
    of_weights = _product(gradient, _transposed(values))
    if head.dropped:
        of_weights = [
            [g * k for g, k in zip(*rows, strict=True)] for rows in zip(of_weights, kept, strict=True)
        ]
    of_scores = [_softmax_backward(p, g) for p, g in zip(weights, of_weights, strict=True)]
    if head.scaled:
        of_scores = [[x * SCALE for x in row] for row in of_scores]
    _product(of_scores, keys)
    _product(_transposed(of_scores), queries)


def _inputs(head: Head) -> tuple[Matrix, Matrix, Matrix]:
    return (
        head.matrix(head.rows, head.width),
        head.matrix(head.columns, head.width),
        head.matrix(head.columns, head.value_width),
    )


def _weights(head: Head, queries: Matrix, keys: Matrix) -> tuple[Matrix, Matrix]:
    scores = _product(queries, _transposed(keys))
    if head.scaled:
        scores = [[x * SCALE for x in row] for row in scores]
    if head.masked:
        scores = [[x + head.tally.scalar() for x in row] for row in scores]
    if head.causal:
        scores = [[where(head.tally.scalar(1), x, -1e9) for x in row] for row in scores]
    weights = [_softmax(row) for row in scores]
    kept = head.matrix(head.rows, head.columns)
    if head.dropped:
        weights = [[choose(head.tally.draw(), KEPT, x, 0) * (1 / KEPT) for x in row] for row in weights]
    return weights, kept


def _product(a: Matrix, b: Matrix) -> Matrix:
    columns = _transposed(b)
    return [[dot(row, column) for column in columns] for row in a]


def _transposed(matrix: Matrix) -> Matrix:
    return [list(column) for column in zip(*matrix, strict=True)]


def _softmax(row: list[Counted]) -> list[Counted]:
    highest = largest(row)
    powers = [exp(x - highest) for x in row]
    whole = total(powers)
    return [x / whole for x in powers]


def _softmax_backward(weights: list[Counted], gradients: list[Counted]) -> list[Counted]:
    mean = dot(weights, gradients)
    return [p * (g - mean) for p, g in zip(weights, gradients, strict=True)]
