"""The count is a pure function of the trace, and a trace that was tampered with shows it."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haet_eval.errors import SubmissionFailure
from haet_eval.remote import wire
from haet_eval.remote.charges import Charges
from haet_eval.remote.messages import ImageBatch, Logits, ModelTensor, Seal
from haet_eval.remote.meter import INVENTORY_RECORDS, Meter
from haet_eval.remote.recount import Charged, Recount, recount
from haet_eval.remote.trace import BrokenTrace, Kind, TraceWriter, read_trace
from haet_eval.remote.wire import Atom, Code, Tag, Value
from tests.unit.remote import frames
from tests.unit.remote.bench import IMAGES, Bench, budgets
from tests.unit.remote.frames import TENSOR, a_float, fresh, outcome

HEADER = {"images": list(IMAGES)}
Entry: TypeAlias = tuple[Kind, bytes]
Step: TypeAlias = Callable[[Bench], object]

quick = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def train(path: Path, steps: list[Step], batches: int = 0) -> Bench:
    """Play these steps on a meter that writes its trace there, then predict so many batches of two."""
    writer = TraceWriter(path, HEADER)
    bench = Bench(sink=writer)
    weight = bench.ones(8)
    for step in steps:
        step(bench)
    bench.meter.inventory()
    bench.meter.seal([ModelTensor(name="weight", handle=weight, role="trainable")])
    for _ in range(batches):
        predict(bench)
    writer.close()
    return bench


def predict(bench: Bench) -> None:
    """Eight operations and 32 bytes read."""
    images = bench.meter.begin_batch((2, 4))
    number = bench.relu(bench.as_float(images, 2, 4), 2, 4)
    bench.read(number)
    bench.meter.take_logits(number, 2, 4)
    bench.meter.end_batch()


def refused_by_the_executor(bench: Bench) -> None:
    bench.meter.refuse(bench.ask(frames.define("aten.relu.default", {"self": TENSOR}, (bench.images,))))


def refused_by_the_meter(bench: Bench) -> None:
    bench.send(frames.call(0, ()), frames.define("aten.from_file.default", {"size": 77}, ()))


def select(bench: Bench) -> None:
    bench.send(wire.PHASE.pack(Code.PHASE, 1), wire.SELECT.pack(Code.SELECT, bench.labels, 0, 5))


def places_in_a_constant(bench: Bench) -> None:
    ones = bench.ones(bench.meter.next_handle + 40)
    bench.send(
        wire.SELECT.pack(Code.SELECT, ones, 0, ones), wire.SLICE.pack(Code.SLICE, ones, 0, ones, ones + 9, 11)
    )


def add(bench: Bench) -> bytes:
    """A call with a literal that is new; the first call defines its template."""
    alpha = bench.meter.next_handle + 0.5
    arguments = {"self": TENSOR, "other": TENSOR, "alpha": a_float(alpha)}
    return frames.define("aten.add.Tensor", arguments, (bench.labels, bench.labels), (alpha,))


def new_literals(bench: Bench) -> None:
    template = len(bench.meter.templates)
    bench.meter.answer(bench.ask(add(bench)), outcome(fresh(8, dtype="int64")))
    first = bench.meter.next_handle
    both = (bench.labels, bench.labels)
    bench.send(*(frames.call(template, both, (first + part,)) for part in (0.125, 0.25)))


def a_complex_literal(bench: Bench) -> None:
    arguments: dict[str, Value] = {"size": (2,), "fill_value": 1 + 2j, "dtype": Atom(Tag.DTYPE, "complex64")}
    bench.define("aten.full.default", arguments, answer=outcome(fresh(2, dtype="complex64")))


def read_after_a_call(bench: Bench) -> None:
    question = bench.ask(frames.call(0, ()), frames.read(bench.labels))
    bench.meter.answer(question, bytes(question.answer_bytes))


def _nonzero(bench: Bench) -> int:
    """The number of a template whose outputs depend on data."""
    bench.nonzero(bench.labels, 2)
    return len(bench.meter.templates) - 1


STEPS: dict[str, Step] = {
    "call": lambda bench: bench.call(0),
    "calls": lambda bench: bench.send(*[frames.call(0, ())] * 5),
    "relu": lambda bench: bench.relu(3, 8),
    "in place": lambda bench: bench.add_(3, bench.as_float(bench.labels, 8)),
    "dynamic": lambda bench: bench.nonzero(bench.labels, 3),
    "read": lambda bench: bench.read(bench.labels),
    "read after a call": read_after_a_call,
    "free": lambda bench: bench.send(frames.free(bench.call(0))),
    "upload": lambda bench: bench.send(frames.upload((3,), b"\1" * 12)),
    "seed": lambda bench: bench.send(wire.SEED.pack(Code.SEED, -1, bench.meter.next_handle)),
    "select": select,
    "places in a constant": places_in_a_constant,
    "new literals": new_literals,
    "complex literal": a_complex_literal,
    "dynamic again": lambda bench: bench.ask_again(
        _nonzero(bench), bench.labels, answer=outcome(fresh(bench.meter.next_handle, 1, dtype="int64"))
    ),
    "refused by the executor": refused_by_the_executor,
    "refused by the meter": refused_by_the_meter,
}
steps = st.lists(st.sampled_from(sorted(STEPS)), max_size=12)


@quick
@given(names=steps)
def test_the_recount_equals_the_live_count_byte_for_byte(tmp_path: Path, names: list[str]) -> None:
    live = train(tmp_path / "trace", [STEPS[name] for name in names]).meter
    counted = same_as_live(tmp_path / "trace", live)
    assert counted.parameters is not None
    assert counted.parameters.total == 8


def same_as_live(path: Path, live: Meter) -> Recount:
    """The recount of a training, which gives the figures of the meter that wrote the trace."""
    counted = recount(path)
    assert counted.histogram.to_json() == live.histogram().to_json()
    assert counted.memory == live.tensor_memory
    assert counted.refused == live.refused
    assert counted.training == charged(live.charges)
    return counted


def charged(charges: Charges) -> Charged:
    return Charged(
        charges.readback_bytes + charges.prediction_readback_bytes,
        charges.upload_bytes,
        charges.messages,
        charges.timed_answers,
        charges.constant_selects,
    )


@quick
@given(names=steps, batches=st.integers(0, 3))
def test_prediction_is_in_the_trace_apart_from_the_training(
    tmp_path: Path, names: list[str], batches: int
) -> None:
    only_trained = train(tmp_path / "trained", [STEPS[name] for name in names]).meter
    meter = train(tmp_path / "trace", [STEPS[name] for name in names], batches).meter
    counted = recount(tmp_path / "trace")
    assert counted.histogram.to_json() == only_trained.histogram().to_json()
    assert counted.training == recount(tmp_path / "trained").training
    assert counted.memory == only_trained.tensor_memory
    assert counted.predicted_images == 2 * batches
    assert counted.prediction_operations == meter.prediction_operations == 8 * batches
    charges = meter.charges
    assert counted.whole_run == charged(charges)
    assert counted.training.readback_bytes == charges.readback_bytes
    assert counted.prediction_readback_bytes == charges.prediction_readback_bytes == 32 * batches
    assert counted.most_readback_bytes_of_a_batch == min(32 * batches, 32)


def test_images_of_a_batch_without_prediction_are_not_counted(tmp_path: Path) -> None:
    writer = TraceWriter(tmp_path / "trace", HEADER)
    bench = Bench(sink=writer)
    bench.meter.inventory()
    bench.meter.seal([])
    predict(bench)
    bench.as_float(bench.meter.begin_batch((2, 4)), 2, 4)
    writer.close()
    assert recount(tmp_path / "trace").predicted_images == 2


LIMITS: dict[str, Iterable[int]] = {
    "readback_bytes": range(0, 120, 4),
    "upload_bytes": range(0, 120, 4),
    "messages": range(9),
    "timed_answers": range(5),
    "peak_tensor_bytes": range(0, 400, 40),
    "MAX_TEMPLATES": range(6),
    "MAX_HANDLES": range(2, 9),
}
"""Budgets, and limits of the meter itself, with so much of each that a step may end the run anywhere."""


@pytest.mark.parametrize("limit", LIMITS)
def test_a_run_that_ends_by_a_limit_leaves_what_it_counted(
    tmp_path: Path, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {name for name in LIMITS if name.isupper()}
    ended = 0
    for room, (name, step) in product(LIMITS[limit], STEPS.items()):
        if limit in own:
            for module in ("charges", "meter", "recount"):
                monkeypatch.setattr(f"haet_eval.remote.{module}.{limit}", room, raising=module == "charges")
        bench, end = ended_by([step, step], tmp_path / "trace", {} if limit in own else {limit: room})
        ended += end is not None
        with note_on_failure(f"{name} with {room} of {limit} ended by: {end}"):
            same_as_live(tmp_path / "trace", bench.meter)
    assert ended


def ended_by(
    steps: list[Step], path: Path, room: Mapping[str, int] = MappingProxyType({})
) -> tuple[Bench, Exception | None]:
    """Play steps until one ends the run. Tensor 3 has eight ones."""
    writer = TraceWriter(path, HEADER)
    bench, end = Bench(budgets(**room), sink=writer), None
    try:
        bench.ones(8)
        for step in steps:
            step(bench)
    except (SubmissionFailure, wire.WireError) as error:
        end = error
    writer.close()
    return bench, end


@contextmanager
def note_on_failure(note: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        error.add_note(note)
        raise


def a_call_of_another_class(bench: Bench) -> None:
    template = len(bench.meter.templates)
    new_literals(bench)
    both = (bench.labels, bench.labels)
    bench.send(*(frames.call(template, both, (literal,)) for literal in (77.5, 88.5, 1.0)))


ENDS: dict[str, Step] = {
    "a call of no template": lambda bench: bench.send(*[frames.call(0, ())] * 2, frames.call(99, ())),
    "a float of another class": a_call_of_another_class,
    "a definition with a float of another class": lambda bench: bench.send(
        frames.define(
            "aten.add.Tensor", {"self": TENSOR, "other": TENSOR, "alpha": a_float(1.0)}, (2, 2), (3.5,)
        )
    ),
    "a view out of range": lambda bench: bench.send(
        frames.call(0, ()), wire.SELECT.pack(Code.SELECT, bench.meter.next_handle, 0, 99)
    ),
    "a definition without an answer": lambda bench: bench.ask(frames.call(0, ()), add(bench)),
    "a value without an answer": lambda bench: bench.ask(frames.call(0, ()), frames.read(bench.labels)),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_run_that_ends_in_mid_frame_leaves_what_it_counted(tmp_path: Path, end: Step) -> None:
    for step in STEPS.values():
        bench, _ = ended_by([step, end], tmp_path / "trace")
        counted = same_as_live(tmp_path / "trace", bench.meter)
        assert counted.parameters is None


def rewrite(path: Path, entries: list[Entry]) -> None:
    """A trace of these entries; the header is the writer's own."""
    writer = TraceWriter(path, HEADER)
    for kind, body in entries[1:]:
        writer.add(kind, body)
    writer.close()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@quick
@given(names=steps, data=st.data())
def test_an_entry_removed_moved_or_altered_breaks_the_trace_or_changes_its_digest(
    tmp_path: Path, names: list[str], data: st.DataObject
) -> None:
    train(tmp_path / "trace", [STEPS[name] for name in names], data.draw(st.integers(0, 2)))
    entries = list(read_trace(tmp_path / "trace"))
    changed = list(entries)
    place = data.draw(st.integers(1, len(entries) - 1))
    match data.draw(st.sampled_from(["remove", "swap", "alter", "rename", "repeat"])):
        case "remove":
            del changed[place]
        case "swap":
            other = data.draw(st.integers(1, len(entries) - 1))
            changed[place], changed[other] = changed[other], changed[place]
        case "alter":
            kind, body = changed[place]
            at = data.draw(st.integers(0, len(body) - 1))
            changed[place] = kind, body[:at] + bytes([data.draw(st.integers(0, 255))]) + body[at + 1 :]
        case "rename":
            changed[place] = data.draw(st.sampled_from(Kind)), changed[place][1]
        case _:
            changed.insert(place, changed[place])
    if changed == entries:
        return
    rewrite(tmp_path / "changed", changed)
    assert digest(tmp_path / "changed") != digest(tmp_path / "trace")
    try:
        recount(tmp_path / "changed")
    except BrokenTrace:
        return


def test_equal_trainings_give_equal_traces(tmp_path: Path) -> None:
    for name in ("first", "second"):
        train(tmp_path / name, [STEPS["relu"], STEPS["read"]], 2)
    assert digest(tmp_path / "first") == digest(tmp_path / "second")


HEADERS = {
    "no JSON": b"{",
    "no object": b"[]",
    "no images": b"{}",
    "images that are no list": b'{"images": 3}',
    "images that are no numbers": b'{"images": ["a"]}',
    "fewer than no images": b'{"images": [-1, 4]}',
    "no images at all": b'{"images": [0, 4]}',
    "a deep list": b"[" * 100_000,
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_a_bad_header_breaks_the_trace(
    tmp_path: Path, header: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = TraceWriter(tmp_path / "trace", {})
    writer._pending.clear()
    writer.add(Kind.HEADER, header)
    writer.close()
    with pytest.raises(BrokenTrace):
        recount(tmp_path / "trace")


SEAL = Seal(tensors=()).encode()
BATCH = ImageBatch(handle=3, shape=(2, 4)).encode()
LOGITS = Logits(handle=3, classes=4).encode()
WRONG_ENTRIES: dict[str, list[Entry]] = {
    "a header in the middle": [(Kind.HEADER, frames.upload((), bytes(4)))],
    "an outcome without a question": [(Kind.OUTCOME, outcome(fresh(4)))],
    "a question that needs no answer": [(Kind.QUESTION, frames.upload((), bytes(4)))],
    "a question that is not alone": [
        (Kind.QUESTION, frames.upload((), bytes(4)) + frames.read(2)),
    ],
    "a question among the passed records": [(Kind.PASSED, frames.read(2))],
    "a question without its answer": [
        (Kind.QUESTION, frames.define("aten.ones.default", {"size": (4,)}, ()))
    ],
    "a batch before the seal": [(Kind.BATCH, BATCH)],
    "a batch with another number": [
        (Kind.SEAL, SEAL),
        (Kind.BATCH, ImageBatch(handle=4, shape=(2, 4)).encode()),
    ],
    "a batch of no images": [(Kind.SEAL, SEAL), (Kind.BATCH, ImageBatch(handle=3, shape=(0, 4)).encode())],
    "a batch of no shape": [(Kind.SEAL, SEAL), (Kind.BATCH, ImageBatch(handle=3).encode())],
    "a batch within a batch": [(Kind.SEAL, SEAL), (Kind.BATCH, BATCH), (Kind.BATCH, BATCH)],
    "logits in place of a batch": [(Kind.SEAL, SEAL), (Kind.BATCH, LOGITS)],
    "logits of no batch": [(Kind.SEAL, SEAL), (Kind.LOGITS, LOGITS)],
    "logits that are images": [(Kind.SEAL, SEAL), (Kind.BATCH, BATCH), (Kind.LOGITS, LOGITS)],
    "use of what the training has left": [
        (Kind.SEAL, SEAL),
        (Kind.PASSED, wire.SELECT.pack(Code.SELECT, 1, 0, 0)),
    ],
    "two seals": [(Kind.SEAL, SEAL), (Kind.SEAL, SEAL)],
    "a seal without its fields": [(Kind.SEAL, b"{}")],
    "a refusal of a record that needs no answer": [(Kind.REFUSED, frames.upload((), bytes(4)))],
}


@pytest.mark.parametrize("entries", WRONG_ENTRIES.values(), ids=WRONG_ENTRIES)
def test_entries_that_no_meter_writes_break_the_trace(tmp_path: Path, entries: list[Entry]) -> None:
    inventory = (Kind.INVENTORY, Bench().meter.inventory())
    with_inventories = [
        one for entry in entries for one in ([inventory, entry] if entry[0] is Kind.SEAL else [entry])
    ]
    rewrite(tmp_path / "trace", [(Kind.HEADER, b""), *with_inventories])
    with pytest.raises(BrokenTrace):
        recount(tmp_path / "trace")


def test_a_seal_without_an_inventory_before_it_breaks_the_trace(tmp_path: Path) -> None:
    train(tmp_path / "trace", [])
    entries = [entry for entry in read_trace(tmp_path / "trace") if entry[0] is not Kind.INVENTORY]
    rewrite(tmp_path / "cut", entries)
    with pytest.raises(BrokenTrace, match="an inventory is missing"):
        recount(tmp_path / "cut")


def test_an_inventory_that_is_due_and_missing_breaks_the_trace(tmp_path: Path) -> None:
    writer = TraceWriter(tmp_path / "trace", HEADER)
    bench = Bench(sink=writer)
    for _ in range(INVENTORY_RECORDS // 64):
        bench.send(*[frames.upload((), bytes(4))] * 64)
    bench.send(frames.upload((), bytes(4)))
    writer.close()
    with pytest.raises(BrokenTrace, match="an inventory is missing"):
        recount(tmp_path / "trace")


def test_a_recount_has_no_budget_but_the_tables_limits(tmp_path: Path) -> None:
    writer = TraceWriter(tmp_path / "trace", HEADER)
    meter = Meter(Bench().meter.charges.budgets, writer)
    for _ in range(3):
        meter.accept(frames.upload((1000,), bytes(4000)))
    writer.close()
    assert recount(tmp_path / "trace").training.upload_bytes == 12_000
