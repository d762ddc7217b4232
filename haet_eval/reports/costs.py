"""Where the operations of a training went, as plain values."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from haet_eval.counting.costs import CallCost, call_costs
from haet_eval.counting.histogram import Histogram
from haet_eval.counting.precision import bits, operations_by_dtype
from haet_eval.counting.traffic import traffic_by_operator
from haet_eval.errors import UsageProblem
from haet_eval.operators.standard import nearest, under
from haet_eval.operators.table import family_of, formula
from haet_eval.record import Operations, OperatorCost, Record
from haet_eval.store import Store

MACHINE_BALANCE: Final = 20.0
"""Operations that a machine computes while it moves a byte. An NVIDIA H100 SXM computes 67·10¹² operations in
float32 and moves 3.35·10¹² bytes in a second (https://www.nvidia.com/en-us/data-center/h100/)."""

_COUNTS: Final = ("operations", "calls", "each", "bit_operations", "read", "written")


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
class DtypeShare:
    """Operations that are computed in a dtype, its width in bits, and the product of both."""

    dtype: str
    bits: int
    operations: int
    bit_operations: int
    share: float


@dataclass(frozen=True, slots=True)
class OperatorTraffic:
    """What the calls of one overload read and write, in bytes.

    `intensity` is operations for each byte. `bound_by_memory` says that it is below the machine balance.
    """

    operator: str
    calls: int
    read: int
    written: int
    intensity: float
    bound_by_memory: bool


@dataclass(frozen=True, slots=True)
class Costs:
    """The dearest first, everywhere; traffic by bytes, the most first.

    `calls` and `traffic` are None if the histogram is missing, `dtypes` where the record has none of
    it either.
    """

    record: Record
    phases: list[PhaseShare]
    families: list[FamilyShare]
    operators: list[OperatorShare]
    calls: list[CallCost] | None
    dtypes: list[DtypeShare] | None = None
    traffic: list[OperatorTraffic] | None = None
    balance: float = MACHINE_BALANCE

    @property
    def total(self) -> int:
        """Operations of the training; 0 if there was no training."""
        return self.record.training.operations.total if self.record.training else 0


def explain_costs(record: Record, histogram: Histogram | None, balance: float = MACHINE_BALANCE) -> Costs:
    """Break the operations of a record's training down; nothing to break down where it never trained.

    An operator with fewer operations for each byte than `balance` is bound by memory. Single calls and
    formulas are those of the version of the standard that priced the record.

    Raises:
        UsageProblem: the histogram holds calls that no training makes.
    """
    operations = record.training.operations if record.training else None
    if operations is None:
        return Costs(record, [], [], [], None)
    try:
        with under(nearest(operations.standard)):
            return _broken_down(record, operations, histogram, balance)
    # A forged histogram can hold any arguments, and a price may fail on them in any of these ways. Without a
    # histogram such an error is a fault of ours.
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        if histogram is None:
            raise
        raise UsageProblem(
            f"the histogram of record {record.record_id} holds calls that no training makes: {error}",
            code="histogram-unreadable",
        ) from None


def find_histogram(path: Path, record: Record) -> Histogram | None:
    """The histogram next to the record, or None.

    Raises:
        UsageProblem: it is not the one that the record names, or no histogram.
    """
    if record.training is None:
        return None
    data = Store(path.parent).read_artifact(record.training.histogram)
    try:
        return None if data is None else Histogram.from_json(data)
    except ValueError as error:
        raise UsageProblem(
            f"the histogram beside {path} cannot be read: {error}", code="histogram-unreadable"
        ) from None


def _broken_down(
    record: Record, operations: Operations, histogram: Histogram | None, balance: float
) -> Costs:
    whole = operations.total
    phases = [PhaseShare(name, part, _share(part, whole)) for name, part in operations.by_phase.items()]
    operators = [_operator(line, whole) for line in operations.by_operator]
    return Costs(
        record,
        sorted(phases, key=lambda line: (-line.operations, line.phase)),
        _families(operators, whole),
        sorted(operators, key=lambda line: (-line.operations, line.operator)),
        None if histogram is None else call_costs(histogram),
        _dtypes(record, histogram),
        None if histogram is None else _traffic(operations, histogram, balance),
        balance,
    )


def _dtypes(record: Record, histogram: Histogram | None) -> list[DtypeShare] | None:
    """From the record, or of an older one from its histogram."""
    known = record.training.precision if record.training else None
    # Older records state no dtypes.
    if known is None and histogram is None:
        return None
    by_dtype = known.by_dtype if known else operations_by_dtype(histogram or ())
    whole = sum(by_dtype.values())
    lines = [
        DtypeShare(dtype, bits(dtype), part, bits(dtype) * part, _share(part, whole))
        for dtype, part in by_dtype.items()
    ]
    return sorted(lines, key=lambda line: (-line.operations, line.dtype))


def _traffic(operations: Operations, histogram: Histogram, balance: float) -> list[OperatorTraffic]:
    priced = {line.operator: line for line in operations.by_operator}
    calls: Counter[str] = Counter()
    for entry in histogram:
        calls[entry.signature.operator] += entry.total_calls
    lines = []
    for name, moved in traffic_by_operator(histogram).items():
        # Views and other movement take part in no roofline: a call without bytes has no intensity.
        if moved.total:
            done = priced[name].operations if name in priced else 0
            intensity = done / moved.total
            lines.append(
                OperatorTraffic(name, calls[name], moved.read, moved.written, intensity, intensity < balance)
            )
    return sorted(lines, key=lambda line: (-line.read - line.written, line.operator))


def _operator(line: OperatorCost, whole: int) -> OperatorShare:
    name = line.operator
    share = _share(line.operations, whole)
    return OperatorShare(name, family_of(name), formula(name), line.calls, line.operations, share)


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
        "by_dtype": None if costs.dtypes is None else _lines(costs.dtypes),
        "machine_balance": costs.balance,
        "bytes_by_operator": None if costs.traffic is None else _lines(costs.traffic),
        "memory": training.get("memory"),
        "uncounted": operations.get("uncounted", []),
    }


def _lines(
    lines: Iterable[PhaseShare | FamilyShare | OperatorShare | CallCost | DtypeShare | OperatorTraffic],
) -> list[dict[str, Any]]:
    return [{key: _decimal(key, value) for key, value in asdict(line).items()} for line in lines]


def _decimal(key: str, value: Any) -> Any:
    # Counts exceed 2⁵³, and most readers of JSON take numbers for floats.
    return str(value) if key in _COUNTS else value


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
