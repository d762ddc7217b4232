"""Normalisations and their backward, written out. A group is what shares one mean and variance."""

from collections.abc import Sequence

from tests.oracle.counted import Counted, Tally, rsqrt, sqrt, total

Row = Sequence[Counted]
EPS = 1e-5
MOMENTUM = 0.1


def statistics(group: Row) -> tuple[Counted, list[Counted], Counted]:
    """The mean, the deviations from it and the (biased) variance."""
    mean = total(group) / len(group)
    centered = [x - mean for x in group]
    return mean, centered, total([c * c for c in centered]) / len(group)


def affine(values: Row, gamma: Row | None, beta: Row | None) -> list[Counted]:
    if gamma is not None:
        values = [x * g for x, g in zip(values, gamma, strict=True)]
    if beta is not None:
        values = [x + b for x, b in zip(values, beta, strict=True)]
    return list(values)


def normalise(group: Row, gamma: Row | None, beta: Row | None) -> tuple[Counted, Counted]:
    """Training: returns the statistics, which a batch norm keeps."""
    mean, centered, variance = statistics(group)
    inverse = rsqrt(variance + EPS)
    affine([c * inverse for c in centered], gamma, beta)
    return mean, variance


def update_running(tally: Tally, mean: Counted, variance: Counted, count: int) -> None:
    """The unbiased variance is a matter of the literal coefficient."""
    (1 - MOMENTUM) * tally.scalar() + MOMENTUM * mean
    (1 - MOMENTUM) * tally.scalar() + (MOMENTUM * count / (count - 0.5)) * variance


def normalise_with_running(tally: Tally, group: Row, gamma: Row | None, beta: Row | None) -> None:
    """Evaluation."""
    mean, inverse = tally.scalar(), rsqrt(tally.scalar() + EPS)
    affine([(x - mean) * inverse for x in group], gamma, beta)


def batch_norm_backward(
    tally: Tally, g: Row, x: Row, gamma: Counted | None, *, mask: tuple[bool, ...], training: bool
) -> None:
    """One channel. Asked for: gradients of input, γ, β."""
    of_input, of_gamma, of_beta = mask
    needs_sums = of_input and training
    inverse = tally.scalar()
    if not training and (of_input or of_gamma):
        inverse = rsqrt(tally.scalar() + EPS)
    hats: list[Counted] = []
    gamma_gradient = beta_gradient = tally.scalar()
    if of_gamma or needs_sums:
        mean = tally.scalar()
        hats = [(a - mean) * inverse for a in x]
        gamma_gradient = total([a * h for a, h in zip(g, hats, strict=True)])
    if of_beta or needs_sums:
        beta_gradient = total(g)
    if not of_input:
        return
    scale = inverse if gamma is None else gamma * inverse
    if not training:
        [a * scale for a in g]
        return
    a_mean, b_mean = beta_gradient / len(g), gamma_gradient / len(g)
    [(a - a_mean - h * b_mean) * scale for a, h in zip(g, hats, strict=True)]


def group_backward(
    tally: Tally,
    gradients: Sequence[Row],
    data: Sequence[Row],
    parameters: Sequence[int],
    *,
    weighted: bool,
    mask: tuple[bool, ...],
) -> None:
    """Layer and group norm: groups of elements; `parameters` names γ and β of each place in a group.

    `parameters` runs over all groups one after the other.
    """
    of_input, of_gamma, of_beta = mask
    gamma_terms: dict[int, list[Counted]] = {}
    beta_terms: dict[int, list[Counted]] = {}
    place = iter(parameters)
    for g, x in zip(gradients, data, strict=True):
        places = [next(place) for _ in x]
        mean, inverse = tally.scalar(), tally.scalar()
        hats = [(a - mean) * inverse for a in x] if of_input or of_gamma else []
        if of_gamma:
            products = [a * h for a, h in zip(g, hats, strict=True)]
            for at, value in zip(places, products, strict=True):
                gamma_terms.setdefault(at, []).append(value)
        if of_beta:
            for at, value in zip(places, g, strict=True):
                beta_terms.setdefault(at, []).append(value)
        if of_input:
            scaled = [a * tally.scalar() for a in g] if weighted else list(g)
            products = [a * h for a, h in zip(scaled, hats, strict=True)]
            a_mean, b_mean = total(scaled) / len(x), total(products) / len(x)
            [(a - a_mean - h * b_mean) * inverse for a, h in zip(scaled, hats, strict=True)]
    for values in (*gamma_terms.values(), *beta_terms.values()):
        total(values)


def rms_normalise(row: Row, gamma: Row | None) -> None:
    inverse = rsqrt(total([x * x for x in row]) / len(row) + EPS)
    affine([x * inverse for x in row], gamma, None)


def rms_backward(tally: Tally, g: Row, x: Row, gamma: Row) -> list[Counted]:
    """One row; returns the terms of the gradient of γ."""
    inverse = tally.scalar()
    hats = [a * inverse for a in x]
    terms = [a * h for a, h in zip(g, hats, strict=True)]
    scaled = [a * c for a, c in zip(g, gamma, strict=True)]
    mean = total([a * h for a, h in zip(scaled, hats, strict=True)]) / len(x)
    [(a - h * mean) * inverse for a, h in zip(scaled, hats, strict=True)]
    return terms


def weight_norm(direction: Row, size: Counted) -> None:
    scale = size / sqrt(total([x * x for x in direction]))
    [x * scale for x in direction]


def weight_norm_backward(tally: Tally, g: Row, direction: Row, size: Counted) -> None:
    """The norm has been kept from the forward pass."""
    norm = tally.scalar()
    of_size = total([a * x for a, x in zip(g, direction, strict=True)]) / norm
    along, scale = of_size / norm, size / norm
    [scale * (a - x * along) for a, x in zip(g, direction, strict=True)]
