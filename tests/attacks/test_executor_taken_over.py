"""An executor that is assumed to be taken over: it moves no count, reaches no label and crashes no host.

What it says is believed where only its kernels could know (shapes, aliases, values); such lies show when the
trace is replayed. All else is checked.
"""

import contextlib
import json
import random
import struct
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import safetensors.torch
import torch

from haet_eval.errors import EnvironmentProblem, SubmissionFailure, Verdict
from haet_eval.evaluation.compose import compose
from haet_eval.evaluation.frame import PlannedRun
from haet_eval.evaluation.heard import Heard
from haet_eval.evaluation.request import Request
from haet_eval.evaluation.run import run_counted
from haet_eval.evaluation.score import score_predictions
from haet_eval.evaluation.unpack import unpack
from haet_eval.operators.signature import TensorMeta
from haet_eval.progress import Silent
from haet_eval.remote import wire
from haet_eval.remote.executor_link import ExecutorLost
from haet_eval.remote.inventory import INVENTORY_BYTES
from haet_eval.remote.messages import Drop, Load, ModelTensor, Returned, Seal, to_executor
from haet_eval.remote.meter import Meter
from haet_eval.remote.recount import recount
from haet_eval.remote.wire import AnswerStatus, Channel, Code, WireError, frame
from haet_eval.runtimes.image_files import sandbox_folder
from haet_eval.runtimes.interface import Role
from haet_eval.runtimes.process import ProcessRuntime
from haet_eval.store import Store
from haet_eval.verification.check import Check, Result
from haet_eval.verification.evidence import Sources
from haet_eval.verification.replaying import ReplayPlace, check_replay
from haet_eval.verification.verify import verify
from tests.attacks.played import End, hand_in, played, take_job
from tests.unit.remote import frames
from tests.unit.remote.bench import budgets
from tests.unit.remote.frames import TENSOR, fresh, outcome

WEIGHT, PRODUCT, LOGITS = 3, 4, 10  # the numbers that the meter gives to what small_training makes
MODEL = Returned(
    tensors=(
        ModelTensor(name="weight", handle=WEIGHT, role="trainable"),
        ModelTensor(name="logits", handle=LOGITS, role="buffer"),
    )
)
WEIGHTS = safetensors.torch.save({"weight": torch.ones(4, 4), "logits": torch.ones(4, 10)})
HONEST_CALLS = {"aten.ones.default": 2, "aten.mm.default": 6}


def ok(body: bytes, status: AnswerStatus = AnswerStatus.OK) -> bytes:
    return frame(Channel.STREAM, bytes([status]) + body)


def sent(weights: bytes) -> bytes:
    """The answer to Seal that hands these bytes out."""
    facts = json.dumps({"weights_bytes": len(weights), "peak_memory_bytes": 1}).encode()
    return ok(facts) + frame(Channel.BLOCK, weights)


def handed_out(tensors: dict[str, torch.Tensor]) -> bytes:
    return sent(safetensors.torch.save(tensors))


HONEST: Mapping[str, bytes] = {
    "start": ok(b'{"torch": "2", "accelerator": null}'),
    "aten.ones.default": ok(outcome(fresh(4, 4))),
    "aten.mm.default": ok(outcome(fresh(4, 4))),
    "logits": ok(outcome(fresh(4, 10))),
    "read": ok(bytes(64)),
    "seal": sent(WEIGHTS),
    "argmax": ok(bytes(32)),
    "load": b"",
    "drop": b"",
    "inventory": b"",
}


@dataclass
class Double:
    """Answers as in HONEST, but for its lies. `asked` is all that the host has sent it.

    It keeps the same books as the meter, so that its inventories agree with its own lies.
    """

    lies: Mapping[str, bytes]
    asked: list[tuple[Channel, bytes]] = field(default_factory=list)
    books: Meter = field(default_factory=lambda: Meter(budgets()))

    def __call__(self, end: End) -> None:
        while True:
            channel, payload = end.receive()
            self.asked.append((channel, payload))
            what = self._question(channel, payload)
            if what is not None:
                answer = self.lies.get(what, HONEST[what])
                with contextlib.suppress(WireError):
                    self._keep_books(channel, payload, answer)
                end.sock.sendall(ok(self.books.inventory()) if what == "inventory" and not answer else answer)
            elif channel is Channel.STREAM:
                self.books.accept(payload)

    def _keep_books(self, channel: Channel, payload: bytes, answer: bytes) -> None:
        if channel is Channel.STREAM:
            question = self.books.accept(payload).question
            body = answer[wire.FRAME.size + 1 :]
            if question is not None and answer[wire.FRAME.size : wire.FRAME.size + 1] == bytes(
                [AnswerStatus.OK]
            ):
                self.books.answer(question, body)
            return
        match to_executor(payload):
            case Load() as load:
                self.books.load(load.shape, load.dtype)
            case Seal() as sealed:
                self.books.seal(sealed.tensors)
            case Drop():
                self.books.end_batch()

    @staticmethod
    def _question(channel: Channel, payload: bytes) -> str | None:
        if channel is Channel.HOST:
            return str(json.loads(payload)["kind"])
        if channel is not Channel.STREAM or payload[0] not in (Code.DYNAMIC, Code.DEFINE, Code.READ):
            return None
        if payload[0] == Code.READ:
            return "read"
        (length,) = struct.unpack_from("<I", payload, 1)
        definition = wire.decode_definition(payload[5 : 5 + length])
        return "logits" if definition.arguments.get("size") == (4, 10) else definition.operator


def small_training(end: End) -> None:
    """Two factories, six products, one value read; whatever the executor claims, the client goes along."""
    take_job(end)
    end.ask(frames.define("aten.ones.default", {"size": (4, 4)}, ()))
    end.ask(frames.define("aten.mm.default", {"self": TENSOR, "mat2": TENSOR}, (WEIGHT, WEIGHT)))
    end.send(Channel.STREAM, frames.call(1, (WEIGHT, WEIGHT)) * 5)
    end.ask(frames.define("aten.ones.default", {"size": (4, 10)}, ()))
    end.ask(frames.read(PRODUCT))
    hand_in(end, MODEL, LOGITS)


def test_an_honest_double_gets_through(tmp_path: Path) -> None:
    double = Double({})
    with played(small_training, double, tmp_path) as stage:
        stage.run()
    counted = recount(stage.trace_path)
    assert {one.signature.operator: one.total_calls for one in counted.histogram}["aten.mm.default"] == 6
    assert counted.histogram.to_json() == stage.meter.histogram().to_json()


def test_the_executor_gets_test_images_only_after_the_seal_and_no_test_labels(tmp_path: Path) -> None:
    double = Double({})
    with played(small_training, double, tmp_path) as stage:
        stage.run()
    told = [json.loads(payload) for channel, payload in double.asked if channel is Channel.HOST]
    kinds = [one["kind"] for one in told]
    before = ["start", "load", "load", "inventory", "seal", "inventory"]
    assert kinds == [*before, *["load", "argmax", "drop"] * 2]
    assert [one["dtype"] for one in told if one["kind"] == "load"] == ["uint8", "int64", "uint8", "uint8"]


BELIEVED = {
    "a smaller weight": {
        "aten.ones.default": ok(outcome(fresh(2, 2))),
        "read": ok(bytes(64)),
        "seal": handed_out({"weight": torch.ones(2, 2), "logits": torch.ones(4, 10)}),
    },
    "a smaller product": {"aten.mm.default": ok(outcome(fresh(1, 1))), "read": ok(bytes(4))},
    "a product that is the weight": {"aten.mm.default": ok(outcome(fresh(4, 4, alias=0)))},
    "another value": {"read": ok(b"\xff" * 64)},
    "other weights": {"seal": handed_out({"weight": torch.zeros(4, 4), "logits": torch.ones(4, 10)})},
}


@pytest.mark.parametrize("lies", BELIEVED.values(), ids=BELIEVED)
def test_a_lie_about_a_tensor_leaves_every_call_that_was_asked_for_in_the_count(
    lies: dict[str, bytes], tmp_path: Path
) -> None:
    with played(small_training, Double(lies), tmp_path) as stage:
        stage.run()
    counted = recount(stage.trace_path)
    assert counted.histogram.to_json() == stage.meter.histogram().to_json()
    calls = dict.fromkeys(HONEST_CALLS, 0)
    for entry in counted.histogram:
        calls[entry.signature.operator] += entry.total_calls
    assert calls == HONEST_CALLS


def test_a_claimed_shape_stands_in_the_trace_for_all_to_see(tmp_path: Path) -> None:
    lies = BELIEVED["a smaller weight"]
    with played(small_training, Double(lies), tmp_path) as stage:
        stage.run()
    claimed = [
        entry.signature.outputs[0]
        for entry in recount(stage.trace_path).histogram
        if entry.signature.arguments.get("size") == (4, 4)
    ]
    assert claimed == [TensorMeta((2, 2), (2, 1), 0, "float32")]


CAUGHT = {
    "smaller weights": {"seal": handed_out({"weight": torch.ones(2, 2), "logits": torch.ones(4, 10)})},
    "fewer weights": {"seal": handed_out({"weight": torch.ones(4, 4)})},
    "weights of another dtype": {
        "seal": handed_out({"weight": torch.ones(4, 4, dtype=torch.int32), "logits": torch.ones(4, 10)})
    },
    "a byte behind the weights": {"seal": sent(WEIGHTS + b"x")},
    "another inventory": {"inventory": ok(bytes(INVENTORY_BYTES))},
    "a mismatch": {"aten.mm.default": ok(b"it is another", AnswerStatus.MISMATCH)},
}


@pytest.mark.parametrize("lies", CAUGHT.values(), ids=CAUGHT)
def test_books_and_tensors_that_differ_end_the_run_as_a_mismatch(
    lies: dict[str, bytes], tmp_path: Path
) -> None:
    with played(small_training, Double(lies), tmp_path) as stage, pytest.raises(SubmissionFailure) as caught:
        stage.run()
    assert caught.value.verdict is Verdict.FAILED
    assert caught.value.code == "tensor-mismatch"


NONSENSE = {
    "no inventory": {"inventory": ok(b"yes")},
    "no answer to start": {"start": ok(b"{}")},
    "a long name": {"start": ok(json.dumps({"torch": "x" * 1000, "accelerator": None}).encode())},
    "an endless header": {"seal": sent(WEIGHTS + bytes(100_000))},
    "no status": {"aten.mm.default": frame(Channel.STREAM, b"")},
    "an unknown status": {"aten.mm.default": frame(Channel.STREAM, b"\x09")},
    "no outcome": {"aten.mm.default": ok(b"")},
    "two outputs": {"aten.mm.default": ok(outcome(fresh(4, 4), fresh(4, 4)))},
    "a number": {"aten.mm.default": ok(outcome(7))},
    "a huge tensor": {"aten.mm.default": ok(outcome(fresh(2**40)))},
    "a frame of 4 GiB": {"aten.mm.default": b"\xff" * 4 + b"\x00"},
    "an unknown channel": {"aten.mm.default": b"\x00" * 4 + b"\x63"},
    "a short value": {"read": ok(bytes(63))},
    "a long value": {"read": ok(bytes(1 << 20))},
    "endless weights": {"seal": ok(b'{"weights_bytes": 1000000000000, "peak_memory_bytes": 1}')},
    "negative weights": {"seal": ok(b'{"weights_bytes": -1, "peak_memory_bytes": 1}')},
    "empty blocks": {"seal": ok(b'{"weights_bytes": 9, "peak_memory_bytes": 1}') + frame(Channel.BLOCK, b"")},
    "more weights": {
        "seal": ok(b'{"weights_bytes": 9, "peak_memory_bytes": 1}') + frame(Channel.BLOCK, bytes(10))
    },
    "no block": {"seal": ok(b'{"weights_bytes": 9, "peak_memory_bytes": 1}') + ok(bytes(9))},
    "too few labels": {"argmax": ok(bytes(24))},
    "half a label": {"argmax": ok(bytes(31))},
    "a label that no class has": {"argmax": ok(struct.pack("<4q", 0, 1, 2, 10))},
    "a label below that of an image without a number": {"argmax": ok(struct.pack("<4q", 0, 1, 2, -2))},
}


@pytest.mark.parametrize("lies", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_a_fault_of_the_environment(lies: dict[str, bytes], tmp_path: Path) -> None:
    with played(small_training, Double(lies), tmp_path) as stage, pytest.raises(EnvironmentProblem):
        stage.run()


def test_an_executor_that_says_that_the_run_is_over_ends_it_in_few_words(tmp_path: Path) -> None:
    lies = {"aten.mm.default": ok(b"data" * 1_000_000, AnswerStatus.FATAL)}
    with played(small_training, Double(lies), tmp_path) as stage, pytest.raises(SubmissionFailure) as caught:
        stage.run()
    assert caught.value.verdict is Verdict.FAILED
    assert len(caught.value.reason) <= 2000


def test_a_refusal_counts_nothing(tmp_path: Path) -> None:
    lies = {"aten.mm.default": ok(b"no", AnswerStatus.REFUSED)}

    def give_up(end: End) -> None:
        take_job(end)
        end.ask(frames.define("aten.ones.default", {"size": (4, 4)}, ()))
        answer = end.ask(frames.define("aten.mm.default", {"self": TENSOR, "mat2": TENSOR}, (3, 3)))
        assert answer == bytes([AnswerStatus.REFUSED]) + b"no"
        end.send(Channel.CONTROL, b"the end")

    with played(give_up, Double(lies), tmp_path) as stage, pytest.raises(SubmissionFailure):
        stage.run()
    histogram = recount(stage.trace_path).histogram
    assert [entry.signature.operator for entry in histogram] == ["aten.ones.default"]


def test_an_executor_that_never_starts_is_a_fault_of_the_environment(tmp_path: Path) -> None:
    with (
        played(small_training, Double({"start": b""}), tmp_path, patience_seconds=0.5) as stage,
        pytest.raises(EnvironmentProblem),
    ):
        stage.run()


@pytest.mark.parametrize("what", ["aten.mm.default", "read", "seal", "argmax"])
def test_an_executor_that_never_answers_ends_with_the_time(what: str, tmp_path: Path) -> None:
    with (
        played(small_training, Double({what: b""}), tmp_path, patience_seconds=0.5) as stage,
        pytest.raises(SubmissionFailure) as caught,
    ):
        stage.run()
    assert caught.value.verdict is Verdict.LIMIT_TIME


def test_an_executor_that_leaves_is_noticed(tmp_path: Path) -> None:
    def leave(end: End) -> None:
        end.receive()

    with played(small_training, leave, tmp_path) as stage, pytest.raises(ExecutorLost):
        stage.run()


def test_random_answers_never_crash_the_host(tmp_path: Path) -> None:
    """Several at once, as most of the time is the patience with an executor that has fallen silent."""
    chance = random.Random(3)

    def answered() -> tuple[str, bytes]:
        what = chance.choice([key for key, answer in HONEST.items() if answer])
        answer = bytearray(HONEST[what])
        for _ in range(chance.choice((1, 2, 8))):
            answer[chance.randrange(len(answer))] = chance.randrange(256)
        return what, bytes(answer)

    def play(number: int, what: str, answer: bytes) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        with played(small_training, Double({what: answer}), folder, patience_seconds=0.5) as stage:
            with contextlib.suppress(EnvironmentProblem, SubmissionFailure):
                stage.run()
            before = stage.meter.histogram().to_json()
        assert recount(stage.trace_path).histogram.to_json() == before

    with ThreadPoolExecutor(8) as pool:
        plays = [pool.submit(play, number, *answered()) for number in range(150)]
        for one in plays:
            one.result()


# Predictions that the returned model does not make.

PYTHON = (sys.executable, "-I")
LIAR = (*PYTHON, str(Path(__file__).with_name("lying_executor.py")))
CLIENT = (*PYTHON, str(sandbox_folder() / "submission.py"))


@pytest.fixture(scope="module")
def faked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The record of a linear model far below the threshold, in whose place the executor has predicted."""
    folder = tmp_path_factory.mktemp("faked")
    store, heard = Store(folder / "results"), Heard(Silent())
    store.prepare()
    linear = Path(__file__).parents[1] / "fixtures" / "linear"
    request = Request(linear, folder, store.directory, sandbox="process")
    unpacked = unpack(request, heard)
    assert unpacked.assignment is not None
    work = PlannedRun(unpacked.assignment, request.seed, request.device, store, heard)
    ran = run_counted(work, ProcessRuntime(mains={Role.EXECUTOR: LIAR, Role.SUBMISSION: CLIENT}))
    assert ran.predicted is not None
    assert ran.predicted.labels is not None
    scored = score_predictions(work, ran.predicted.labels, ran.predicted, ())
    return store.add(compose(request, request.seed, unpacked, heard, ran, scored))


def checks(path: Path, *, replaying: bool) -> dict[str, Check]:
    verification, (part,) = verify(path, Sources(Store(path.parent), path.parent))
    more = check_replay(part.record, part.evidence, ReplayPlace("process")) if replaying else ()
    return {check.subject: check for check in (*verification.checks, *more)}


def test_faked_predictions_qualify_and_no_look_at_the_files_shows_it(faked: Path) -> None:
    found = checks(faked, replaying=False)
    assert found["verdict"].detail.startswith("qualified at 9")
    assert not [check for check in found.values() if check.result is Result.DIFFERS]
    assert found["model"].result is Result.UNCHECKED


def test_faked_predictions_show_when_the_trace_is_replayed(faked: Path) -> None:
    found = checks(faked, replaying=True)
    assert [one.subject for one in found.values() if one.result is Result.DIFFERS] == ["predictions again"]
    assert "of 445 labels are other ones, the first in line" in found["predictions again"].detail
