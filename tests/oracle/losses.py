"""Losses and their derivatives, written out."""

from collections.abc import Sequence

from tests.oracle.counted import Counted, Literal, choose, exp, log, maximum, minimum, read, total, write

Row = Sequence[Counted]


def reduced(values: list[Counted], reduction: str) -> object:
    if reduction == "none":
        return values
    return total(values) / len(values) if reduction == "mean" else total(values)


def nll(scores: Sequence[Row], targets: Row, reduction: str, weights: Row | None = None) -> object:
    if weights is None:
        return reduced([-read(row, y) for row, y in zip(scores, targets, strict=True)], reduction)
    used = [read(weights, y) for y in targets]
    losses = [w * -read(row, y) for row, y, w in zip(scores, targets, used, strict=True)]
    if reduction == "none":
        return losses
    return total(losses) / total(used) if reduction == "mean" else total(losses)


def nll_backward(
    g: Counted, classes: int, targets: Row, reduction: str, weights: Row | None = None
) -> object:
    incoming = g / len(targets) if reduction == "mean" else g
    gradients = []
    for y in targets:
        row = [g] * classes
        write(row, y, -incoming if weights is None else -incoming * read(weights, y))
        gradients.append(row)
    return gradients


def squared(x: Counted, y: Counted) -> Counted:
    d = x - y
    return d * d


def smooth_l1(x: Counted, y: Counted, beta: Literal = 0.3) -> Counted:
    d = abs(x - y)
    return choose(d, beta, d - 0.5 * beta, d * d * (0.5 / beta))


def huber(x: Counted, y: Counted, delta: Literal = 0.5) -> Counted:
    d = abs(x - y)
    return choose(d, delta, delta * (d - 0.5 * delta), d * d * 0.5)


def binary_cross_entropy(p: Counted, y: Counted) -> Counted:
    return -(y * log(p) + (1 - y) * log(1 - p))


def binary_cross_entropy_with_logits(x: Counted, y: Counted) -> Counted:
    return (1 - y) * x + log(1 + exp(-x))


def balanced_cross_entropy_with_logits(x: Counted, y: Counted, excess: Counted) -> Counted:
    """`excess` is the weight of the positive class less 1, formed once for each class."""
    return (1 - y) * x + (1 + excess * y) * log(1 + exp(-x))


def soft_margin(x: Counted, y: Counted) -> Counted:
    return log(1 + exp(-(y * x)))


def multi_margin(
    scores: Sequence[Row], targets: Row, power: int, weights: Row | None = None
) -> list[Counted]:
    """Σ max(0, 1 − x[y] + x[c])ᵖ / C over the other classes c."""
    losses = []
    for row, y in zip(scores, targets, strict=True):
        least = 1 - read(row, y)
        terms = [maximum(least + other, 0) for other in row[1:]]
        terms = [term * term for term in terms] if power == 2 else terms
        if weights is not None:
            weight = read(weights, y)
            terms = [term * weight for term in terms]
        losses.append(total(terms) / len(row))
    return losses


def squared_backward(g: Counted, x: Row, y: Row, reduction: str) -> object:
    if reduction == "none":
        return [(a - b) * 2 * g for a, b in zip(x, y, strict=True)]
    incoming = 2 * g
    incoming = incoming / len(x) if reduction == "mean" else incoming
    return [(a - b) * incoming for a, b in zip(x, y, strict=True)]


def smooth_l1_backward(g: Counted, x: Counted, y: Counted, beta: Literal = 0.3) -> Counted:
    return g * minimum(maximum((x - y) * (1 / beta), -1), 1)


def huber_backward(g: Counted, x: Counted, y: Counted, delta: Literal = 0.5) -> Counted:
    return g * minimum(maximum(x - y, -delta), delta)


def binary_cross_entropy_backward(g: Counted, p: Counted, y: Counted) -> Counted:
    return g * ((p - y) / (p * (1 - p)))


def soft_margin_backward(g: Counted, x: Counted, y: Counted) -> Counted:
    return -(y * g) / (1 + exp(y * x))
