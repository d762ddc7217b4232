"""What the page shows of one pool: its table and its charts."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from haet_eval.ranking import Entry, Pool, Ranked
from haet_eval.record import Record
from haet_eval.reports.charts import ChartMark, Segment, shares_chart, shares_legend, tradeoff_chart
from haet_eval.reports.costs import FamilyShare, explain_costs
from haet_eval.reports.figure import Figure, cost, explanation, gap
from haet_eval.reports.rows import Leaderboard
from haet_eval.reports.text import (
    NOTHING,
    printable,
    readable_accuracy,
    readable_count,
    readable_share,
)

_BARS: Final = 10
_FAMILIES: Final = 7
_OTHERS: Final = "others"
_LABEL_CHARACTERS: Final = 26


@dataclass(frozen=True, slots=True)
class PoolSection:
    """One pool, at least one entry of it.

    Attributes:
        records: those that were read, by their id.
        threshold: least accuracy that qualifies, as a fraction; None if the rules are not available.
    """

    pool: Pool
    places: list[Ranked]
    leaderboard: Leaderboard
    records: Mapping[str, Record]
    threshold: float | None

    @property
    def title(self) -> str:
        return self.leaderboard.title(self.pool)

    @property
    def figure(self) -> Figure:
        """What accuracy is set against."""
        return cost(self.pool.ranking)

    @property
    def costs(self) -> Mapping[str, str]:
        """What accuracy is set against, of each entry by its record's id, as text."""
        entries = [place.entry for place in self.places]
        shown = self.figure.readable_all(entries)
        return {entry.record_id: cell for entry, cell in zip(entries, shown, strict=True)}

    @property
    def columns(self) -> list[tuple[Figure, list[str]]]:
        """The further costs that are shown, with their cells."""
        entries = [place.entry for place in self.places]
        return [(figure, figure.readable_all(entries)) for figure in self.leaderboard.columns(self.places)]

    @property
    def front(self) -> set[str] | None:
        """The ids of the records on the Pareto front; None if the rules name none."""
        return self.leaderboard.front(self.places)

    @property
    def front_costs(self) -> str:
        """What the front is about, beside accuracy."""
        rules = self.leaderboard.rules_of(self.places)
        return ", ".join(cost(name).name for name in rules.front) if rules else ""

    @property
    def summary(self) -> str:
        """How many there are, what they had to reach, how many are awarded, and what wins."""
        entries = "1 entry" if len(self.places) == 1 else f"{len(self.places):,} entries"
        reached = "" if self.threshold is None else f" at {readable_accuracy(self.threshold)} or more"
        awarded = sum(place.awarded for place in self.places)
        return (
            f"{entries}{reached}{f', {awarded} awarded' if awarded else ''}. {explanation(self.pool.ranking)}"
        )

    def gap(self, entry: Entry) -> str:
        """How far the entry is behind the first, as text; "" for the first."""
        return gap(entry, self.places[0].entry)

    def tradeoff(self) -> dict[str, Any] | None:
        """The chart of cost against accuracy; None if no cost is above 0."""
        marks = list(self._marks())
        return tradeoff_chart(marks, self.figure.name, self.threshold) if marks else None

    def shares(self) -> tuple[dict[str, Any], dict[str, str]] | None:
        """The chart of where the operations of the first entries went, and its legend; None if not known."""
        segments = _segments(self.places[:_BARS], self.records)
        return (shares_chart(segments), shares_legend(segments)) if segments else None

    def _marks(self) -> Iterator[ChartMark]:
        for place in self.places:
            entry, value = place.entry, self.figure.of(place.entry)
            # A cost of 0 has no place on a logarithmic axis.
            if not value or entry.accuracy is None:
                continue
            spread = self.leaderboard.spreads.get(entry.record_id)
            low, high = spread or (None, None)
            yield ChartMark(float(value), entry.accuracy, spread is not None, low, high)


def _segments(places: Sequence[Ranked], records: Mapping[str, Record]) -> list[Segment]:
    known = [place for place in places if place.entry.record_id in records]
    # Without the histogram: the families follow from the record alone.
    shares = {place.position: explain_costs(records[place.entry.record_id], None).families for place in known}
    order = _most_shared(list(shares.values()))
    return [
        Segment(
            _label(place), place.position, family, order.index(family), share, _told(place, family, share)
        )
        for place in known
        for family, share in _by_family(shares[place.position], order).items()
    ]


def _most_shared(entries: Sequence[Sequence[FamilyShare]]) -> list[str]:
    """The families with the greatest shares over all entries, and one for the others."""
    sums: dict[str, float] = defaultdict(float)
    for families in entries:
        for line in families:
            sums[line.family or _OTHERS] += line.share
    # Operators that the price table no longer has are among the others, and never a family of their own.
    sums.pop(_OTHERS, None)
    return [*sorted(sums, key=lambda family: (-sums[family], family))[:_FAMILIES], _OTHERS]


def _by_family(families: Sequence[FamilyShare], order: Sequence[str]) -> dict[str, float]:
    shares: dict[str, float] = defaultdict(float)
    for line in families:
        shares[line.family if line.family in order else _OTHERS] += line.share
    return {family: share for family, share in shares.items() if share}


def _told(place: Ranked, family: str, share: float) -> str:
    operations = readable_count(place.entry.operations)
    return f"{_label(place)}: {family} {readable_share(share)} of {operations} operations"


def _label(place: Ranked) -> str:
    return f"{place.position} · {_short(place.entry.name)}"


def _short(text: str | None) -> str:
    line = printable(text or NOTHING)
    return line if len(line) <= _LABEL_CHARACTERS else f"{line[: _LABEL_CHARACTERS - 1]}…"
