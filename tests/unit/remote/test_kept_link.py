"""A link that takes a checkpoint and begins at one, with a real executor at its other end."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from haet_eval.errors import EnvironmentProblem, SubmissionFailure
from haet_eval.remote import wire
from haet_eval.remote.answers import AnswersWriter
from haet_eval.remote.books import Table
from haet_eval.remote.connection import Connection
from haet_eval.remote.departure import DEPARTED, ComparedTrace
from haet_eval.remote.executor.executor import Executor
from haet_eval.remote.kept_link import KeptLink, state_bytes
from haet_eval.remote.messages import ModelTensor, Start, StateFollows
from haet_eval.remote.meter import Meter, StreamPoint
from haet_eval.remote.trace import TraceWriter, read_trace
from haet_eval.remote.wire import AnswerStatus, Atom, Code, Tag
from tests.unit.remote import frames
from tests.unit.remote.bench import budgets
from tests.unit.remote.frames import TENSOR

IMAGES = np.arange(96, dtype=np.uint8).reshape(2, 3, 4, 4)
LABELS = np.array([3, 5])
HEADER = {"images": list(IMAGES.shape)}
GENERATOR = 4
OWN = Atom(Tag.GENERATOR, GENERATOR)
PAIR = {"self": TENSOR, "other": TENSOR}
COMPLEX = np.array([1 + 2j, 3 - 1j], np.complex64).tobytes()
FLOATS = np.arange(15, dtype=np.float32).tobytes()


def seed(generator: int, number: int) -> bytes:
    return wire.SEED.pack(Code.SEED, generator, number)


BEFORE = (
    seed(wire.DEFAULT_GENERATOR, 7),
    seed(GENERATOR, 8),
    frames.upload((3, 5), FLOATS),  # 3
    frames.upload((2,), COMPLEX, "complex64"),  # 4
    frames.define("aten.add.Tensor", PAIR, (3, 3)),  # 5, template 0
    frames.define("aten.t.default", {"self": TENSOR}, (5,)),  # 6, a view of 5, template 1
    wire.SELECT.pack(Code.SELECT, 3, 0, 2),  # 7, a view of 3
    frames.define("aten._conj.default", {"self": TENSOR}, (4,)),  # 8, a lazy bit, template 2
    frames.define("aten.normal_.default", {"self": TENSOR, "generator": OWN}, (7,)),  # template 3
    frames.define("aten.normal_.default", {"self": TENSOR}, (7,)),  # template 4
    wire.STATE.pack(Code.SAVE_STATE, GENERATOR, 0),
    frames.define("aten.mul_.Tensor", PAIR, (3, 3)),  # template 5
    frames.define("aten.unsqueeze_.default", {"self": TENSOR, "dim": 0}, (7,)),  # template 6
    frames.read(3),
    frames.free(5),
)
"""The storage of tensor 5 lives on in 6. Tensors 7 and 3 share one; an odd number of normals was drawn."""

AFTER = (
    frames.call(5, (3, 3)),
    frames.call(0, (3, 3)),  # 9
    frames.call(1, (9,)),  # 10
    frames.call(2, (4,)),  # 11
    wire.SELECT.pack(Code.SELECT, 3, 0, 0),  # 12
    frames.call(3, (12,)),
    frames.call(4, (12,)),
    wire.STATE.pack(Code.LOAD_STATE, GENERATOR, 0),
    frames.call(3, (12,)),
    frames.call(6, (12,)),
    frames.define("aten.add.Tensor", PAIR, (1, 1)),  # 13: the images
    *(frames.read(number) for number in (1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13)),
)
WRITES_DATA = frames.define("aten.add_.Tensor", PAIR, (1, 1))


NO_STATE = StateFollows(peak_memory_bytes=0, generators=(), states=())


@dataclass
class Taken:
    """A checkpoint in memory, and what came before it."""

    entries: int
    table: Table
    facts: StateFollows = NO_STATE
    state: bytes = b""
    answers: list[tuple[AnswerStatus, bytes]] = field(default_factory=list)
    has_joined: bool = False

    def write(self, facts: StateFollows, blocks: Iterator[bytes]) -> None:
        self.facts, self.state = facts, b"".join(blocks)

    def answer(self) -> tuple[AnswerStatus, bytes]:
        return self.answers.pop(0)

    def block(self, count: int) -> bytes:
        part, self.state = self.state[:count], self.state[count:]
        return part

    def joined(self) -> None:
        self.has_joined = True


@dataclass
class Once:
    """Takes one checkpoint, at the next mark after it is told to."""

    wanted: bool = False
    taken: Taken | None = None

    def is_due(self, tensor_bytes: int) -> bool:
        assert tensor_bytes > 0
        return self.wanted

    def begin_checkpoint(self, point: StreamPoint, table: Table) -> Taken:
        self.wanted, self.taken = False, Taken(point.entries, table)
        return self.taken


class Host:
    """A meter and a link; what is sent is accepted and executed."""

    def __init__(self, near: socket.socket, folder: Path, stored: Taken | None, earlier: Path | None) -> None:
        compared = ComparedTrace(folder / "trace", HEADER, read_trace(earlier)) if earlier else None
        self.trace = compared or TraceWriter(folder / "trace", HEADER)
        self.meter = Meter(budgets(), self.trace)
        if compared:
            compared.follow(self.meter)
        self.once = Once()
        self.told: list[tuple[AnswerStatus, bytes]] = []
        self.link = KeptLink(
            Connection(near), self.meter, AnswersWriter(folder / "answers"), self.once, stored, compared
        )
        self.link.start(Start(device="cpu", threads=1))
        for array in (IMAGES, LABELS):
            self.link.load(array)
            self.meter.load(array.shape, str(array.dtype))
        self.link.begin()

    def send(self, record: bytes) -> None:
        accepted = self.meter.accept(record)
        assert accepted.refused is None, accepted.refused
        if accepted.question is None:
            self.link.pass_on(accepted.forward)
            return
        status, body = self.link.ask(accepted.forward, accepted.question)
        assert status is AnswerStatus.OK, body
        self.meter.answer(accepted.question, body)
        self.told.append((status, body))

    def mark(self) -> None:
        self.link.mark(self.meter.point)

    def take(self) -> None:
        self.once.wanted = True
        self.mark()
        self.link.catch_up()
        self.taken.answers = list(self.told)

    @property
    def taken(self) -> Taken:
        assert self.once.taken is not None
        return self.once.taken


@contextmanager
def a_host(folder: Path, stored: Taken | None = None, earlier: Path | None = None) -> Iterator[Host]:
    folder.mkdir()
    near, far = socket.socketpair()
    thread = threading.Thread(target=Executor(far).serve, daemon=True)
    thread.start()
    with near:
        host = Host(near, folder, stored, earlier)
        yield host
        host.trace.close()
        host.link._answers.close()
    thread.join(5)
    far.close()


def run(host: Host, before: tuple[bytes, ...] = BEFORE, after: tuple[bytes, ...] = AFTER) -> None:
    """The whole program; a checkpoint in its middle is taken, or begun at."""
    for record in before:
        host.send(record)
    if host.link.share is None:
        host.take()
    else:
        host.mark()
    for record in after:
        host.send(record)
    host.link.compare_inventory(host.meter.inventory())
    host.link.catch_up()


@pytest.mark.parametrize("before", [BEFORE, (WRITES_DATA, *BEFORE)], ids=["data", "written-data"])
def test_what_follows_a_checkpoint_is_the_same_in_a_fresh_executor(
    before: tuple[bytes, ...], tmp_path: Path
) -> None:
    with a_host(tmp_path / "first") as first:
        run(first, before=before, after=AFTER if before is BEFORE else _moved(AFTER))
        taken = first.taken
        expected, state = first.told, taken.state
    written = before is not BEFORE
    assert len(state) == taken.table.stored_bytes + state_bytes(taken.facts)
    assert [held.data for held in taken.table.stored] == [0] * len(taken.table.stored)
    assert sum(held.data > 0 for held in taken.table.storages) == (1 if written else 2)
    with a_host(tmp_path / "second", taken, tmp_path / "first" / "trace") as second:
        assert second.link.share == pytest.approx(1 / taken.entries)
        run(second, before=before, after=AFTER if before is BEFORE else _moved(AFTER))
        assert taken.has_joined
        assert not taken.state
        assert second.link.share is None
        assert second.told == expected
    assert (tmp_path / "first" / "trace").read_bytes() == (tmp_path / "second" / "trace").read_bytes()
    assert (tmp_path / "first" / "answers").read_bytes() == (tmp_path / "second" / "answers").read_bytes()


def test_no_checkpoint_is_taken_once_the_books_are_sealed(tmp_path: Path) -> None:
    with a_host(tmp_path / "run") as host:
        host.send(frames.upload((3, 5), FLOATS))
        host.send(wire.SELECT.pack(Code.SELECT, 3, 0, 1))
        host.link.compare_inventory(host.meter.inventory())
        # The executor keeps a copy of the view. Until it has sealed, it has all of the storage.
        model = (ModelTensor(name="row", handle=4, role="buffer"),)
        host.meter.seal(model)
        host.once.wanted = True
        host.mark()
        host.link.catch_up()
        assert host.once.taken is None
        assert host.link.seal(model, host.meter.weights(model)).weights
        host.mark()
        host.link.catch_up()
        assert host.once.taken is None


def test_a_state_for_which_there_is_no_memory_leaves_the_run_to_be_judged_anew(tmp_path: Path) -> None:
    with a_host(tmp_path / "first") as first:
        run(first)
        taken = first.taken
    # More than any machine has memory for.
    huge = taken.facts.model_copy(update={"generators": ((5, 1 << 60),)})
    with a_host(tmp_path / "second", replace(taken, facts=huge), tmp_path / "first" / "trace") as second:
        for record in BEFORE:
            second.send(record)
        second.link._send_state = lambda size, block: second.link._send(wire.Channel.BLOCK, b"part")  # type: ignore[method-assign]
        with pytest.raises(
            SubmissionFailure, match="has not taken up the checkpoint: A stored state"
        ) as caught:
            second.mark()
    assert caught.value.code == DEPARTED


def _moved(after: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The same calls after one more template: their numbers are one higher."""
    moved = []
    for record in after:
        if record[0] == Code.CALL:
            _, number = wire.COUNTED.unpack_from(record)
            record = wire.COUNTED.pack(Code.CALL, number + 1) + record[wire.COUNTED.size :]
        moved.append(record)
    return tuple(moved)


@pytest.mark.parametrize(
    ("place", "other", "said"),
    [
        (1, seed(GENERATOR, 9), "SEED, has other tensors or numbers than before"),
        (2, frames.upload((3, 5), FLOATS[::-1]), "UPLOAD, has other tensors or numbers"),
        (4, frames.define("aten.sub.Tensor", PAIR, (3, 3)), "is aten.sub.Tensor, and was aten.add.Tensor"),
        (6, wire.SELECT.pack(Code.SELECT, 3, 0, 1), "SELECT, has other tensors or numbers"),
        (13, frames.read(4), "READ, has other tensors or numbers"),
        (13, frames.free(4), "is FREE, and was READ before"),
    ],
)
def test_the_first_record_that_differs_is_named(place: int, other: bytes, said: str, tmp_path: Path) -> None:
    with a_host(tmp_path / "first") as first:
        run(first)
        taken = first.taken
    with a_host(tmp_path / "second", taken, tmp_path / "first" / "trace") as second:
        for record in BEFORE[:place]:
            second.send(record)
        with pytest.raises(SubmissionFailure) as caught:
            second.send(other)
    assert caught.value.code == DEPARTED
    assert f"record {place + 1}" in caught.value.reason
    assert said in caught.value.reason


class Liar(Executor):
    """Announces a state, and sends something else."""

    def __init__(self, sock: socket.socket, lie: str) -> None:
        super().__init__(sock)
        self._lie = lie

    def _take_state(self, asked: object) -> None:
        del asked
        facts = StateFollows(peak_memory_bytes=1, generators=((-1, 5056),), states=()).encode()
        match self._lie:
            case "no-facts":
                self._answer(b"{}")
            case "a-huge-generator":
                self._answer(facts.replace(b"5056", b"99999999"))
            case "too-much":
                self._answer(facts)
                self._socket.sendall(wire.frame(wire.Channel.BLOCK, bytes(1 << 20)))
            case _:
                self._answer(facts)
                self._socket.sendall(wire.frame(wire.Channel.STREAM, b"\0"))


@pytest.mark.parametrize("lie", ["no-facts", "a-huge-generator", "too-much", "no-block"])
def test_a_state_that_an_executor_makes_up_is_an_error_of_the_environment(lie: str, tmp_path: Path) -> None:
    near, far = socket.socketpair()
    thread = threading.Thread(target=Liar(far, lie).serve, daemon=True)
    thread.start()
    with near:
        host = Host(near, tmp_path, None, None)
        for record in BEFORE:
            host.send(record)
        host.once.wanted = True
        host.mark()
        with pytest.raises(EnvironmentProblem):
            host.link.catch_up()
        host.trace.close()
        host.link._answers.close()
    thread.join(5)
    far.close()
