"""What pools rank by, and what their entries are set against, as tables and charts show it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Final, TypeAlias

from haet_eval.competition import Ranking
from haet_eval.ranking import Entry
from haet_eval.reports.text import (
    readable_count,
    readable_counts,
    readable_joules,
    readable_points,
    readable_seconds,
    readable_times,
)

_FigureValue: TypeAlias = int | float | None


@dataclass(frozen=True, slots=True)
class Figure:
    """One cost of an entry, of which less is better.

    Attributes:
        name: as a column is called.
        explanation: one sentence for the readers of a page.
        of: its value, None if it was not reached.
        readable: a value as text.
    """

    name: str
    explanation: str
    of: Callable[[Entry], _FigureValue]
    readable: Callable[[_FigureValue], str]

    def readable_all(self, entries: Iterable[Entry]) -> list[str]:
        """The values of entries in their order; counts with as many digits as tell neighbours apart."""
        values = [self.of(entry) for entry in entries]
        counts = [value for value in values if isinstance(value, int)]
        # Seconds, joules, and pools in which some entry lacks the figure: these have no exact digits to add.
        if len(counts) < len(values):
            return [self.readable(value) for value in values]
        return readable_counts(counts)


def _readable_whole(value: _FigureValue) -> str:
    return readable_count(None if value is None else int(value))


_COMPLEXITY: Final = Figure(
    "complexity",
    "Complexity is the number of parameters plus the number of operations of the whole training; least wins.",
    lambda entry: entry.complexity,
    _readable_whole,
)
_TIME: Final = Figure(
    "training time",
    "Training time is the wall time of the training by the clock of the host; least wins.",
    lambda entry: entry.wall_seconds,
    readable_seconds,
)
_TRAINING_ENERGY: Final = Figure(
    "training energy",
    "Training energy is what the machine drew during the training, in joules; least wins.",
    lambda entry: entry.energy_joules,
    readable_joules,
)
_INFERENCE_ENERGY: Final = Figure(
    "inference energy",
    "Inference energy is what the machine drew to predict the test images once, in joules; least wins.",
    lambda entry: entry.energy_joules,
    readable_joules,
)
_PEAK_MEMORY: Final = Figure(
    "peak memory",
    "Peak memory is the most bytes that the tensors of the training took at once, counted; least wins.",
    lambda entry: entry.peak_tensor_bytes,
    _readable_whole,
)
_BIT_COMPLEXITY: Final = Figure(
    "bit complexity",
    "Bit complexity is complexity with each number and operation weighted by its width in bits; least wins.",
    lambda entry: entry.bit_complexity,
    _readable_whole,
)
_MODELLED_ENERGY: Final = Figure(
    "modelled energy",
    "Modelled energy is computed from operations and bytes by the rules' model, not measured; least wins.",
    lambda entry: entry.modelled_joules,
    readable_joules,
)

_COSTS: Final[Mapping[Ranking, Figure]] = {
    "complexity": _COMPLEXITY,
    "peak_memory": _PEAK_MEMORY,
    "bit_complexity": _BIT_COMPLEXITY,
    "modelled_energy": _MODELLED_ENERGY,
    "training_energy": _TRAINING_ENERGY,
    "inference_energy": _INFERENCE_ENERGY,
    "training_time": _TIME,
}

_BY_ACCURACY: Final = "The highest accuracy on images that the code has never seen wins."


def cost(ranking: Ranking) -> Figure:
    """What accuracy is set against: the ranked figure, or the training time where accuracy is ranked."""
    return _COSTS.get(ranking, _TIME)


def explanation(ranking: Ranking) -> str:
    """What wins, in one sentence."""
    return _BY_ACCURACY if ranking == "accuracy" else cost(ranking).explanation


def times_leader(entry: Entry, leader: Entry) -> float | None:
    """The ranked cost as a multiple of the leader's; None if accuracy ranks, or the leader's is about 0."""
    value, least = entry.figure, leader.figure
    if entry.ranking == "accuracy" or value is None or not least:
        return None
    times = value / least
    # A forged record may state the least number that there is.
    return times if isfinite(times) else None


def gap(entry: Entry, leader: Entry) -> str:
    """How far an entry is behind the leader, as text; "" if it is the leader."""
    if entry.ranking == "accuracy":
        return readable_points((entry.accuracy or 0) - (leader.accuracy or 0))
    return readable_times(times_leader(entry, leader))
