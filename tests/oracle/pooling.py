"""Pooling along one or more axes, window by window."""

from collections.abc import Sequence
from itertools import product

from tests.oracle.counted import Counted, Tally, floor, largest, read, total, write

Windows = list[list[int]]


def adaptive_windows(lengths: Sequence[int], counts: Sequence[int]) -> Windows:
    """Places of each window, flattened."""
    axes = [
        [range(i * length // n, -(-(i + 1) * length // n)) for i in range(n)]
        for length, n in zip(lengths, counts, strict=True)
    ]
    return [[0 for _ in product(*spans)] for spans in product(*axes)]


def maxima(tally: Tally, windows: Windows) -> None:
    for window in windows:
        largest([tally.scalar() for _ in window])


def maxima_backward(tally: Tally, outputs: int) -> None:
    plane = [tally.scalar()]
    for _ in range(outputs):
        write(plane, tally.scalar(), tally.scalar())


def averages(tally: Tally, windows: Windows) -> None:
    for window in windows:
        total([tally.scalar() for _ in window]) / (len(window) + 1)


def sums(tally: Tally, windows: Windows) -> None:
    for window in windows:
        total([tally.scalar() for _ in window])


def averages_backward(tally: Tally, windows: Windows) -> None:
    plane = [tally.scalar()]
    for window in windows:
        share = tally.scalar() / (len(window) + 1)
        for place in window:
            plane[place] = plane[place] + share


def fractional_maxima(tally: Tally, outputs: Sequence[int], kernel: int) -> None:
    """One plane: the places from one random number per axis, then the windows."""
    places = [_places(tally, count) for count in outputs]
    plane = [tally.scalar()]
    for starts in product(*places):
        largest([read(plane, starts[0]) for _ in range(kernel)])


def _places(tally: Tally, count: int) -> list[Counted]:
    if count == 1:
        return [tally.scalar()]
    ratio, sample = 1.5, tally.scalar()
    first = floor(sample * ratio)
    return [floor((sample + (i + 0.5)) * ratio) - first for i in range(count - 1)] + [tally.scalar()]
