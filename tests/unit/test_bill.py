"""The bill of a training: priced exactly, or every operator without a price named with its remedy."""

from haet_eval.counting.bill import bill
from haet_eval.counting.histogram import PHASES, Histogram
from haet_eval.counting.operations import priced, with_short_shapes
from haet_eval.operators.signature import Signature, TensorMeta


def elementwise(operator: str, size: int, dtype: str = "float32") -> Signature:
    meta = TensorMeta((size,), (1,), 0, dtype)
    return Signature(operator, {"self": meta}, (meta,))


def calls(phase: str, count: int) -> tuple[int, ...]:
    return tuple(count if name == phase else 0 for name in PHASES)


def test_phases_and_operators_add_up_to_the_total() -> None:
    histogram = Histogram(
        [
            (elementwise("aten.relu.default", 10), calls("forward", 3)),
            (elementwise("aten.relu.default", 4), calls("backward", 1)),
            (elementwise("aten.exp.default", 10), calls("forward", 2)),
        ]
    )
    costs = bill(histogram)
    assert costs.total == 54
    assert {phase: n for phase, n in costs.by_phase.items() if n} == {"forward": 50, "backward": 4}
    lines = priced(costs).by_operator
    assert [(line.operator, line.calls, line.operations) for line in lines] == [
        ("aten.relu.default", 4, 34),
        ("aten.exp.default", 2, 20),
    ]


def test_what_has_no_price_is_named_with_calls_shapes_and_remedy() -> None:
    refused = [(elementwise("aten._to_sparse.default", n), calls("forward", 2)) for n in range(1, 9)]
    complex_tanh = elementwise("aten.tanh.default", 5, "complex64")
    unknown = elementwise("aten.unheard_of.default", 5)
    costs = bill(Histogram([*refused, (complex_tanh, calls("forward", 7)), (unknown, calls("other", 1))]))
    assert costs.total == 0
    sparse = costs.uncounted["aten._to_sparse.default"]
    assert sparse.calls == 16
    assert sparse.shapes == [f"float32[{n}]" for n in range(1, 6)]
    assert "use dense tensors" in sparse.hint
    tanh = costs.uncounted["aten.tanh.default"]
    assert (tanh.calls, tanh.shapes) == (7, ["complex64[5]"])
    assert "view_as_real" in tanh.hint
    assert "docs/counting-standard.md" in costs.uncounted["aten.unheard_of.default"].hint


def test_a_record_has_the_beginnings_of_long_shapes_and_a_verification_those_of_an_older_record() -> None:
    meta = TensorMeta((), (), 0, "float32")
    many = Signature("aten.unheard_of.default", {"tensors": (meta,) * 65_000}, (meta,))
    few = Signature("aten.unheard_of.default", {"tensors": (meta,) * 3}, (meta,))
    costs = bill(Histogram([(many, calls("forward", 1)), (few, calls("forward", 1))]))
    (line,) = priced(costs).uncounted
    assert sorted(map(len, line.shapes)) == [len("float32[], float32[], float32[]"), 200]
    whole = line.model_copy(update={"shapes": tuple(costs.uncounted["aten.unheard_of.default"].shapes)})
    older = priced(costs).model_copy(update={"uncounted": (whole,)})
    assert older != priced(costs)
    assert with_short_shapes(older) == with_short_shapes(priced(costs)) == priced(costs)
