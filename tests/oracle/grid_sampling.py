"""Sampling an image at positions that are data, one location at a time.

Constants that follow from the size of the image are operands here, never a free literal 1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

from tests.oracle.counted import (
    Counted,
    Tally,
    choose,
    dot,
    floor,
    maximum,
    minimum,
    read,
    total,
    where,
    write,
)

SLOPE = -0.75
LENGTH = 5


@dataclass(frozen=True)
class Sampler:
    tally: Tally
    axes: int
    channels: int
    mode: str
    padding: str
    aligned: bool

    @property
    def zeros(self) -> bool:
        return self.padding == "zeros"

    def constant(self) -> Counted:
        """A number that depends on the image's size."""
        return self.tally.scalar()


@dataclass(frozen=True)
class Axis:
    """Neighbours along an axis: their places, whether each is inside, their weights, their slopes."""

    places: list[Counted]
    inside: list[Counted]
    weights: list[Counted]
    offset: Counted


def sample(s: Sampler) -> None:
    axes = [_neighbours(s) for _ in range(s.axes)]
    valid, weights = _corners(s, axes)
    for _ in range(s.channels):
        values = _read(s, axes, valid)
        if s.mode == "bilinear":
            total([w * v for w, v in zip(weights, values, strict=True)])
        elif s.mode == "bicubic":
            _blend_rows(values, axes[0].weights, axes[1].weights)


def sample_backward(s: Sampler, *, for_input: bool, for_grid: bool) -> None:
    axes = [_neighbours(s) for _ in range(s.axes)]
    valid, weights = _corners(s, axes)
    gradients = [s.tally.scalar() for _ in range(s.channels)]
    if for_input:
        if s.mode == "bicubic":
            weights = [y * x for y in axes[1].weights for x in axes[0].weights]
        for gradient in gradients:
            _spread(s, gradient, axes, valid, weights)
    if for_grid and s.mode != "nearest":
        _grid_gradient(s, axes, valid, gradients)


def _position(s: Sampler) -> Counted:
    x = s.tally.scalar()
    return (x + 1) * s.constant() if s.aligned else ((x + 1) * s.constant() - 1) / 2


def _padded(s: Sampler, x: Counted) -> Counted:
    if s.zeros:
        return x
    if s.padding == "reflection":
        x = _reflected(s, x)
    return minimum(maximum(x, 0), LENGTH - 1)


def _reflected(s: Sampler, x: Counted) -> Counted:
    low = 0 if s.aligned else -0.5
    distance = abs(x - low)
    rest = distance.operation(distance.value % LENGTH)
    odd = floor(distance / LENGTH)
    parity = odd.operation(odd.value % 2)
    return choose(parity, 0, LENGTH - rest, rest) + low


def _inside(s: Sampler, x: Counted) -> Counted:
    return _both(maximum(x, 0), minimum(x, LENGTH))


def _both(a: Counted, b: Counted) -> Counted:
    return a.operation(float(bool(a.value and b.value)))


def _neighbours(s: Sampler) -> Axis:
    x = _position(s)
    if s.mode == "bicubic":
        first = floor(x)
        offset = x - first
        places = [first - 1, first, first + 1, first + 2]
        inside = [_inside(s, p) for p in places] if s.zeros else []
        return Axis([_padded(s, p) for p in places], inside, _cubic(offset), offset)
    x = _padded(s, x)
    if s.mode == "nearest":
        place = floor(x)
        return Axis([place], [_inside(s, place)] if s.zeros else [], [], x)
    first = floor(x)
    following = first + 1
    offset = x - first
    weights = [1 - offset, offset]
    if s.zeros:
        return Axis([first, following], [_inside(s, first), _inside(s, following)], weights, offset)
    return Axis([first, minimum(following, LENGTH - 1)], [], weights, offset)


def _cubic(t: Counted) -> list[Counted]:
    rest = 1 - t
    return [_far(t + 1), _near(t), _near(rest), _far(rest + 1)]


def _near(x: Counted) -> Counted:
    return (x * (SLOPE + 2) - (SLOPE + 3)) * x * x + 1


def _far(x: Counted) -> Counted:
    return ((x * SLOPE - 5 * SLOPE) * x + 8 * SLOPE) * x - 4 * SLOPE


def _near_slope(x: Counted) -> Counted:
    return (x * (3 * (SLOPE + 2)) - 2 * (SLOPE + 3)) * x


def _far_slope(x: Counted) -> Counted:
    return (x * (3 * SLOPE) - 10 * SLOPE) * x + 8 * SLOPE


def _combined(axes: list[list[Counted]], combine: Callable[[Counted, Counted], Counted]) -> list[Counted]:
    """One value per corner, partial results shared."""
    corners = axes[0]
    for axis in axes[1:]:
        corners = [combine(a, b) for a, b in product(corners, axis)]
    return corners


def _corners(s: Sampler, axes: list[Axis]) -> tuple[list[Counted], list[Counted]]:
    valid = _combined([axis.inside for axis in axes], _both) if s.zeros else []
    if s.mode != "bilinear":
        return valid, []
    weights = _combined([axis.weights for axis in axes], lambda a, b: a * b)
    if s.zeros:
        weights = [where(v, w, 0) for v, w in zip(valid, weights, strict=True)]
    return valid, weights


def _read(s: Sampler, axes: list[Axis], valid: list[Counted], *, select: bool = False) -> list[Counted]:
    image = [s.tally.scalar()]
    values = [read(image, axes[0].places[0]) for _ in range(len(axes[0].places) ** s.axes)]
    if s.zeros and (select or s.mode != "bilinear"):
        values = [where(v, x, 0) for v, x in zip(valid, values, strict=True)]
    return values


def _blend_rows(values: list[Counted], across: list[Counted], down: list[Counted]) -> Counted:
    return dot(down, [dot(across, values[4 * i : 4 * i + 4]) for i in range(4)])


def _spread(
    s: Sampler, gradient: Counted, axes: list[Axis], valid: list[Counted], weights: list[Counted]
) -> None:
    plane = [s.tally.scalar()]
    for corner in range(len(axes[0].places) ** s.axes):
        share = gradient if s.mode == "nearest" else gradient * weights[corner]
        if s.zeros and s.mode != "bilinear":
            share = where(valid[corner], share, 0)
        write(plane, axes[0].places[0], plane[0] + share)


def _grid_gradient(s: Sampler, axes: list[Axis], valid: list[Counted], gradients: list[Counted]) -> None:
    slopes = _slopes_of_coefficients(s, axes)
    sums = []
    for gradient in gradients:
        values = _read(s, axes, valid, select=True)
        sums.append([gradient * slope for slope in _slopes(s, axes, slopes, values)])
    for along in zip(*sums, strict=True):
        slope = total(along)
        if s.mode == "bilinear" and not s.zeros:
            slope = where(slope, slope, 0)
        if s.mode == "bilinear" and s.padding == "reflection":
            slope = where(slope, slope, 0)
        slope * s.constant()


def _slopes_of_coefficients(s: Sampler, axes: list[Axis]) -> list[list[Counted]]:
    """Bicubic: derivatives of the coefficients. Bilinear: weights of the other axes, for each axis."""
    if s.mode == "bicubic":
        t = [axis.offset for axis in axes]
        return [[_far_slope(x), _near_slope(x), _near_slope(x), _far_slope(x)] for x in t]
    others = [[axis.weights for axis in axes if axis is not own] for own in axes]
    return [_combined(weights, lambda a, b: a * b) for weights in others]


def _slopes(
    s: Sampler, axes: list[Axis], slopes: list[list[Counted]], values: list[Counted]
) -> list[Counted]:
    if s.mode == "bicubic":
        return [
            _blend_rows(values, slopes[0], axes[1].weights),
            _blend_rows(values, axes[0].weights, slopes[1]),
        ]
    half = len(values) // 2
    return [
        dot([a - b for a, b in zip(values[:half], values[half:], strict=True)], slopes[axis])
        for axis in range(s.axes)
    ]
