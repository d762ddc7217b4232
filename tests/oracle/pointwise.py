"""Elementwise functions of one output element, written out."""

from tests.oracle.counted import Counted, Literal, choose, exp, lgamma, log, maximum, minimum, sqrt, total


def add(x: Counted, y: Counted | Literal, alpha: Literal = 1) -> Counted:
    return x + y * alpha


def clamp(x: Counted, low: Literal | None = None, high: Literal | None = None) -> Counted:
    x = x if low is None else maximum(x, low)
    return x if high is None else minimum(x, high)


def addcmul(x: Counted, a: Counted, b: Counted, value: Literal = 1) -> Counted:
    return x + a * b * value


def addcdiv(x: Counted, a: Counted, b: Counted, value: Literal = 1) -> Counted:
    return x + a / b * value


def lerp(x: Counted, end: Counted, weight: Literal | Counted) -> Counted:
    return x + (end - x) * weight


def logaddexp(x: Counted, y: Counted) -> Counted:
    m = maximum(x, y)
    return log(exp(x - m) + exp(y - m)) + m


def xlogy(x: Counted, y: Counted) -> Counted:
    return x * log(y)


def hypotenuse(x: Counted, y: Counted) -> Counted:
    return sqrt(x * x + y * y)


def logit(x: Counted, eps: Literal | None = None) -> Counted:
    x = x if eps is None else clamp(x, eps, 1 - eps)
    return log(x / (1 - x))


def multigammaln(x: Counted, p: int) -> Counted:
    """A constant + Σ lgamma(x − j/2) over j < p."""
    return total([lgamma(x - j / 2) for j in range(p)]) + 1.7


def nan_to_num(x: Counted) -> Counted:
    for replaced in (float("nan"), float("inf"), float("-inf")):
        x = choose(x, replaced, x, x)
    return x
