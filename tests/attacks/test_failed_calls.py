"""What a call leaves behind that fails: the run ends if it may have written, and draws are remembered."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from haet_eval.errors import SubmissionFailure
from haet_eval.operators.checking.validation import written_parameters
from haet_eval.operators.schema import Operator
from haet_eval.operators.table import allowed_operators, lookup
from haet_eval.remote import wire
from haet_eval.remote.executor.executor import Executor
from haet_eval.remote.executor.failure import explained
from haet_eval.remote.executor.kernel import overload
from haet_eval.remote.messages import Start
from haet_eval.remote.wire import AnswerStatus, Atom, Channel, Code, Definition, Tag, Value, WireError
from tests.attacks.played import End
from tests.unit.remote import frames
from tests.unit.remote.bench import Bench
from tests.unit.remote.frames import TENSOR


@contextmanager
def executing() -> Iterator[End]:
    """A real executor in a thread, and the host's end of its connection."""
    ours, theirs = socket.socketpair()
    served = threading.Thread(target=_serve, args=(theirs,))
    served.start()
    end = End(ours)
    end.send(Channel.HOST, Start(device="cpu", threads=1).encode())
    assert end.receive()[1][0] == AnswerStatus.OK
    try:
        yield end
    finally:
        ours.close()
        served.join()
        theirs.close()


def _serve(sock: socket.socket) -> None:
    with torch.no_grad():
        Executor(sock).serve()


def floats(*numbers: float) -> bytes:
    return frames.upload((len(numbers),), struct.pack(f"<{len(numbers)}f", *numbers))


def schema_of(name: str) -> Operator:
    operator = lookup(name)
    assert operator is not None
    return operator


# A partial write, and then an error.


def test_failure_of_an_operator_that_writes_is_never_a_refusal() -> None:
    """A refusal says that nothing has happened, so that the submission may go on."""
    refused = set()
    for name in allowed_operators():
        failure = explained(Definition(name, {}, 0, ()), overload(name), [], (), RuntimeError("it failed"))
        if failure.status is AnswerStatus.REFUSED:
            refused.add(name)
    writing = {name for name in allowed_operators() if written_parameters(schema_of(name))}
    assert refused & writing == set()
    assert len(refused) > 500


def test_list_of_which_a_part_was_written_ends_the_run() -> None:
    with executing() as executor:
        executor.send(Channel.STREAM, floats(1, 1) + floats(2, 2) + floats(1, 1) + floats(3, 3, 3))
        arguments: dict[str, Value] = {
            "self": (Atom(Tag.TENSOR, 0), Atom(Tag.TENSOR, 1)),
            "other": (Atom(Tag.TENSOR, 2), Atom(Tag.TENSOR, 3)),
        }
        answer = executor.ask(frames.define("aten._foreach_add_.List", arguments, (1, 2, 3, 4)))
        assert answer[0] == AnswerStatus.FATAL
        assert executor.ask(frames.read(1))[0] == AnswerStatus.FATAL


# Draws.

RATES = {"aten.poisson.default": {"self": TENSOR}, "aten._standard_gamma.default": {"self": TENSOR}}


@pytest.mark.parametrize("operator", RATES)
def test_refused_draw_makes_the_generator_depend_on_data(operator: str) -> None:
    bench = Bench()
    rates = bench.as_float(bench.labels, 8)
    assert bench.read(bench.rand(4)) == 0
    bench.meter.refuse(bench.ask(frames.define(operator, RATES[operator], (rates,))))
    assert bench.read(bench.call(1)) == 4 * 4
    bench.send(wire.SEED.pack(Code.SEED, wire.DEFAULT_GENERATOR, 7))
    assert bench.read(bench.call(1)) == 0


def test_refused_draw_that_follows_no_data_leaves_the_generator_as_it_was() -> None:
    bench = Bench()
    bench.rand(4)
    bench.meter.refuse(bench.ask(frames.define("aten.poisson.default", {"self": TENSOR}, (bench.ones(8),))))
    assert bench.read(bench.call(0)) == 0


# SELECT and SLICE.

CUTS = {
    "select outside": wire.SELECT.pack(Code.SELECT, 1, 0, 9),
    "select of no dimension": wire.SELECT.pack(Code.SELECT, 1, 5, 0),
    "select of no tensor": wire.SELECT.pack(Code.SELECT, 9, 0, 0),
    "slice of no dimension": wire.SLICE.pack(Code.SLICE, 1, 5, 0, 1, 1),
    "slice of no tensor": wire.SLICE.pack(Code.SLICE, 9, 0, 0, 1, 1),
    "slice outside": wire.SLICE.pack(Code.SLICE, 1, 0, 1, 9, 1),
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_cut_that_fails_ends_the_run_and_makes_no_tensor(cut: bytes) -> None:
    """The meter lets no such record pass; an executor that gets one does not go on with other handles."""
    with executing() as executor:
        executor.send(Channel.STREAM, floats(1, 2) + cut + floats(3))
        for number in (1, 2):
            assert executor.ask(frames.read(number))[0] in {AnswerStatus.FATAL, AnswerStatus.MISMATCH}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_meter_lets_no_cut_pass_that_would_fail(cut: bytes) -> None:
    bench = Bench()
    with pytest.raises((WireError, SubmissionFailure)):
        bench.send(cut)
