"""What a submission calls and reports ends in a verdict on it, and never in an error of the evaluator.

Each of these was one: the run was then nobody's fault, had no record, and was made again.
"""

import math
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from haet_eval.cli.screen import progress_text
from haet_eval.counting.bill import bill
from haet_eval.counting.histogram import PHASES, Histogram
from haet_eval.counting.operations import bytes_moved, precision, priced
from haet_eval.operators.signature import Argument, Signature, TensorMeta
from haet_eval.operators.table import lookup, of_kind
from haet_eval.pace import Pace
from haet_eval.progress import Tick
from haet_eval.remote import wire
from haet_eval.remote.wire import Fresh, Outcome, WireError
from tests.attacks.recorded_calls import RecordedCall, metered, recorded_calls

_SIZES = st.integers(-(2**63), 2**63 - 1)
_NUMBERS = st.one_of(st.integers(0, 12), st.integers(0, 10**420), st.just(9 * 10**307))
_TEXTS = st.one_of(_NUMBERS.map(str), st.builds("{}/{}".format, _NUMBERS, _NUMBERS), st.text())


@given(
    reports=st.lists(st.dictionaries(st.sampled_from(["epoch", "epochs", "step", "of"]), _TEXTS)),
    seconds=st.lists(st.floats(0, 1e9), min_size=5, max_size=5),
)
@example(reports=[{"epoch": "1", "epochs": "1" + "0" * 400}], seconds=[1.0] * 5)
@example(reports=[{"epoch": "1", "epochs": "9" + "0" * 307}], seconds=[100.0] * 5)
def test_whatever_is_reported_as_progress_can_be_shown(
    reports: list[dict[str, str]], seconds: list[float]
) -> None:
    pace = Pace()
    for values, now in zip([{}, *reports], sorted(seconds), strict=False):
        pace.report(values)
        share, left = pace.look(now)
        assert share is None or 0 <= share <= 1
        assert left is None or math.isfinite(left)
        progress_text(Tick("train", now, None, None, share, left))


@given(shape=st.lists(_SIZES, max_size=3), offset=_SIZES, data=st.data())
@example(shape=[1], offset=-1, data=None)
def test_an_executor_describes_no_tensor_that_the_meter_cannot_read(
    shape: list[int], offset: int, data: st.DataObject | None
) -> None:
    """`view_as_real` doubles strides, and one of 2⁶² becomes the least integer."""
    stride = [data.draw(_SIZES) if data else 1 for _ in shape]
    outcome = Outcome((Fresh(TensorMeta(tuple(shape), tuple(stride), offset, "float32"), -1),), ())
    try:
        told = wire.encode_outcome(outcome)
    except WireError:
        return
    assert wire.decode_outcome(told, 0) == outcome


@pytest.mark.parametrize("operator", sorted(name for name in of_kind("list") if lookup(name)))
def test_every_call_on_a_list_has_a_place_in_the_record(operator: str) -> None:
    """Also one that has no price: a sine of complex numbers was not to be found in the bytes moved."""
    for call in recorded_calls()[operator][:2]:
        for dtype in wire.DTYPES:
            histogram = Histogram([(_of(call, dtype), [1] + [0] * (len(PHASES) - 1))])
            priced(bill(histogram))
            precision(histogram, None)
            assert bytes_moved(histogram).read >= 0


def _of(call: RecordedCall, dtype: str) -> Signature:
    """The call on tensors of this dtype."""
    schema = call.schema()
    defaults = {parameter.name: parameter.default for parameter in schema.parameters}
    given = {name: _cast(value, dtype) for name, value in metered(schema, call.arguments).items()}
    return Signature(call.operator, defaults | given, (given["self"],) if schema.returns else ())


def _cast(value: Argument, dtype: str) -> Argument:
    if isinstance(value, tuple):
        return tuple(_cast(item, dtype) for item in value)
    return replace(value, dtype=dtype) if isinstance(value, TensorMeta) else value
