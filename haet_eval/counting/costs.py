"""What each distinct call of a training cost, and by which price."""

from dataclasses import dataclass

from haet_eval.counting.histogram import Histogram
from haet_eval.counting.prices.evaluate import price_of
from haet_eval.counting.signature import Signature, TensorMeta, tensors_in


@dataclass(frozen=True, slots=True)
class CallCost:
    """One distinct call: its tensors' shapes in words, how often it was made, its operations.

    `each` is what one call costs, `operations` what they cost in all.
    """

    operator: str
    shapes: str
    calls: int
    each: int
    operations: int


def call_costs(histogram: Histogram) -> list[CallCost]:
    """Every priced call, the dearest first; calls that cost nothing and the uncounted are left out."""
    costs = (_cost(entry.signature, entry.total_calls) for entry in histogram)
    return sorted((cost for cost in costs if cost.operations), key=_dearest_first)


def _cost(signature: Signature, calls: int) -> CallCost:
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
