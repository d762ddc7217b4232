"""Where the windows of a convolution or an unfolding fall along one axis."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Axis:
    """Window w, element k falls on position w · stride + k · dilation − padding of an axis.

    Everything here takes time in the smaller of windows and kernel, however long the axis.
    """

    length: int
    windows: int
    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1

    def landed(self) -> int:
        """How many pairs of window and element fall inside the axis."""
        offsets, many, pitch = self._progressions()
        return sum(
            max(0, min(many, -((offset - self.length) // pitch)) - max(0, -(offset // pitch)))
            for offset in offsets
        )

    def touched(self) -> int:
        """How many positions of the axis at least one pair falls on."""
        offsets, many, pitch = self._progressions()
        starts: dict[int, list[int]] = defaultdict(list)
        for offset in offsets:
            quotient, residue = divmod(offset, pitch)
            starts[residue].append(quotient)
        return sum(
            union_length(((q, q + many) for q in quotients), -((residue - self.length) // pitch))
            for residue, quotients in starts.items()
        )

    def _progressions(self) -> tuple[Iterable[int], int, int]:
        """The positions as few progressions: their first terms, their length and their step."""
        (few, step), (many, pitch) = sorted(((self.windows, self.stride), (self.kernel, self.dilation)))
        return (i * step - self.padding for i in range(few)), many, pitch


def union_length(intervals: Iterable[tuple[int, int]], limit: int) -> int:
    """How many integers of [0, limit) lie in the union of half-open intervals, ordered by their start."""
    covered = reached = 0
    for start, end in intervals:
        first, last = max(start, reached), min(end, limit)
        if last > first:
            covered += last - first
            reached = last
    return covered
