"""Which entries no other betters in both cost and accuracy."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

_Key = TypeVar("_Key", bound=Hashable)


class CostPoint(NamedTuple):
    """A cost, of which less is better, and an accuracy, of which more is."""

    cost: float
    accuracy: float


def pareto_front(points: Iterable[CostPoint]) -> list[CostPoint]:
    """The points that no other one betters in one and equals in the other; each once, cheapest first."""
    front: list[CostPoint] = []
    # The better accuracy first among equal costs: the others of that cost then add nothing.
    for point in sorted(set(points), key=lambda point: (point.cost, -point.accuracy)):
        if not front or point.accuracy > front[-1].accuracy:
            front.append(point)
    return front


def best_in_all(costs: Mapping[_Key, Sequence[float]]) -> set[_Key]:
    """The keys whose costs no other key betters in one and equals in the others; less is better in all."""
    front: list[Sequence[float]] = []
    best = set()
    for key, cost in sorted(costs.items(), key=lambda item: tuple(item[1])):
        # Those before it are no worse in the first cost, so that only they can better it.
        if not any(_betters(other, cost) for other in front):
            front.append(cost)
            best.add(key)
    return best


def _betters(one: Sequence[float], other: Sequence[float]) -> bool:
    return tuple(one) != tuple(other) and all(a <= b for a, b in zip(one, other, strict=True))
