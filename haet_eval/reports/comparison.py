"""Two trainings, or one under two versions of the counting standard, side by side."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from haet_eval.counting.bill import bill
from haet_eval.counting.costs import CallCost
from haet_eval.counting.histogram import Histogram
from haet_eval.counting.operations import precision, priced
from haet_eval.record import Record, complexity
from haet_eval.reports.costs import Costs, costs_document


@dataclass(frozen=True, slots=True)
class Difference:
    """One quantity of both; `difference` is second − first."""

    name: str
    first: int
    second: int

    @property
    def difference(self) -> int:
        return self.second - self.first


@dataclass(frozen=True, slots=True)
class Comparison:
    """Operations of both by phase, family, operator and call; the largest difference first.

    `calls` is None if a histogram is missing.
    """

    first: Costs
    second: Costs
    phases: list[Difference]
    families: list[Difference]
    operators: list[Difference]
    calls: list[Difference] | None

    @property
    def one_standard(self) -> bool:
        """Whether both were priced under the same version of the counting standard."""
        return _standard(self.first) == _standard(self.second)


def compare_costs(first: Costs, second: Costs) -> Comparison:
    """Set the costs of two records against each other."""
    return Comparison(
        first,
        second,
        _differences(
            {line.phase: line.operations for line in first.phases},
            {line.phase: line.operations for line in second.phases},
        ),
        _differences(
            {line.family: line.operations for line in first.families},
            {line.family: line.operations for line in second.families},
        ),
        _differences(
            {line.operator: line.operations for line in first.operators},
            {line.operator: line.operations for line in second.operators},
        ),
        None
        if first.calls is None or second.calls is None
        else _differences(_by_call(first.calls), _by_call(second.calls)),
    )


def _by_call(calls: Iterable[CallCost]) -> dict[str, int]:
    """Operations by operator and shapes; calls that differ in numbers only are one."""
    costs: dict[str, int] = defaultdict(int)
    for call in calls:
        costs[f"{call.operator} {call.shapes}"] += call.operations
    return costs


def reprice(record: Record, histogram: Histogram) -> Record:
    """The record as it would be under the present version of the standard. Its digest stays that of the old.

    Nothing is trained again: the histogram says what was called, and the prices are looked up anew.
    """
    if record.training is None:
        return record
    known = record.training.precision
    # Outside of `under`, prices are those of the present version.
    changed: dict[str, Any] = {"operations": priced(bill(histogram))}
    changed["precision"] = precision(histogram, known.parameter_bits if known else None)
    training = record.training.model_copy(update=changed)
    return record.model_copy(
        update={"training": training, "complexity": complexity(training, record.evaluation)}
    )


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """The comparison as a JSON document; counts are decimal strings, differences may be negative."""
    return {
        "first": costs_document(comparison.first),
        "second": costs_document(comparison.second),
        "differences": {
            "by_phase": _lines(comparison.phases),
            "by_family": _lines(comparison.families),
            "by_operator": _lines(comparison.operators),
            "by_call": None if comparison.calls is None else _lines(comparison.calls),
        },
    }


def _differences(first: Mapping[str, int], second: Mapping[str, int]) -> list[Difference]:
    names = dict.fromkeys([*first, *second])
    lines = [Difference(name, first.get(name, 0), second.get(name, 0)) for name in names]
    # The name last, so that equal differences have one order on every machine.
    return sorted(lines, key=lambda line: (-abs(line.difference), -line.first, line.name))


def _lines(lines: list[Difference]) -> list[dict[str, str]]:
    return [
        {
            "name": line.name,
            "first": str(line.first),
            "second": str(line.second),
            "difference": str(line.difference),
        }
        for line in lines
    ]


def _standard(costs: Costs) -> int | None:
    return costs.record.training.operations.standard if costs.record.training else None
