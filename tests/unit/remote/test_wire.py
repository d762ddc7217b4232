"""The wire: every written value can be read, and every read gives a whole value or a WireError."""

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haet_eval.operators.signature import TensorMeta
from haet_eval.remote import wire
from haet_eval.remote.wire import Atom, Definition, Fresh, Outcome, Tag, Value, WireError

names = st.text(st.characters(codec="ascii", categories=("Ll", "Nd")), min_size=1, max_size=20)
int64 = st.integers(-(2**63), 2**63 - 1)
scalars: st.SearchStrategy[Value] = st.one_of(
    st.none(),
    st.booleans(),
    int64,
    st.floats(allow_nan=False),
    st.complex_numbers(allow_nan=False),
    names,
    st.sampled_from(wire.DTYPES).map(lambda name: Atom(Tag.DTYPE, name)),
    st.sampled_from(wire.FORMATS).map(lambda name: Atom(Tag.FORMAT, name)),
    st.integers(0, 1000).map(lambda number: Atom(Tag.GENERATOR, number)),
    st.sampled_from([Atom(Tag.LAYOUT), Atom(Tag.DEVICE)]),
)
values = st.one_of(scalars, st.lists(scalars, max_size=5).map(tuple))
sizes = st.lists(st.integers(0, 2**40), max_size=5).map(tuple)


@st.composite
def metas(draw: st.DrawFn) -> TensorMeta:
    shape = draw(sizes)
    stride = tuple(draw(st.integers(0, 2**40)) for _ in shape)
    return TensorMeta(shape, stride, draw(st.integers(0, 2**40)), draw(st.sampled_from(wire.DTYPES)))


@given(names, st.dictionaries(names, values, max_size=8))
def test_a_definition_survives_the_wire(operator: str, arguments: dict[str, Value]) -> None:
    written = wire.encode_definition(Definition(operator, arguments, 0, ()))
    assert wire.decode_definition(written) == Definition(operator, arguments, 0, ())


def test_tensors_and_floats_are_numbered_in_the_order_in_which_they_are_written() -> None:
    any_float = Atom(Tag.FLOAT, wire.ANY_FLOAT)
    arguments: dict[str, Value] = {
        "self": Atom(Tag.TENSOR),
        "others": (Atom(Tag.TENSOR), Atom(Tag.TENSOR)),
        "alpha": Atom(Tag.FLOAT, wire.float_class(1.0)),
        "beta": any_float,
    }
    read = wire.decode_definition(wire.encode_definition(Definition("op", arguments, 3, ())))
    assert read.tensors == 3
    assert read.floats == (wire.float_class(1.0), wire.ANY_FLOAT)
    assert read.arguments["others"] == (Atom(Tag.TENSOR, 1), Atom(Tag.TENSOR, 2))


@given(st.lists(metas(), max_size=4), st.lists(metas(), max_size=2))
def test_an_outcome_survives_the_wire(new: list[TensorMeta], changed: list[TensorMeta]) -> None:
    outcome = Outcome(
        (tuple(Fresh(meta, place - 1) for place, meta in enumerate(new)), None, 3, 2.5, Atom(Tag.INPUT, 0)),
        tuple(enumerate(changed)),
    )
    assert wire.decode_outcome(wire.encode_outcome(outcome), inputs=4) == outcome


def test_an_outcome_may_not_refer_to_an_input_that_does_not_exist() -> None:
    written = wire.encode_outcome(Outcome((Atom(Tag.INPUT, 2),), ()))
    with pytest.raises(WireError, match="refers to no input"):
        wire.decode_outcome(written, inputs=2)


@given(st.lists(st.integers(0, 9), max_size=4).map(tuple))
def test_an_upload_must_have_as_many_bytes_as_its_shape_says(shape: tuple[int, ...]) -> None:
    meta = TensorMeta(shape, wire.contiguous_stride(shape), 0, "int16")
    record = wire.encode_upload(meta, b"\0" * 6)
    if meta.numel == 3:
        assert wire.decode_upload(record, 0) == (meta, b"\0" * 6, len(record))
    else:
        with pytest.raises(WireError, match="length does not fit"):
            wire.decode_upload(record, 0)


def test_an_upload_must_be_contiguous() -> None:
    record = wire.encode_upload(TensorMeta((2, 3), (1, 2), 0, "uint8"), b"\0" * 6)
    with pytest.raises(WireError, match="not contiguous"):
        wire.decode_upload(record, 0)


DECODERS: dict[str, Callable[[bytes], object]] = {
    "definition": wire.decode_definition,
    "outcome": lambda data: wire.decode_outcome(data, 2),
    "upload": lambda data: wire.decode_upload(data, 0),
}


@pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(decoder: Callable[[bytes], object], data: bytes) -> None:
    with contextlib.suppress(WireError):
        decoder(data)


@given(st.dictionaries(names, values, min_size=1, max_size=4), st.data())
def test_a_definition_that_is_cut_short_is_refused(arguments: dict[str, Value], data: st.DataObject) -> None:
    written = wire.encode_definition(Definition("aten.op.default", arguments, 0, ()))
    with pytest.raises(WireError):
        wire.decode_definition(written[: data.draw(st.integers(0, len(written) - 1))])


def test_a_list_may_not_be_nested_without_end() -> None:
    bomb = bytes([2]) + b"op" + bytes([1, 1]) + b"a" + bytes([Tag.LIST, 1, 0]) * 1000
    with pytest.raises(WireError, match="too deep"):
        wire.decode_definition(bomb)


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0.0, 0), (-0.0, 0), (1.0, 1), (-1.0, 2), (2.0, 3), (float("nan"), 255), (0.5, 255)],
)
def test_only_floats_that_a_price_may_depend_on_have_a_class_of_their_own(
    number: float, expected: int
) -> None:
    assert wire.float_class(number) == expected


LAYOUT = TensorMeta((2,), (1,), 0, "float32")


@pytest.mark.parametrize(
    "encode",
    [
        lambda number: wire.encode_outcome(Outcome((Fresh(LAYOUT, number),), ())),
        lambda number: wire.encode_outcome(Outcome((Atom(Tag.INPUT, number),), ())),
        lambda number: wire.encode_outcome(Outcome((), ((number, LAYOUT),))),
        lambda number: wire.encode_definition(
            Definition("aten.rand.generator", {"generator": Atom(Tag.GENERATOR, number)}, 0, ())
        ),
    ],
    ids=["alias", "input", "changed input", "generator"],
)
def test_a_number_that_does_not_fit_is_not_sent_as_another_one(encode: Callable[[int], bytes]) -> None:
    assert encode(65_534)
    for number in (65_535, 65_536, 1 << 40):
        with pytest.raises(WireError, match="65,535"):
            encode(number)


@pytest.mark.parametrize("byte", [2, 3, 128, 255])
def test_an_upload_of_truth_values_holds_zeros_and_ones_only(byte: int) -> None:
    meta = TensorMeta((3,), (1,), 0, "bool")
    assert wire.decode_upload(wire.encode_upload(meta, bytes((0, 1, 1))), 0)[1] == bytes((0, 1, 1))
    with pytest.raises(WireError, match="truth values"):
        wire.decode_upload(wire.encode_upload(meta, bytes((0, 1, byte))), 0)
