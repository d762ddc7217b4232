"""The meter's decisions on hand-made frames: it counts, charges, refuses, or ends the run."""

import struct
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from haet_eval.counting.parameters import ParameterCount
from haet_eval.errors import SubmissionFailure, Verdict
from haet_eval.operators.signature import TensorMeta
from haet_eval.remote import charges, wire
from haet_eval.remote.messages import ModelTensor
from haet_eval.remote.wire import Atom, Code, Tag, Value, WireError
from tests.unit.remote import frames
from tests.unit.remote.bench import IMAGES, Bench, budgets
from tests.unit.remote.frames import TENSOR, a_float, fresh, outcome

ADD: dict[str, Value] = {"self": TENSOR, "other": TENSOR}
PIXELS = int(np.prod(IMAGES))


def verdict_of(act: Callable[[], object]) -> Verdict:
    with pytest.raises(SubmissionFailure) as caught:
        act()
    return caught.value.verdict


def parameter(handle: int, name: str = "weight") -> ModelTensor:
    return ModelTensor(name=name, handle=handle, role="trainable")


# Handles.


@pytest.mark.parametrize("number", [0, 3, 2**63, 2**64 - 1])
def test_a_tensor_that_never_was_cannot_be_used(number: int) -> None:
    with pytest.raises(WireError, match="does not exist"):
        Bench().send(frames.read(number))


def test_a_freed_tensor_cannot_be_used() -> None:
    bench = Bench()
    with pytest.raises(WireError, match="does not exist"):
        bench.send(frames.free(bench.labels), frames.read(bench.labels))


def test_a_tensor_cannot_be_freed_twice() -> None:
    bench = Bench()
    with pytest.raises(WireError, match="freed twice"):
        bench.send(frames.free(bench.labels, bench.labels))


def test_a_free_that_announces_more_than_it_holds_is_refused() -> None:
    with pytest.raises(WireError, match="cut short"):
        Bench().send(wire.COUNTED.pack(Code.FREE, 2**32 - 1))


def test_numbers_of_tensors_are_never_given_again() -> None:
    bench = Bench()
    first = bench.ones(2)
    bench.send(frames.free(first))
    assert bench.call(0) == first + 1


# Templates.


def test_a_template_that_was_not_defined_cannot_be_called() -> None:
    with pytest.raises(WireError, match="no template"):
        Bench().send(frames.call(0, ()))


def test_a_template_is_for_the_shapes_it_was_defined_with() -> None:
    bench = Bench()
    bench.relu(bench.ones(4), 4)
    with pytest.raises(WireError, match="other shapes"):
        bench.call(1, bench.ones(2, 2))


def test_a_template_is_for_the_class_of_float_it_was_defined_with() -> None:
    bench = Bench()
    number = bench.ones(4)
    arguments = {**ADD, "alpha": a_float(0.5)}
    bench.define("aten.add.Tensor", arguments, (number, number), (0.5,), answer=outcome(fresh(4)))
    bench.call(1, number, number, floats=(0.25,))
    with pytest.raises(WireError, match="float of another class"):
        bench.call(1, number, number, floats=(1.0,))


def test_a_definition_may_not_lie_about_the_class_of_its_float() -> None:
    bench = Bench()
    number = bench.ones(4)
    record = frames.define("aten.add.Tensor", {**ADD, "alpha": a_float(1.0)}, (number, number), (3.0,))
    with pytest.raises(WireError, match="float of another class"):
        bench.send(record)


def test_absolute_offsets_are_part_of_as_strided() -> None:
    bench = Bench()
    base = bench.ones(8)
    parts = [bench.meter.next_handle + place for place in (0, 1)]
    bench.send(*(wire.SLICE.pack(Code.SLICE, base, 0, start, start + 4, 1) for start in (0, 4)))
    arguments: dict[str, Value] = {"self": TENSOR, "size": (2,), "stride": (1,)}
    answer = outcome(fresh(2, alias=0))
    bench.define("aten.as_strided.default", arguments, (parts[0],), answer=answer)
    with pytest.raises(WireError, match="other offsets"):
        bench.call(1, parts[1])


@pytest.mark.parametrize(
    "arguments",
    [
        {"self": 3, "other": TENSOR},
        {"self": TENSOR, "other": "float32"},
        {"self": (TENSOR,), "other": TENSOR},
        {"self": TENSOR, "other": TENSOR, "alpha": TENSOR},
        {"self": TENSOR, "other": TENSOR, "beta": 1},
        {"self": TENSOR},
        {"self": TENSOR, "other": None},
        {"self": TENSOR, "other": Atom(Tag.DTYPE, "float32")},
    ],
)
def test_arguments_of_another_kind_than_the_schema_has_are_refused(arguments: dict[str, Value]) -> None:
    bench = Bench()
    number = bench.ones(4)
    tensors = sum(value == TENSOR for value in wire.flatten(tuple(arguments.values())))
    accepted = bench.send(frames.define("aten.add.Tensor", arguments, (number,) * tensors))
    assert accepted.refused is not None
    assert bench.meter.histogram().to_json() == with_ones().meter.histogram().to_json()


def with_ones() -> Bench:
    bench = Bench()
    bench.ones(4)
    return bench


@pytest.mark.parametrize("place", [Atom(Tag.INPUT, 0), Atom(Tag.INPUT, 9), fresh(4)])
def test_outputs_cannot_stand_among_the_arguments(place: Value) -> None:
    bench = Bench()
    with pytest.raises(WireError, match="output among the arguments"):
        bench.send(frames.define("aten.relu.default", {"self": place}, ()))


def test_an_operator_that_is_not_allowed_is_refused_and_remembered() -> None:
    bench = Bench()
    accepted = bench.send(frames.define("aten.from_file.default", {"filename": "/etc/passwd"}, ()))
    assert accepted.refused is not None
    assert "from_file" in accepted.refused
    assert bench.meter.refused["aten.from_file.default"] == 1


def test_refused_names_fill_no_memory() -> None:
    bench = Bench()
    for number in range(2000):
        bench.send(frames.define(f"aten.nothing{number}.default", {}, ()))
    assert len(bench.meter.refused) <= 1024


def test_a_definition_has_a_greatest_length() -> None:
    bench = Bench()
    many: tuple[Value, ...] = (None,) * 60_000
    arguments: dict[str, Value] = {f"a{place}": many for place in range(20)}
    with pytest.raises(WireError, match="too long"):
        bench.send(frames.define("aten.relu.default", arguments, ()))


def test_a_call_whose_answer_is_needed_cannot_go_without() -> None:
    bench = Bench()
    bench.nonzero(bench.labels, found=3)
    with pytest.raises(WireError, match="not waited for"):
        bench.call(0, bench.labels)


def test_only_a_dynamic_template_may_ask() -> None:
    bench = Bench()
    bench.ones(4)
    with pytest.raises(WireError, match="record that wants no answer, sent as a question"):
        bench.send(frames.call(0, (), code=Code.DYNAMIC))


def test_nothing_may_follow_a_question() -> None:
    bench = Bench()
    with pytest.raises(WireError):
        bench.send(frames.read(bench.labels), frames.read(bench.labels))


# Views.


def test_no_view_begins_at_an_element_that_no_executor_can_name() -> None:
    """Empty views move at will, by strides that earlier steps have made huge."""
    bench = Bench()
    view = bench.ones(1, 1)
    cuts = [(dimension, *cut) for dimension in (0, 1) for cut in ((0, 1, 1 << 60), (1, 1, 1))]
    for cut in cuts[:-1]:
        bench.send(wire.SLICE.pack(Code.SLICE, view, *cut))
        view = bench.meter.next_handle - 1
    with pytest.raises(WireError, match="out of range"):
        bench.send(wire.SLICE.pack(Code.SLICE, view, *cuts[-1]))
    assert bench.meter.living[view].meta.offset <= 1 << 60


# Taint.


def test_reading_data_is_charged_by_its_bytes() -> None:
    bench = Bench()
    assert bench.read(bench.labels) == IMAGES[0] * 8
    assert bench.read(bench.images) == PIXELS


def test_constants_random_numbers_and_uploads_are_read_for_nothing() -> None:
    bench = Bench()
    first = bench.meter.next_handle
    bench.send(frames.upload((4,), bytes(16)))
    assert [bench.read(number) for number in (first, bench.ones(4), bench.rand(4))] == [0, 0, 0]


def test_results_computed_from_data_are_data() -> None:
    bench = Bench()
    number = bench.as_float(bench.labels, 8)
    assert bench.read(bench.relu(number, 8)) == 8 * 4


def test_a_view_of_data_is_data() -> None:
    bench = Bench()
    number = bench.meter.next_handle
    bench.send(wire.SELECT.pack(Code.SELECT, bench.labels, 0, 3))
    assert bench.read(number) == 8
    assert bench.read(bench.alias(bench.as_float(bench.labels, 8), 8)) == 8 * 4


def test_writing_data_into_a_constant_makes_it_and_its_views_data() -> None:
    bench = Bench()
    number = bench.ones(8)
    view = bench.alias(number, 8)
    assert bench.read(view) == 0
    bench.add_(number, bench.as_float(bench.labels, 8))
    assert bench.read(view) == bench.read(number) == 8 * 4


def test_set_makes_a_constant_show_data() -> None:
    bench = Bench()
    number = bench.ones(8)
    data = bench.as_float(bench.labels, 8)
    answer = outcome(Atom(Tag.INPUT, 0))
    bench.define("aten.set_.source_Tensor", {"self": TENSOR, "source": TENSOR}, (number, data), answer=answer)
    assert bench.read(number) == 8 * 4


def test_a_number_learned_from_data_is_charged_eight_bytes_at_every_call() -> None:
    bench = Bench()
    bench.nonzero(bench.labels, found=3)
    assert bench.meter.charges.readback_bytes == 8
    bench.ask_again(0, bench.labels, answer=outcome(fresh(5, 1, dtype="int64")))
    assert bench.meter.charges.readback_bytes == 16


def test_a_number_learned_from_a_constant_is_charged_nothing() -> None:
    bench = Bench()
    bench.nonzero(bench.ones(8), found=8)
    assert bench.meter.charges.readback_bytes == 0


def test_a_call_that_may_have_written_some_tensors_of_a_list_cannot_be_refused() -> None:
    bench = Bench()
    first, second = bench.ones(3), bench.ones(4)
    arguments: dict[str, Value] = {"self": (TENSOR, TENSOR), "other": (TENSOR, TENSOR)}
    question = bench.ask(frames.define("aten._foreach_add_.List", arguments, (first, second, first, first)))
    with pytest.raises(WireError, match="may have written to its inputs"):
        bench.meter.refuse(question)


def test_a_refused_call_on_data_is_charged_as_a_read() -> None:
    bench = Bench()
    question = bench.ask(frames.define("aten.relu.default", {"self": TENSOR}, (bench.images,)))
    bench.meter.refuse(question)
    assert bench.meter.charges.readback_bytes == 8


def test_draws_after_a_draw_by_value_are_data_until_the_generator_is_seeded() -> None:
    bench = Bench()
    rates = bench.as_float(bench.labels, 8)
    seed = wire.SEED.pack(Code.SEED, wire.DEFAULT_GENERATOR, 7)
    assert bench.read(bench.rand(4)) == 0
    bench.define("aten.poisson.default", {"self": TENSOR}, (rates,), answer=outcome(fresh(8)))
    assert bench.read(bench.call(1)) == 16
    bench.send(seed)
    assert bench.read(bench.call(1)) == 0


def test_a_saved_generator_state_keeps_its_taint() -> None:
    bench = Bench()
    rates = bench.as_float(bench.labels, 8)
    bench.rand(4)
    save, load = (
        [wire.STATE.pack(code, wire.DEFAULT_GENERATOR, number) for number in (0, 1)]
        for code in (Code.SAVE_STATE, Code.LOAD_STATE)
    )
    bench.send(save[0])
    bench.define("aten.poisson.default", {"self": TENSOR}, (rates,), answer=outcome(fresh(8)))
    bench.send(save[1], load[0])
    assert bench.read(bench.call(1)) == 0
    bench.send(load[1])
    assert bench.read(bench.call(1)) == 16


def seeded(generator: int = wire.DEFAULT_GENERATOR) -> bytes:
    return wire.SEED.pack(Code.SEED, generator, 7)


def test_a_generator_carries_nothing_of_the_training_into_the_prediction() -> None:
    bench = Bench()
    rates = bench.as_float(bench.labels, 8)
    bench.rand(4)
    bench.define("aten.poisson.default", {"self": TENSOR}, (rates,), answer=outcome(fresh(8)))
    bench.meter.seal([])
    with pytest.raises(SubmissionFailure, match="Seed it anew"):
        bench.call(1)
    bench.send(seeded())
    bench.call(1)


def test_a_generator_carries_nothing_of_one_batch_into_the_next() -> None:
    bench = Bench()
    bench.rand(4)
    bench.meter.seal([])
    images = bench.meter.begin_batch((2, 4))
    rates = bench.as_float(images, 2, 4)
    bench.define("aten.poisson.default", {"self": TENSOR}, (rates,), answer=outcome(fresh(2, 4)))
    bench.send(wire.STATE.pack(Code.SAVE_STATE, wire.DEFAULT_GENERATOR, 0))
    bench.call(0)
    bench.meter.end_batch()
    bench.meter.begin_batch((2, 4))
    bench.send(seeded())
    bench.call(0)
    bench.send(wire.STATE.pack(Code.LOAD_STATE, wire.DEFAULT_GENERATOR, 0))
    with pytest.raises(SubmissionFailure, match="Seed it anew"):
        bench.call(0)


def test_dropout_of_data_does_not_make_later_random_numbers_data() -> None:
    bench = Bench()
    number = bench.as_float(bench.labels, 8)
    bench.rand(4)
    arguments: dict[str, Value] = {"input": TENSOR, "p": a_float(0.5), "train": True}
    answer = outcome(fresh(8), fresh(8, dtype="bool"))
    dropped = bench.define("aten.native_dropout.default", arguments, (number,), (0.5,), answer=answer)
    assert bench.read(bench.call(1)) == 0
    assert bench.read(dropped) == 32


def test_a_value_too_large_to_be_read_is_refused() -> None:
    bench = Bench()
    number = bench.ones(1 << 24)
    assert bench.send(frames.read(number)).refused is not None


# Budgets.


def test_readback_budget() -> None:
    bench = Bench(budgets(readback_bytes=100))
    bench.read(bench.labels)
    assert verdict_of(lambda: bench.read(bench.labels)) is Verdict.LIMIT_READBACK
    assert bench.meter.charges.readback_bytes == 64


def test_each_batch_of_the_prediction_has_a_readback_budget_of_its_own() -> None:
    bench = Bench(budgets(readback_bytes=0, prediction_readback_bytes=20))
    bench.meter.seal([])
    for _ in range(3):
        bench.read(bench.meter.begin_batch((2, 4, 2)))
        bench.meter.end_batch()
    assert bench.meter.charges.prediction_readback_bytes == 48
    assert bench.meter.charges.readback_bytes == 0
    images = bench.meter.begin_batch((2, 4, 2))
    bench.read(images)
    with pytest.raises(SubmissionFailure) as caught:
        bench.read(images)
    assert caught.value.code == "limit-prediction-readback"


def test_shapes_and_refusals_in_prediction_draw_on_the_budget_of_its_batch() -> None:
    bench = Bench(budgets(readback_bytes=0, prediction_readback_bytes=8))
    bench.meter.seal([])
    images = bench.meter.begin_batch((2, 4))
    question = bench.ask(frames.define("aten.relu.default", {"self": TENSOR}, (images,)))
    bench.meter.refuse(question)
    assert verdict_of(lambda: bench.nonzero(images, 3)) is Verdict.LIMIT_READBACK


def test_an_answer_that_waits_for_work_on_data_is_charged_for_any_value() -> None:
    bench = Bench(budgets(timed_answers=4))
    clock = bench.ones(1)  # a new call, and nothing works on data yet
    bench.read(clock)
    assert bench.meter.charges.timed_answers == 0
    images = bench.as_float(bench.labels, 8)  # a new call on data
    bench.read(clock)  # nothing was worked on since
    assert bench.meter.charges.timed_answers == 1
    bench.call(1, bench.labels)  # known, so nothing waits for it
    bench.read(clock)
    bench.read(images)
    assert bench.meter.charges.timed_answers == 3
    bench.call(1, bench.labels)
    bench.ones(2)
    assert bench.meter.charges.timed_answers == 4
    bench.read(clock)
    bench.call(1, bench.labels)
    with pytest.raises(SubmissionFailure) as caught:
        bench.read(clock)
    assert caught.value.code == "limit-timed-answers"


def test_the_end_of_training_and_of_each_batch_is_waited_for() -> None:
    bench = Bench()
    bench.as_float(bench.labels, 8)
    bench.call(0, bench.labels)
    before = bench.meter.charges.timed_answers
    bench.meter.seal([])
    assert bench.meter.charges.timed_answers == before + 1
    for _ in range(2):
        bench.as_float(bench.meter.begin_batch((2, 4)), 2, 4)
        bench.call(bench.templates - 1, bench.meter.next_handle - 2)
        bench.meter.end_batch()
    assert bench.meter.charges.timed_answers == before + 1 + 4


def test_a_stall_draws_on_the_budget_of_answers() -> None:
    bench = Bench(budgets(timed_answers=2))
    bench.meter.charges.stalled(2)
    assert verdict_of(lambda: bench.meter.charges.stalled(1)) is Verdict.LIMIT_READBACK


def test_upload_budget_of_tensors() -> None:
    bench = Bench(budgets(upload_bytes=20))
    bench.send(frames.upload((4,), bytes(16)))
    assert verdict_of(lambda: bench.send(frames.upload((2,), bytes(8)))) is Verdict.LIMIT_UPLOAD


def test_even_an_empty_upload_is_charged_as_it_takes_memory() -> None:
    bench = Bench()
    bench.send(frames.upload((0, 5), b""))
    assert bench.meter.charges.upload_bytes == 8


def test_a_constant_made_of_an_index_is_charged_like_a_number_and_counted() -> None:
    """Of the numbers from 0 to 255, 1,250 selects make 1,250 weights of eight bits."""
    bench = Bench()
    numbers = bench.define("aten.arange.default", {"end": 256}, answer=outcome(fresh(256, dtype="int64")))
    before = bench.meter.charges.upload_bytes
    places = [(17 * place) % 100 for place in range(1250)]
    bench.send(*(wire.SELECT.pack(Code.SELECT, numbers, 0, place) for place in places))
    assert bench.meter.charges.upload_bytes == before + 8 * 100
    assert bench.meter.charges.constant_selects == 1250
    bench.send(wire.SLICE.pack(Code.SLICE, numbers, 0, 201, 203, 1))
    assert bench.meter.charges.upload_bytes == before + 8 * 102
    bench.send(wire.SELECT.pack(Code.SELECT, bench.labels, 0, 7))
    assert bench.meter.charges.upload_bytes == before + 8 * 102
    assert bench.meter.charges.constant_selects == 1251


def test_an_uploaded_number_is_charged_once_for_each_value() -> None:
    bench = Bench()
    for number in (1.5, 1.5, 2.5):
        bench.send(frames.upload((), struct.pack("<f", number)))
    assert bench.meter.charges.upload_bytes == 16


def test_a_literal_is_charged_once_for_each_value() -> None:
    bench = Bench()
    number = bench.ones(4)  # 4 is a literal: 8 bytes
    arguments = {**ADD, "alpha": a_float(0.5)}
    bench.define("aten.add.Tensor", arguments, (number, number), (0.5,), answer=outcome(fresh(4)))
    for alpha in (0.5, 0.25, 0.5, 0.25):
        bench.call(1, number, number, floats=(alpha,))
    assert bench.meter.charges.upload_bytes == 3 * 8


def test_not_a_number_is_charged_each_time_as_it_may_carry_bits() -> None:
    bench = Bench()
    number = bench.ones(4)
    arguments = {**ADD, "alpha": a_float(0.5)}
    bench.define("aten.add.Tensor", arguments, (number, number), (0.5,), answer=outcome(fresh(4)))
    before = bench.meter.charges.upload_bytes
    for _ in range(3):
        bench.call(1, number, number, floats=(float("nan"),))
    assert bench.meter.charges.upload_bytes == before + 24


def test_a_seed_is_a_literal() -> None:
    bench = Bench()
    for seed in (5, 5, 6):
        bench.send(wire.SEED.pack(Code.SEED, wire.DEFAULT_GENERATOR, seed))
    assert bench.meter.charges.upload_bytes == 16


def test_messages_budget() -> None:
    bench = Bench(budgets(messages=3))
    bench.ones(4)
    act = lambda: bench.send(*[frames.call(0, ())] * 3)  # noqa: E731
    assert verdict_of(act) is Verdict.LIMIT_MESSAGES


def test_operations_budget_is_checked_again_when_the_model_is_returned() -> None:
    bench = Bench(budgets(operations=10))
    number = bench.ones(4)
    for _ in range(3):
        number = bench.relu(number, 4)
    assert verdict_of(bench.meter.check_operations) is Verdict.LIMIT_OPERATIONS
    assert verdict_of(lambda: bench.meter.seal([])) is Verdict.LIMIT_OPERATIONS


def test_what_precedes_the_first_batch_counts_with_its_images() -> None:
    bench = Bench(budgets(prediction_operations_per_image=4))
    weight = bench.ones(4)
    bench.meter.seal([parameter(weight)])
    bench.call(1, bench.relu(weight, 4))
    bench.call(1, weight)
    bench.meter.check_operations()  # the watch looks while model.eval() works
    bench.meter.begin_batch((2, 4))
    assert verdict_of(bench.meter.check_operations) is Verdict.LIMIT_PREDICTION


def test_prediction_budget_is_for_each_image() -> None:
    bench = Bench(budgets(prediction_operations_per_image=4))
    bench.meter.seal([])
    images = bench.meter.begin_batch((2, 4))
    number = bench.as_float(images, 2, 4)
    bench.relu(number, 2, 4)
    bench.meter.check_operations()
    bench.call(1, number)
    assert verdict_of(bench.meter.check_operations) is Verdict.LIMIT_PREDICTION
    logits = bench.rand(2, 10)
    assert verdict_of(lambda: bench.meter.take_logits(logits, 2, 10)) is Verdict.LIMIT_PREDICTION


def test_living_tensors_are_bounded_within_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("haet_eval.remote.charges.MAX_HANDLES", 10_000)
    monkeypatch.setattr("haet_eval.remote.meter.MAX_HANDLES", 10_000)
    bench = Bench()
    arguments: dict[str, Value] = {"self": TENSOR, "dim": 0}
    parts = outcome(tuple(fresh(alias=0, offset=place) for place in range(1000)))
    bench.define("aten.unbind.int", arguments, (bench.ones(1000),), answer=parts)
    act = lambda: bench.send(*[frames.call(1, (3,))] * 100_000)  # noqa: E731
    assert verdict_of(act) is Verdict.LIMIT_MEMORY
    assert bench.meter.next_handle < 12_000


def test_saved_states_are_bounded() -> None:
    bench = Bench()
    records = [wire.STATE.pack(Code.SAVE_STATE, 0, number) for number in range(charges.MAX_STATES + 1)]
    assert verdict_of(lambda: bench.send(*records)) is Verdict.LIMIT_MEMORY


def test_distinct_slices_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("haet_eval.remote.charges.MAX_TEMPLATES", 1000)
    bench = Bench()
    base = bench.ones(1 << 20)
    records = []
    for length in range(1001):
        records += [wire.SLICE.pack(Code.SLICE, base, 0, 0, length, 1), frames.free(base + 1 + length)]
    assert verdict_of(lambda: bench.send(*records)) is Verdict.LIMIT_MESSAGES


def test_bytes_that_describe_calls_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("haet_eval.remote.charges.MAX_DESCRIBED_BYTES", 100_000)
    bench = Bench()
    base = bench.ones(1000)
    answer = outcome(tuple(fresh(alias=0, offset=place) for place in range(1000)))

    def define_many() -> None:
        for _ in range(20):
            bench.define("aten.unbind.int", {"self": TENSOR, "dim": 0}, (base,), answer=answer)

    assert verdict_of(define_many) is Verdict.LIMIT_MESSAGES


# Phases.


def test_calls_are_counted_under_the_reported_phase() -> None:
    bench = Bench()
    bench.ones(4)
    bench.send(wire.PHASE.pack(Code.PHASE, 2), frames.call(0, ()))
    entry = next(iter(bench.meter.histogram()))
    assert entry.calls == (1, 0, 1, 0, 0, 0)


def test_an_unknown_phase_is_refused() -> None:
    with pytest.raises(WireError, match="unknown phase"):
        Bench().send(wire.PHASE.pack(Code.PHASE, 6))


# Views whose numbers travel with the call.


@given(st.data())
def test_select_and_slice_show_what_numpy_shows(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=4).map(tuple))
    array = np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape)
    bench = Bench()
    answer = outcome(fresh(array.size, dtype="int64"))
    flat = bench.define("aten.arange.default", {"end": array.size}, answer=answer)
    view = outcome(fresh(*shape, dtype="int64", alias=0))
    number = bench.define("aten.view.default", {"self": TENSOR, "size": shape}, (flat,), answer=view)
    for _ in range(data.draw(st.integers(1, 3))):
        if not array.ndim:
            break
        axis = data.draw(st.integers(0, array.ndim - 1))
        size = array.shape[axis]
        if size and data.draw(st.booleans()):
            index = data.draw(st.integers(0, size - 1))
            record = wire.SELECT.pack(Code.SELECT, number, axis, index)
            array = np.asarray(array.take(index, axis))
        else:
            start = data.draw(st.integers(0, size))
            end, step = data.draw(st.integers(start, size)), data.draw(st.integers(1, 6))
            record = wire.SLICE.pack(Code.SLICE, number, axis, start, end, step)
            array = array[(slice(None),) * axis + (slice(start, end, step),)]
        number = bench.meter.next_handle
        bench.send(record)
    meta = bench.meter.living[number].meta
    assert meta.shape == array.shape
    places = np.zeros(array.shape, dtype=np.int64) + meta.offset
    for axis, stride in enumerate(meta.stride):
        along = np.arange(array.shape[axis]) * stride
        places += along.reshape([-1 if place == axis else 1 for place in range(array.ndim)])
    assert np.array_equal(places, array)


@pytest.mark.parametrize(
    "record",
    [
        wire.SELECT.pack(Code.SELECT, 2, 0, 8),
        wire.SELECT.pack(Code.SELECT, 2, 0, -1),
        wire.SELECT.pack(Code.SELECT, 2, 1, 0),
        wire.SLICE.pack(Code.SLICE, 2, 0, 0, 9, 1),
        wire.SLICE.pack(Code.SLICE, 2, 0, 5, 4, 1),
        wire.SLICE.pack(Code.SLICE, 2, 0, -1, 4, 1),
        wire.SLICE.pack(Code.SLICE, 2, 0, 0, 8, 0),
        wire.SLICE.pack(Code.SLICE, 1, 0, 0, 8, 2**62),
    ],
)
def test_no_view_leaves_its_tensor(record: bytes) -> None:
    with pytest.raises(WireError):
        Bench().send(record)


# The seal, and what comes after it.


def test_only_registered_tensors_live_on() -> None:
    bench = Bench()
    weight, other = bench.ones(4), bench.ones(2, 3)
    bench.meter.seal([parameter(weight)])
    bench.relu(weight, 4)
    for number, shape in ((other, r"\[2, 3\]"), (bench.images, r"\[8, 3, 4, 4\]")):
        with pytest.raises(SubmissionFailure, match=f"shape {shape}.*register_buffer"):
            bench.read(number)


def test_parameters_are_counted_by_the_memory_that_they_span() -> None:
    bench = Bench()
    weight = bench.ones(10)
    part = bench.meter.next_handle
    bench.send(wire.SLICE.pack(Code.SLICE, weight, 0, 0, 9, 4))
    tied = bench.alias(weight, 10)
    buffer = ModelTensor(name="buffer", handle=part, role="buffer")
    assert bench.meter.seal([buffer]).total == 9  # the gaps are stored as well
    again = Bench()
    weight = again.ones(10)
    tied = again.alias(weight, 10)
    assert again.meter.seal([parameter(weight), parameter(tied, "tied")]) == ParameterCount(10, 0, 0, 320)


def test_a_model_of_tensors_that_do_not_exist_fails() -> None:
    assert verdict_of(lambda: Bench().meter.seal([parameter(99)])) is Verdict.FAILED


def test_nothing_may_write_to_a_sealed_tensor_or_a_view_of_it() -> None:
    bench = Bench()
    weight = bench.ones(4)
    bench.meter.seal([parameter(weight)])
    view = bench.alias(weight, 4)
    other = bench.ones(4)
    for number in (weight, view):
        with pytest.raises(SubmissionFailure, match="of the model while it predicts"):
            bench.add_(number, other)


def test_an_operator_with_training_switched_off_still_writes_its_outputs() -> None:
    bench = Bench()
    weight = bench.ones(4)
    noise = bench.ones(4)
    bench.meter.seal([parameter(weight), parameter(noise, "noise")])
    arguments: dict[str, Value] = {"self": TENSOR, "noise": TENSOR, "training": False}
    answer = outcome(Atom(Tag.INPUT, 0))
    with pytest.raises(SubmissionFailure, match="of the model while it predicts"):
        bench.define("aten.rrelu_with_noise_.default", arguments, (weight, noise), answer=answer)


def test_after_a_batch_only_the_model_and_constants_live_on() -> None:
    bench = Bench()
    weight = bench.ones(4)
    bench.meter.seal([parameter(weight)])
    images = bench.meter.begin_batch((2, 4))
    constant, from_model = bench.rand(4), bench.relu(weight, 4)
    kept_view = bench.alias(weight, 4)
    gone = bench.meter.end_batch()
    assert set(gone) == {images, from_model}
    bench.read(constant)
    bench.read(kept_view)
    with pytest.raises(SubmissionFailure, match="left from an earlier batch"):
        bench.read(images)


@pytest.mark.parametrize(("shape", "dtype"), [((2, 9), "float32"), ((2,), "float32"), ((2, 10), "int64")])
def test_logits_have_one_float_for_each_image_and_class(shape: tuple[int, ...], dtype: str) -> None:
    bench = Bench()
    bench.meter.seal([])
    answer = outcome(fresh(*shape, dtype=dtype))
    number = bench.define("aten.ones.default", {"size": shape}, answer=answer)
    with pytest.raises(SubmissionFailure, match="logits must be floats of shape"):
        bench.meter.take_logits(number, 2, 10)


def test_logits_that_do_not_exist_fail() -> None:
    assert verdict_of(lambda: Bench().meter.take_logits(0, 2, 10)) is Verdict.FAILED


def test_prediction_does_not_touch_the_count_of_the_training() -> None:
    bench = Bench()
    weight = bench.ones(4)
    bench.relu(weight, 4)
    before = bench.meter.histogram().to_json()
    operations = bench.meter.operations
    bench.meter.seal([parameter(weight)])
    bench.meter.begin_batch((2, 4))
    bench.send(wire.PHASE.pack(Code.PHASE, 0), frames.call(1, (weight,)))
    bench.relu(weight, 4)
    assert bench.meter.histogram().to_json() == before
    assert bench.meter.operations == operations
    assert bench.meter.prediction_operations == operations * 2


# An executor that answers nonsense.


NONSENSE = {
    "nothing": b"",
    "bytes": b"\xff" * 40,
    "no output": outcome(),
    "two outputs": outcome(fresh(4), fresh(4)),
    "a number": outcome(3),
    "a text": outcome("relu"),
    "a list": outcome((fresh(4),)),
    "an argument": outcome(TENSOR),
    "an input that is not there": outcome(Atom(Tag.INPUT, 1)),
    "an alias of nothing": outcome(fresh(4, alias=5)),
    "a tensor too large": outcome(fresh(2**34)),
    "a change": outcome(fresh(4), changed=((0, TensorMeta((2,), (1,), 0, "float32")),)),
    "too much": outcome(fresh(4)) + b"\0",
}


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE)
def test_a_nonsensical_answer_changes_no_count(answer: bytes) -> None:
    bench = Bench()
    number = bench.ones(4)
    before = bench.meter.histogram().to_json()
    with pytest.raises(WireError):
        bench.define("aten.relu.default", {"self": TENSOR}, (number,), answer=answer)
    assert bench.meter.histogram().to_json() == before


def test_a_shape_that_cannot_be_priced_is_nonsense() -> None:
    bench = Bench()
    left, right = bench.ones(2, 3), bench.ones(3, 4)
    arguments: dict[str, Value] = {"input": TENSOR, "weight": TENSOR, "bias": None, "stride": (1,)}
    arguments |= {"padding": (0,), "dilation": (1,), "transposed": False, "output_padding": (0,), "groups": 1}
    accepted = bench.send(frames.define("aten.convolution.default", arguments, (left, right)))
    if accepted.question is not None:
        with pytest.raises(WireError):
            bench.meter.answer(accepted.question, outcome(fresh()))


@given(st.binary(max_size=120))
def test_any_answer_is_taken_or_nonsense(answer: bytes) -> None:
    bench = Bench()
    question = bench.ask(frames.define("aten.relu.default", {"self": TENSOR}, (bench.ones(4),)))
    try:
        bench.meter.answer(question, answer)
    except WireError:
        assert bench.meter.next_handle == 4


def test_a_value_of_another_size_is_nonsense() -> None:
    bench = Bench()
    with pytest.raises(WireError, match="another size"):
        bench.meter.answer(bench.ask(frames.read(bench.labels)), bytes(63))


def test_a_long_frame_is_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("haet_eval.remote.meter.MAX_RECORDS", 3)
    bench = Bench()
    bench.ones(4)
    frame = frames.call(0, ()) * 4 + frames.read(3)
    first = bench.meter.accept(frame)
    assert first.question is None
    second = bench.meter.accept(frame, first.end)
    assert second.question is not None
    assert first.forward + second.forward + second.question.record == frame
    assert second.end == len(frame)
    assert next(iter(bench.meter.histogram())).total_calls == 5


def test_a_complex_constant_is_charged_for_both_of_its_parts() -> None:
    bench = Bench()
    meta = TensorMeta((), (), 0, "complex128")
    bench.send(wire.encode_upload(meta, bytes(range(16))))
    assert bench.meter.charges.upload_bytes == 16


def test_a_complex_number_that_depends_on_data_is_charged_for_both_of_its_parts() -> None:
    bench = Bench()
    images = bench.as_float(bench.images, 8)
    before = bench.meter.charges.readback_bytes
    question = bench.ask(frames.define("aten._local_scalar_dense.default", {"self": TENSOR}, (images,)))
    bench.meter.answer(question, wire.encode_outcome(wire.Outcome((1j,), ())))
    assert bench.meter.charges.readback_bytes - before == 16


def test_an_upload_of_a_shape_that_no_tensor_may_have_breaks_the_protocol() -> None:
    meta = TensorMeta((2**40, 2**40, 0), (0, 0, 1), 0, "float32")
    with pytest.raises(WireError):
        Bench().meter.accept(wire.encode_upload(meta, b""))
