"""One step of an optimizer for one parameter, written out."""

from tests.oracle.counted import Counted, Literal, Tally, maximum, sqrt


def gradient(tally: Tally, *, maximize: bool) -> Counted:
    return -tally.scalar() if maximize else tally.scalar()


def sgd(
    tally: Tally,
    *,
    lr: Literal = 0.1,
    momentum: Literal = 0,
    dampening: Literal = 0,
    weight_decay: Literal = 0,
    nesterov: bool = False,
    maximize: bool = False,
    first: bool = False,
) -> None:
    p, g = tally.scalar(), gradient(tally, maximize=maximize)
    if weight_decay:
        g = g + weight_decay * p
    if momentum:
        buffer = g if first else momentum * tally.scalar() + (1 - dampening) * g
        g = g + momentum * buffer if nesterov else buffer
    p - lr * g


def adam(
    tally: Tally,
    *,
    weight_decay: Literal = 0,
    decoupled: bool = False,
    amsgrad: bool = False,
    maximize: bool = False,
) -> None:
    p, g = tally.scalar(), gradient(tally, maximize=maximize)
    if weight_decay:
        p, g = (p * (1 - 0.1 * weight_decay), g) if decoupled else (p, g + weight_decay * p)
    first = tally.scalar()
    first = first + (g - first) * (1 - 0.9)
    second = 0.999 * tally.scalar() + (1 - 0.999) * (g * g)
    if amsgrad:
        second = maximum(tally.scalar(), second)
    p - 0.1 * (first / (sqrt(second) / 0.5 + 1e-8))


def adagrad(tally: Tally, *, weight_decay: Literal = 0, maximize: bool = False) -> None:
    p, g = tally.scalar(), gradient(tally, maximize=maximize)
    if weight_decay:
        g = g + weight_decay * p
    p - 0.1 * (g / (sqrt(tally.scalar() + g * g) + 1e-8))


def rmsprop(
    tally: Tally,
    *,
    weight_decay: Literal = 0,
    momentum: Literal = 0,
    centered: bool = False,
    maximize: bool = False,
) -> None:
    p, g = tally.scalar(), gradient(tally, maximize=maximize)
    if weight_decay:
        g = g + weight_decay * p
    average = 0.99 * tally.scalar() + (1 - 0.99) * (g * g)
    if centered:
        mean = tally.scalar()
        mean = mean + (g - mean) * 0.01
        average = average - mean * mean
    direction = g / (sqrt(average) + 1e-8)
    if momentum:
        buffer = momentum * tally.scalar() + direction
        p - 0.1 * buffer
    else:
        p - 0.1 * direction
