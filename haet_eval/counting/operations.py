"""What a record says of the operations of a training: the bill, in the record's form."""

from haet_eval.counting.bill import STANDARD, Bill
from haet_eval.record import Operations, OperatorCost, Uncounted


def priced(costs: Bill) -> Operations:
    """A bill as the record has it: the dearest operator first."""
    lines = sorted(costs.by_operator.items(), key=lambda item: (-item[1].operations, item[0]))
    return Operations(
        standard=STANDARD,
        total=costs.total,
        by_phase=costs.by_phase,
        by_operator=tuple(
            OperatorCost(operator=name, calls=line.calls, operations=line.operations) for name, line in lines
        ),
        uncounted=tuple(
            Uncounted(operator=name, calls=line.calls, shapes=tuple(line.shapes), hint=line.hint)
            for name, line in sorted(costs.uncounted.items())
        ),
    )
