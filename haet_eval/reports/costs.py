"""Where the operations of a training went, as plain values."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from haet_eval.counting.costs import CallCost, call_costs, price_family
from haet_eval.counting.histogram import Histogram
from haet_eval.record import Record


@dataclass(frozen=True, slots=True)
class PhaseShare:
    """Operations of one phase, and their share of the training's."""

    phase: str
    operations: int
    share: float


@dataclass(frozen=True, slots=True)
class OperatorShare:
    """Calls and operations of one overload; `family` is the part of the price table it is priced in."""

    operator: str
    family: str | None
    calls: int
    operations: int
    share: float


@dataclass(frozen=True, slots=True)
class Costs:
    """The dearest first, everywhere. `calls` is None where the histogram is not at hand."""

    record: Record
    phases: list[PhaseShare]
    operators: list[OperatorShare]
    calls: list[CallCost] | None


def explain_costs(record: Record, histogram: Histogram | None) -> Costs:
    """Break the operations of a record's training down; nothing to break down where it never trained."""
    operations = record.training.operations if record.training else None
    if operations is None:
        return Costs(record, [], [], None)
    whole = operations.total
    phases = [PhaseShare(name, part, _share(part, whole)) for name, part in operations.by_phase.items()]
    operators = [
        OperatorShare(
            line.operator,
            price_family(line.operator),
            line.calls,
            line.operations,
            _share(line.operations, whole),
        )
        for line in operations.by_operator
    ]
    return Costs(
        record,
        sorted(phases, key=lambda line: (-line.operations, line.phase)),
        sorted(operators, key=lambda line: (-line.operations, line.operator)),
        None if histogram is None else call_costs(histogram),
    )


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
        "operations": operations.get("total"),
        "by_phase": _lines(costs.phases),
        "by_operator": _lines(costs.operators),
        "by_call": None if costs.calls is None else _lines(costs.calls),
        "uncounted": operations.get("uncounted", []),
    }


def _lines(lines: Iterable[PhaseShare | OperatorShare | CallCost]) -> list[dict[str, Any]]:
    return [{key: _decimal(key, value) for key, value in asdict(line).items()} for line in lines]


def _decimal(key: str, value: Any) -> Any:
    return str(value) if key in ("operations", "calls") else value


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
