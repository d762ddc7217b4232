"""Distances between rows, and their gradients."""

from math import inf

from tests.oracle.counted import Counted, Tally, choose, dot, largest, sqrt, total, where

Row = list[Counted]


def distance(a: Row, b: Row, p: float) -> Counted:
    if p == 0:
        return total([x.operation(float(x.value != y.value)) for x, y in zip(a, b, strict=True)])
    differences = [x - y for x, y in zip(a, b, strict=True)]
    if p == 1:
        return total([abs(d) for d in differences])
    if p == 2:
        return sqrt(dot(differences, differences))
    if p == inf:
        return largest([abs(d) for d in differences])
    return total([abs(d) ** p for d in differences]) ** (1 / p)


def distances(tally: Tally, rows: int, others: int, width: int, p: float) -> None:
    x, y = tally.tensor([rows, width]), tally.tensor([others, width])
    for a in x:
        for b in y:
            distance(a, b, p)


def distances_backward(tally: Tally, rows: int, others: int, width: int, p: float) -> None:
    """The gradient of x, a sum over the rows of y."""
    x, y = tally.tensor([rows, width]), tally.tensor([others, width])
    for a in x:
        gradients = [gradient(tally, a, b, p) for b in y]
        for column in zip(*gradients, strict=True):
            total(column)


def pairs_backward(tally: Tally, rows: int, width: int, p: float) -> None:
    x = tally.tensor([rows, width])
    sums = tally.tensor([rows, width])
    for i in range(rows):
        for j in range(i):
            for place, g in enumerate(gradient(tally, x[i], x[j], p)):
                sums[i][place] = sums[i][place] + g
                sums[j][place] = sums[j][place] - g


def gradient(tally: Tally, a: Row, b: Row, p: float) -> Row:
    incoming, norm = tally.scalar(), tally.scalar()
    differences = [x - y for x, y in zip(a, b, strict=True)]
    if p == 1:
        return [incoming * sign(d) for d in differences]
    if p == 2:
        factor = choose(norm, 0, incoming / norm, 0)
        return [factor * d for d in differences]
    if p == inf:
        reached = [abs(d).greater(norm) for d in differences]
        return [where(r, incoming * sign(d), 0) for d, r in zip(differences, reached, strict=True)]
    factor = choose(norm, 0, incoming / norm ** (p - 1), 0)
    return [factor * (sign(d) * abs(d) ** (p - 1)) for d in differences]


def sign(x: Counted) -> Counted:
    return x.operation(float((x.value > 0) - (x.value < 0)))
