"""Operations of a training by line and by module, as the submission's own process names them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from haet_eval.remote.labels import TemplateLabels


@dataclass(frozen=True, slots=True)
class PlaceShare:
    """Operations of one line or one module, and their share. `place` is "" for calls that have none."""

    place: str
    operations: int
    share: float


@dataclass(frozen=True, slots=True)
class CostPlaces:
    """The dearest first. A template's calls all count for the line and the module of its first call."""

    lines: list[PlaceShare]
    modules: list[PlaceShare]

    @property
    def labelled(self) -> bool:
        """Whether the submission has named any place."""
        return any(share.place for share in self.lines)


def places_of(operations: Sequence[int], labels: TemplateLabels) -> CostPlaces:
    """Add up operations by place.

    Args:
        operations: of each template, in the order of their numbers.
        labels: by the number of the template.
    """
    lines, modules = Counter[str](), Counter[str]()
    for number, count in enumerate(operations):
        label = labels.of(number)
        lines[label.line] += count
        modules[label.module] += count
    return CostPlaces(_shares(lines), _shares(modules))


def _shares(counts: Mapping[str, int]) -> list[PlaceShare]:
    total = sum(counts.values())
    return [
        PlaceShare(place, count, count / total)
        for place, count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))
        # Shares of a training without operations would divide by zero, so lines without any are left out
        # first.
        if count
    ]


def places_document(places: CostPlaces) -> dict[str, Any]:
    """The places as JSON has them: counts are decimal strings."""
    return {
        name: [{"place": one.place, "operations": str(one.operations), "share": one.share} for one in shares]
        for name, shares in (("lines", places.lines), ("modules", places.modules))
    }
