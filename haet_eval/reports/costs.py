"""Where the operations of a training went, as plain values."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from haet_eval.counting.costs import CallCost, call_costs, price_family
from haet_eval.counting.histogram import Histogram
from haet_eval.counting.prices.table import formula
from haet_eval.counting.standard import nearest, under
from haet_eval.record import Operations, OperatorCost, Record


@dataclass(frozen=True, slots=True)
class PhaseShare:
    """Operations of one phase, and their share of the training's."""

    phase: str
    operations: int
    share: float


@dataclass(frozen=True, slots=True)
class FamilyShare:
    """Calls and operations of one part of the price table; "" for operators that it no longer has."""

    family: str
    calls: int
    operations: int
    share: float


@dataclass(frozen=True, slots=True)
class OperatorShare:
    """Calls and operations of one overload; `family` is the part of the price table it is priced in.

    `formula` is its price in words. Both are None for an operator that the table no longer has.
    """

    operator: str
    family: str | None
    formula: str | None
    calls: int
    operations: int
    share: float


@dataclass(frozen=True, slots=True)
class Costs:
    """The dearest first, everywhere. `calls` is None where the histogram is not at hand."""

    record: Record
    phases: list[PhaseShare]
    families: list[FamilyShare]
    operators: list[OperatorShare]
    calls: list[CallCost] | None

    @property
    def total(self) -> int:
        """Operations of the training; 0 where there was none."""
        return self.record.training.operations.total if self.record.training else 0


def explain_costs(record: Record, histogram: Histogram | None) -> Costs:
    """Break the operations of a record's training down; nothing to break down where it never trained.

    Single calls and formulas are those of the version of the standard that priced the record.
    """
    operations = record.training.operations if record.training else None
    if operations is None:
        return Costs(record, [], [], [], None)
    with under(nearest(operations.standard)):
        return _broken_down(record, operations, histogram)


def _broken_down(record: Record, operations: Operations, histogram: Histogram | None) -> Costs:
    whole = operations.total
    phases = [PhaseShare(name, part, _share(part, whole)) for name, part in operations.by_phase.items()]
    operators = [_operator(line, whole) for line in operations.by_operator]
    return Costs(
        record,
        sorted(phases, key=lambda line: (-line.operations, line.phase)),
        _families(operators, whole),
        sorted(operators, key=lambda line: (-line.operations, line.operator)),
        None if histogram is None else call_costs(histogram),
    )


def _operator(line: OperatorCost, whole: int) -> OperatorShare:
    name = line.operator
    share = _share(line.operations, whole)
    return OperatorShare(name, price_family(name), formula(name), line.calls, line.operations, share)


def _families(operators: Iterable[OperatorShare], whole: int) -> list[FamilyShare]:
    members: dict[str, list[OperatorShare]] = defaultdict(list)
    for line in operators:
        members[line.family or ""].append(line)
    families = []
    for family, lines in members.items():
        operations = sum(line.operations for line in lines)
        calls = sum(line.calls for line in lines)
        families.append(FamilyShare(family, calls, operations, _share(operations, whole)))
    return sorted(families, key=lambda line: (-line.operations, line.family))


def costs_document(costs: Costs) -> dict[str, Any]:
    """The breakdown as a JSON document; counts are decimal strings."""
    document = costs.record.model_dump(mode="json")
    training = document["training"] or {}
    operations = training.get("operations") or {}
    return {
        "record_id": document["record_id"],
        "status": document["status"],
        "complexity": document["complexity"],
        "parameters": training.get("parameters"),
        "standard": operations.get("standard"),
        "operations": operations.get("total"),
        "charged_operations": (document["evaluation"] or {}).get("charged_operations"),
        "by_phase": _lines(costs.phases),
        "by_family": _lines(costs.families),
        "by_operator": _lines(costs.operators),
        "by_call": None if costs.calls is None else _lines(costs.calls),
        "uncounted": operations.get("uncounted", []),
    }


def _lines(lines: Iterable[PhaseShare | FamilyShare | OperatorShare | CallCost]) -> list[dict[str, Any]]:
    return [{key: _decimal(key, value) for key, value in asdict(line).items()} for line in lines]


def _decimal(key: str, value: Any) -> Any:
    return str(value) if key in ("operations", "calls", "each") else value


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
