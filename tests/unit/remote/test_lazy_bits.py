"""Lazy bits in the meter's books: they come from the outcome, views inherit them, and they are never free."""

import pytest

from haet_eval.counting.histogram import Histogram
from haet_eval.operators.signature import CONJUGATE, NEGATIVE, TensorMeta
from haet_eval.remote import wire
from haet_eval.remote.wire import Atom, Code, Fresh, Tag, Value, WireError
from tests.unit.remote.bench import Bench
from tests.unit.remote.frames import TENSOR, fresh, outcome


def lazy(*shape: int, bits: int = NEGATIVE, dtype: str = "float32", offset: int = 0, alias: int = 0) -> Fresh:
    return Fresh(TensorMeta(shape, wire.contiguous_stride(shape), offset, dtype, bits), alias)


def negated(bench: Bench, handle: int, *shape: int) -> int:
    return bench.define("aten._neg_view.default", {"self": TENSOR}, (handle,), answer=outcome(lazy(*shape)))


def bits(bench: Bench, handle: int) -> int:
    return bench.meter.living[handle].meta.bits


def test_bits_are_those_of_the_outcome() -> None:
    bench = Bench()
    assert bits(bench, negated(bench, bench.ones(2, 3), 2, 3)) == NEGATIVE


def test_template_is_for_the_bits_that_it_was_defined_with() -> None:
    bench = Bench()
    plain = bench.ones(4)
    other = negated(bench, plain, 4)
    bench.relu(plain, 4)
    with pytest.raises(WireError, match="other shapes"):
        bench.call(bench.templates - 1, other)


def test_select_and_slice_inherit_bits() -> None:
    bench = Bench()
    handle = negated(bench, bench.ones(4, 4), 4, 4)
    bench.send(wire.SELECT.pack(Code.SELECT, handle, 0, 1), wire.SLICE.pack(Code.SLICE, handle, 1, 0, 4, 2))
    assert [bits(bench, number) for number in (handle + 1, handle + 2)] == [NEGATIVE, NEGATIVE]


def test_client_uploads_no_bits() -> None:
    meta = TensorMeta((1,), (1,), 0, "float32", NEGATIVE)
    with pytest.raises(WireError, match="not contiguous"):
        Bench().send(wire.encode_upload(meta, bytes(4)))


def cost_of_reading(bench: Bench, handle: int, *shape: int) -> int:
    before = bench.meter.operations
    bench.define("aten.clone.default", {"self": TENSOR}, (handle,), answer=outcome(fresh(*shape)))
    return bench.meter.operations - before


def set_to(bench: Bench, handle: int, source: int, changed: TensorMeta) -> None:
    """A call of `set_`, after which the first tensor is as `changed` says."""
    answer = wire.encode_outcome(wire.Outcome((Atom(Tag.INPUT, 0),), ((0, changed),)))
    arguments: dict[str, Value] = {"self": TENSOR, "source": TENSOR}
    bench.define("aten.set_.source_Tensor", arguments, (handle, source), answer=answer)


def test_a_view_is_free_and_each_read_of_it_pays() -> None:
    bench = Bench()
    base = bench.ones(50)
    view = negated(bench, base, 50)
    made = bench.meter.operations
    for reads in range(1, 4):
        bench.add_(base, base)
        assert cost_of_reading(bench, view, 50) == 50
        assert bench.meter.operations - made == reads * 100


def test_set_keeps_the_bit_of_self_and_a_read_pays_for_every_sign() -> None:
    bench = Bench()
    large, small = bench.ones(1000), negated(bench, bench.ones(1), 1)
    set_to(bench, small, large, lazy(1000).meta)
    assert bits(bench, small) == NEGATIVE
    assert cost_of_reading(bench, small, 1000) == 1000


def test_set_without_a_bit_shows_memory_that_is_read_for_nothing() -> None:
    bench = Bench()
    plain, large = bench.ones(1), bench.ones(50)
    set_to(bench, plain, large, fresh(50).meta)
    assert cost_of_reading(bench, plain, 50) == 0


def test_view_of_more_memory_is_read_at_the_price_of_all_that_it_shows() -> None:
    bench = Bench()
    whole = bench.ones(100)
    bench.send(wire.SLICE.pack(Code.SLICE, whole, 0, 0, 1, 1))
    one = negated(bench, whole + 1, 1)
    arguments: dict[str, Value] = {"self": TENSOR, "size": (100,), "stride": (1,), "storage_offset": 0}
    shown = bench.define("aten.as_strided.default", arguments, (one,), answer=outcome(lazy(100, alias=0)))
    assert cost_of_reading(bench, shown, 100) == 100


def test_histogram_keeps_bits_and_leaves_plain_tensors_as_they_were() -> None:
    bench = Bench()
    handle = bench.ones(2)
    bench.relu(handle, 2)
    assert b"negative" not in bench.meter.histogram().to_json()
    bench.define("aten._conj.default", {"self": TENSOR}, (handle,), answer=outcome(lazy(2, bits=CONJUGATE)))
    data = bench.meter.histogram().to_json()
    assert b'"conjugate":true' in data
    assert Histogram.from_json(data).to_json() == data


@pytest.mark.parametrize("value", [0, CONJUGATE, NEGATIVE, CONJUGATE | NEGATIVE])
def test_bits_travel_over_the_wire(value: int) -> None:
    sent = outcome(lazy(2, 3, bits=value, dtype="complex64", offset=4))
    (output,) = wire.decode_outcome(sent, 1).outputs
    assert output == lazy(2, 3, bits=value, dtype="complex64", offset=4)
    (without,) = wire.decode_outcome(wire.without_bits(sent, 1), 1).outputs
    assert without == lazy(2, 3, bits=0, dtype="complex64", offset=4)
