"""Resizing: blends of neighbours with weights that are literals, and their transposes."""

from collections.abc import Sequence

from tests.oracle.counted import Counted, Tally, dot, total

WEIGHT = 0.3


def blend(tally: Tally, axes: int, taps: int) -> Counted:
    """One output from tapsᵃˣᵉˢ neighbours, one axis after the other."""
    if not axes:
        return tally.scalar()
    return total([blend(tally, axes - 1, taps) * WEIGHT for _ in range(taps)])


def spread(gradient: Counted, axes: int, taps: int) -> None:
    """One gradient to tapsᵃˣᵉˢ places."""
    if not axes:
        gradient.tally.scalar() + gradient
        return
    for _ in range(taps):
        spread(gradient * WEIGHT, axes - 1, taps)


def resize_in_two_passes(
    tally: Tally, plane: tuple[int, int], size: tuple[int, int], taps: Sequence[int]
) -> None:
    """Along the width, then along the height; taps for width and height."""
    for _ in range(plane[0] * size[1]):
        dot(tally.tensor([taps[0]]), tally.tensor([taps[0]]))
    for _ in range(size[0] * size[1]):
        dot(tally.tensor([taps[1]]), tally.tensor([taps[1]]))


def resize_in_two_passes_backward(
    tally: Tally, plane: tuple[int, int], size: tuple[int, int], taps: Sequence[int]
) -> None:
    for _ in range(size[0] * size[1]):
        for gradient in [tally.scalar()] * taps[1]:
            tally.scalar() + gradient * WEIGHT
    for _ in range(plane[0] * size[1]):
        for gradient in [tally.scalar()] * taps[0]:
            tally.scalar() + gradient * WEIGHT
