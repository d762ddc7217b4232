"""Reductions and scans of one row, written out."""

from collections.abc import Sequence
from itertools import accumulate

from tests.oracle.counted import Counted, Literal, exp, largest, log, maximum, sqrt, total
from tests.oracle.pointwise import logaddexp

Row = Sequence[Counted]


def mean(row: Row) -> Counted:
    return total(row) / len(row)


def variance(row: Row) -> Counted:
    center = mean(row)
    deviations = [x - center for x in row]
    return total([d * d for d in deviations]) / (len(row) - 0.5)


def deviation(row: Row) -> Counted:
    return sqrt(variance(row))


def logsumexp(row: Row) -> Counted:
    m = largest(row)
    return m + log(total([exp(x - m) for x in row]))


def norm(row: Row, order: Literal = 2) -> Counted:
    if order == 2:
        return sqrt(total([x * x for x in row]))
    if order == 1:
        return total([abs(x) for x in row])
    if order == float("inf"):
        return largest([abs(x) for x in row])
    if order == 0:
        return total([x.greater(0) for x in row])
    return total([abs(x) ** order for x in row]) ** (1 / order)


def cumulative_sum(row: Row) -> list[Counted]:
    return list(accumulate(row, lambda a, b: a + b))


def cumulative_product(row: Row) -> list[Counted]:
    return list(accumulate(row, lambda a, b: a * b))


def cumulative_maximum(row: Row) -> list[Counted]:
    return list(accumulate(row, maximum))


def cumulative_logsumexp(row: Row) -> list[Counted]:
    return list(accumulate(row, logaddexp))


def softmax(row: Row) -> list[Counted]:
    m = largest(row)
    powers = [exp(x - m) for x in row]
    whole = total(powers)
    return [p / whole for p in powers]


def log_softmax(row: Row) -> list[Counted]:
    m = largest(row)
    centered = [x - m for x in row]
    whole = log(total([exp(z) for z in centered]))
    return [z - whole for z in centered]


def softmax_backward(g: Row, y: Row) -> list[Counted]:
    inner = total([a * b for a, b in zip(g, y, strict=True)])
    return [b * (a - inner) for a, b in zip(g, y, strict=True)]


def log_softmax_backward(g: Row, y: Row) -> list[Counted]:
    whole = total(g)
    return [a - exp(b) * whole for a, b in zip(g, y, strict=True)]
