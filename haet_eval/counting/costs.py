"""The cost of each distinct call of a training, and the price that gives it."""

from dataclasses import dataclass

from haet_eval.counting.histogram import Histogram
from haet_eval.operators.pricing.evaluate import price_of
from haet_eval.operators.signature import Signature, TensorMeta, tensors_in


@dataclass(frozen=True, slots=True)
class CallCost:
    """One distinct call: its tensors' shapes in words, how often it was made, its operations.

    `each` is the cost of one call, `operations` the cost of all of them.
    """

    operator: str
    shapes: str
    calls: int
    each: int
    operations: int


def call_costs(histogram: Histogram) -> list[CallCost]:
    """Every priced call, the dearest first. Calls without a cost or without a price are left out."""
    costs = (_cost(entry.signature, entry.total_calls) for entry in histogram)
    return sorted((cost for cost in costs if cost.operations), key=_dearest_first)


def _cost(signature: Signature, calls: int) -> CallCost:
    # A call without a price is uncounted, and the bill lists it; here it would have no place in the order.
    price = price_of(signature) or 0
    return CallCost(signature.operator, describe_shapes(signature), calls, price, calls * price)


def _dearest_first(cost: CallCost) -> tuple[int, str, str]:
    return (-cost.operations, cost.operator, cost.shapes)


def describe_shapes(signature: Signature) -> str:
    """The tensors that go in and come out: `self float32[8, 3], mat2 float32[3, 4] → float32[8, 4]`."""
    taken = [
        f"{name} {_shape(meta)}" for name, value in signature.arguments.items() for meta in tensors_in(value)
    ]
    given = [_shape(meta) for meta in tensors_in(signature.outputs)]
    return f"{', '.join(taken)} → {', '.join(given)}".strip()


def _shape(meta: TensorMeta) -> str:
    return f"{meta.dtype}[{', '.join(map(str, meta.shape))}]"
