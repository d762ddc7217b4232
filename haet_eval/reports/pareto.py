"""Which entries no other betters in both cost and accuracy."""

from collections.abc import Iterable
from typing import NamedTuple


class Point(NamedTuple):
    """A cost, of which less is better, and an accuracy, of which more is."""

    cost: float
    accuracy: float


def pareto_front(points: Iterable[Point]) -> list[Point]:
    """The points that no other one betters in one and equals in the other; each once, cheapest first."""
    front: list[Point] = []
    for point in sorted(set(points), key=lambda point: (point.cost, -point.accuracy)):
        if not front or point.accuracy > front[-1].accuracy:
            front.append(point)
    return front
