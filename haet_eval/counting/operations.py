"""The operations of a training as a record has them: the bill, in the record's form."""

from collections.abc import Mapping
from typing import Final

from haet_eval.counting.bill import Bill
from haet_eval.counting.histogram import Histogram
from haet_eval.counting.precision import bit_operations, operations_by_dtype
from haet_eval.counting.traffic import Traffic, traffic_by_operator
from haet_eval.operators.refusals import refusal
from haet_eval.record import BytesMoved, Operations, OperatorCost, Precision, UncountedOperator

_SHAPES_CHARACTERS: Final = 200


def priced(costs: Bill) -> Operations:
    """A bill in the record's form: the dearest operator first."""
    lines = sorted(costs.by_operator.items(), key=lambda item: (-item[1].operations, item[0]))
    operations = Operations(
        standard=costs.standard,
        total=costs.total,
        by_phase=costs.by_phase,
        by_operator=tuple(
            OperatorCost(operator=name, calls=line.calls, operations=line.operations) for name, line in lines
        ),
        uncounted=tuple(
            UncountedOperator(operator=name, calls=line.calls, shapes=tuple(line.shapes), hint=line.hint)
            for name, line in sorted(costs.uncounted.items())
        ),
    )
    return with_short_shapes(operations)


def with_short_shapes(operations: Operations) -> Operations:
    """The same with the beginnings of long shapes, as a record has them; older records have them whole.

    A call on a list of 65,000 tensors has shapes of a megabyte, and with a few of them nobody could read the
    record.
    """
    lines = (
        line.model_copy(update={"shapes": tuple(map(_beginning, line.shapes))})
        for line in operations.uncounted
    )
    return operations.model_copy(update={"uncounted": tuple(lines)})


def _beginning(shapes: str) -> str:
    return shapes if len(shapes) <= _SHAPES_CHARACTERS else f"{shapes[: _SHAPES_CHARACTERS - 1]}…"


def precision(histogram: Histogram, parameter_bits: int | None) -> Precision:
    """The operations of a training by dtype, and in bits, as the record has them."""
    by_dtype = operations_by_dtype(histogram)
    return Precision(
        by_dtype=by_dtype, bit_operations=bit_operations(by_dtype), parameter_bits=parameter_bits
    )


def bytes_moved(histogram: Histogram) -> BytesMoved:
    """What the calls of a training read and write, as the record has it."""
    whole = sum(traffic_by_operator(histogram).values(), Traffic())
    return BytesMoved(read=whole.read, written=whole.written)


def with_refused(operations: Operations, refused: Mapping[str, int], reason: str) -> Operations:
    """Add the refused operators that ended the run to the uncounted ones.

    Args:
        operations: the operations of the calls that the meter let pass.
        refused: number of refused calls, by operator.
        reason: why the run ended; only operators that it names are listed. (A submission may catch a refusal
            and go on, so not every refused operator has ended the run.)
    """
    # No shapes: a refused call never ran, so the meter has no signature of it.
    lines = (
        UncountedOperator(operator=name, calls=calls, shapes=(), hint=refusal(name))
        for name, calls in sorted(refused.items())
        if name in reason
    )
    return operations.model_copy(update={"uncounted": (*operations.uncounted, *lines)})
