"""The books of tensor memory: every storage counts once, from the record that makes it to its last free."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haet_eval.counting.histogram import PHASES
from haet_eval.errors import SubmissionFailure, Verdict
from haet_eval.remote import wire
from haet_eval.remote.memory import MeteredMemory
from haet_eval.remote.messages import ModelTensor
from haet_eval.remote.wire import Atom, Code, Tag
from tests.unit.remote import frames
from tests.unit.remote.bench import IMAGES, Bench, budgets
from tests.unit.remote.frames import TENSOR, fresh, outcome

FLOATS = 4
IMAGE_BYTES = 8 * 3 * 4 * 4
LABEL_BYTES = 8 * 8
FORWARD = PHASES.index("forward")


def memory(bench: Bench) -> MeteredMemory:
    return bench.meter.tensor_memory


def living(bench: Bench) -> int:
    """Bytes of all living storages without the training set, added up from the living handles."""
    data = {id(bench.meter.living[one].storage) for one in (1, 2) if one in bench.meter.living}
    storages = {id(handle.storage): handle.storage for handle in bench.meter.living.values()}
    return sum(one.size_bytes for key, one in storages.items() if key not in data)


def test_nothing_but_the_training_set_is_no_peak() -> None:
    assert memory(Bench()) == MeteredMemory(0, None, IMAGE_BYTES + LABEL_BYTES, None)


def test_a_copy_of_the_training_set_counts_and_a_view_of_it_does_not() -> None:
    bench = Bench()
    bench.alias(bench.images, *IMAGES)
    assert memory(bench).peak_bytes == 0
    bench.as_float(bench.images, *IMAGES)
    assert memory(bench).peak_bytes == IMAGE_BYTES * FLOATS


def test_a_freed_training_set_takes_nothing_off() -> None:
    bench = Bench()
    bench.send(frames.free(bench.images, bench.labels))
    bench.ones(100)
    assert memory(bench).peak_bytes == 100 * FLOATS


def test_a_view_adds_nothing_and_keeps_its_storage_alive() -> None:
    bench = Bench()
    base = bench.ones(100)
    view = bench.alias(base, 100)
    bench.send(wire.SLICE.pack(Code.SLICE, base, 0, 10, 20, 1), wire.SELECT.pack(Code.SELECT, base, 0, 3))
    assert memory(bench).peak_bytes == 100 * FLOATS
    bench.send(frames.free(base, view + 1, view + 2))
    bench.ones(50)
    assert memory(bench).peak_bytes == 150 * FLOATS
    bench.send(frames.free(view))
    bench.ones(60)
    assert memory(bench).peak_bytes == 150 * FLOATS


def test_an_operator_in_place_adds_nothing() -> None:
    bench = Bench()
    bench.add_(bench.ones(100), bench.ones(1))
    assert memory(bench).peak_bytes == 101 * FLOATS


def test_new_outputs_come_before_anything_is_freed() -> None:
    bench = Bench()
    base = bench.ones(100)
    bench.send(frames.free(bench.relu(base, 100)), frames.free(base))
    bench.call(0)
    assert memory(bench).peak_bytes == 200 * FLOATS


def test_all_outputs_of_a_call_appear_at_once() -> None:
    bench = Bench()
    numbers = (bench.ones(10), bench.ones(20))
    answer = outcome((fresh(10), fresh(20)))
    bench.define("aten._foreach_neg.default", {"self": (TENSOR, TENSOR)}, numbers, answer=answer)
    call = memory(bench).call
    assert memory(bench).peak_bytes == 60 * FLOATS
    assert call is not None
    assert (call.number, call.operator) == (3, "aten._foreach_neg.default")


def test_set_drops_the_storage_before_it() -> None:
    bench = Bench()
    first, second = bench.ones(100), bench.ones(50)
    meta = fresh(50).meta
    bench.define(
        "aten.set_.source_Tensor",
        {"self": TENSOR, "source": TENSOR},
        (first, second),
        answer=outcome(Atom(Tag.INPUT, 0), changed=((0, meta),)),
    )
    bench.ones(90)
    assert memory(bench).peak_bytes == 150 * FLOATS
    bench.send(frames.free(second))
    bench.ones(11)
    assert memory(bench).peak_bytes == 151 * FLOATS


def test_uploads_count() -> None:
    bench = Bench()
    bench.send(frames.upload((3,), bytes(12)))
    call = memory(bench).call
    assert memory(bench).peak_bytes == 12
    assert call is not None
    assert call.operator == "upload"


def test_refused_calls_count_nothing() -> None:
    bench = Bench()
    base = bench.ones(100)
    bench.meter.refuse(bench.ask(frames.define("aten.relu.default", {"self": TENSOR}, (base,))))
    bench.send(frames.define("aten.not_an_operator.default", {}, ()))
    assert memory(bench).peak_bytes == 100 * FLOATS


def test_the_first_of_equal_peaks_is_named_with_its_phase() -> None:
    bench = Bench()
    bench.ones(10)
    bench.send(wire.PHASE.pack(Code.PHASE, FORWARD))
    freed = bench.relu(3, 10)
    bench.send(frames.free(freed))
    bench.call(1, 3)
    call = memory(bench).call
    assert call is not None
    assert (call.number, call.operator, call.phase) == (2, "aten.relu.default", FORWARD)


def test_the_peak_is_parted_into_the_returned_model_and_the_rest() -> None:
    bench = Bench()
    kept, dropped = bench.ones(100), bench.ones(30)
    bench.send(frames.free(dropped))
    late = bench.ones(20)
    view = bench.alias(kept, 100)
    bench.meter.seal(
        [
            ModelTensor(name=name, handle=number, role="trainable")
            for name, number in {"kept": kept, "tied": view, "late": late, "data": bench.images}.items()
        ]
    )
    assert memory(bench).peak_bytes == 130 * FLOATS
    assert memory(bench).model_bytes == 100 * FLOATS


def test_it_ends_at_the_seal() -> None:
    bench = Bench()
    kept = bench.ones(100)
    bench.meter.seal([ModelTensor(name="kept", handle=kept, role="trainable")])
    before = memory(bench)
    bench.meter.begin_batch((2, *IMAGES[1:]))
    bench.ones(1000)
    assert memory(bench) == before


def test_the_budget_ends_the_run_at_the_call_that_passes_it() -> None:
    bench = Bench(budgets(peak_tensor_bytes=110 * FLOATS))
    base = bench.ones(50)
    freed = bench.relu(base, 50)
    bench.send(frames.free(freed))
    bench.call(1, base)
    with pytest.raises(
        SubmissionFailure, match=r"600 bytes after call 4.*440 \(peak_tensor_bytes"
    ) as failure:
        bench.call(1, base)
    assert failure.value.verdict is Verdict.LIMIT_MEMORY
    assert memory(bench).peak_bytes == 600


def test_the_budget_ends_the_run_at_the_answer_of_a_new_call() -> None:
    bench = Bench(budgets(peak_tensor_bytes=100))
    with pytest.raises(SubmissionFailure, match="400 bytes after call 1"):
        bench.ones(100)


def test_the_budget_does_not_bound_the_prediction() -> None:
    bench = Bench(budgets(peak_tensor_bytes=100 * FLOATS))
    kept = bench.ones(100)
    bench.meter.seal([ModelTensor(name="kept", handle=kept, role="trainable")])
    bench.call(0)
    bench.ones(1000)


@given(st.lists(st.tuples(st.sampled_from(["make", "view", "free", "set"]), st.integers(0, 99)), max_size=60))
def test_the_books_agree_with_the_living_handles(steps: list[tuple[str, int]]) -> None:
    bench = Bench()
    most, numbers = 0, [bench.ones(7), bench.rand(7)]
    bench.alias(numbers[0], 7)
    numbers.append(bench.meter.next_handle - 1)
    set_ = {"self": TENSOR, "source": TENSOR}
    answer = outcome(Atom(Tag.INPUT, 0))
    bench.define("aten.set_.source_Tensor", set_, (numbers[1], numbers[0]), answer=answer)
    most = memory(bench).peak_bytes
    for step, place in steps:
        if step == "make" or not numbers:
            numbers.append(bench.call(0))
        elif step == "view":
            numbers.append(bench.call(2, numbers[place % len(numbers)]))
        elif step == "set":
            bench.call(3, numbers[place % len(numbers)], numbers[place // 2 % len(numbers)])
        else:
            bench.send(frames.free(numbers.pop(place % len(numbers))))
        most = max(most, living(bench))
        assert memory(bench).peak_bytes == most
