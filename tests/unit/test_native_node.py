"""The host's end of a node: everything that a node may say, and what becomes of it."""

import hashlib
import socket
from collections.abc import Callable, Iterator
from typing import NoReturn, TypeAlias

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from haet_eval.errors import EnvironmentProblem, SubmissionFailure, Verdict
from haet_eval.native.messages import (
    ImagesArrived,
    LabelsFollow,
    Loaded,
    ModelKept,
    ModelOffered,
    NodeJob,
    TrainReturned,
    to_node,
)
from haet_eval.native.node import Node
from haet_eval.progress import ReportValue
from haet_eval.remote.connection import Connection
from haet_eval.remote.messages import Failed, Message, Report
from haet_eval.remote.relay import SubmissionLost
from haet_eval.remote.wire import FRAME, Channel, frame

WEIGHTS = safetensors.numpy.save({"w": np.arange(3, dtype=np.float32)})
OTHER = safetensors.numpy.save({"w": np.ones(3, dtype=np.float32)})


Said: TypeAlias = Message | bytes


class Clock:
    """Says what a test says."""

    def __init__(self, *over: bool) -> None:
        self.over = list(over)
        self.grace = False

    def is_over(self) -> bool:
        return self.over.pop(0)

    def overdue(self) -> NoReturn:
        raise SubmissionFailure(Verdict.LIMIT_TIME, "over", code="limit-time")

    def allow_grace(self) -> None:
        self.grace = True


class Played:
    """A node whose every byte is the test's."""

    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair()
        self.reports: list[dict[str, ReportValue]] = []
        self.node = Node(Connection(ours), 100, lambda values: self.reports.append(dict(values)))

    def says(self, *messages: Said) -> None:
        """Send messages; bytes go as a block."""
        for message in messages:
            if isinstance(message, bytes):
                self.theirs.sendall(frame(Channel.BLOCK, message))
            else:
                self.theirs.sendall(frame(Channel.CONTROL, message.encode()))

    def heard(self) -> list[bool]:
        """The answers to models so far."""
        self.theirs.setblocking(False)
        try:
            data = self.theirs.recv(1 << 16)
        except BlockingIOError:
            return []
        answers = []
        while data:
            length, _ = FRAME.unpack_from(data)
            answer = to_node(data[FRAME.size : FRAME.size + length])
            assert isinstance(answer, ModelKept)
            answers.append(answer.in_time)
            data = data[FRAME.size + length :]
        return answers

    def close(self) -> None:
        self.node.connection.close()
        self.theirs.close()


@pytest.fixture
def played() -> Iterator[Played]:
    node = Played()
    yield node
    node.close()


def model(origin: str = "returned", weights: bytes = WEIGHTS, **changes: object) -> ModelOffered:
    facts = {
        "origin": origin,
        "sha256": hashlib.sha256(weights).hexdigest(),
        "weights_bytes": len(weights),
        "trainable": 3,
        "frozen": 0,
        "buffers": 0,
    }
    return ModelOffered.model_validate(facts | changes)


def test_a_model_that_is_returned_in_time(played: Played) -> None:
    played.says(Report(values={"step": "1"}), model(), WEIGHTS)
    handed_in = played.node.model(Clock(False))
    assert handed_in.weights == WEIGHTS
    assert handed_in.parameters.total == 3
    assert not handed_in.from_checkpoint
    assert played.reports == [{"step": "1"}]
    assert played.heard() == [True]


def test_a_model_that_is_returned_late_without_a_checkpoint(played: Played) -> None:
    played.says(model(), WEIGHTS)
    with pytest.raises(SubmissionFailure) as failed:
        played.node.model(Clock(True))
    assert failed.value.verdict is Verdict.LIMIT_TIME
    assert played.heard() == []


def test_the_last_checkpoint_in_time_counts_and_later_ones_do_not(played: Played) -> None:
    clock = Clock(False, False, True, True)
    played.says(
        model("checkpoint", OTHER),
        model("checkpoint"),
        model("checkpoint", OTHER),
        model("returned", OTHER),
        model("last_checkpoint"),
        WEIGHTS,
    )
    handed_in = played.node.model(clock)
    assert handed_in.weights == WEIGHTS
    assert handed_in.from_checkpoint
    assert clock.grace
    assert played.heard() == [True, True, False, False]


def test_a_checkpoint_other_than_the_last_one_in_time_breaks_the_protocol(played: Played) -> None:
    played.says(model("checkpoint"), model("last_checkpoint", OTHER), OTHER)
    with pytest.raises(SubmissionFailure, match="a checkpoint that was not told in time"):
        played.node.model(Clock(False))


LIES: dict[str, tuple[list[Said], str]] = {
    "other weights": ([model(), OTHER], "other weights than were announced"),
    "no weights": ([model(), ImagesArrived()], "something else than what it announced"),
    "an empty block": ([model(), b""], "something else than what it announced"),
    "too many weights": ([model(), WEIGHTS + b"\0"], "something else than what it announced"),
    "no safetensors": ([model(weights=b"junk"), b"junk"], "no safetensors"),
    "a header too long": (
        [model(weights=b"\xff" * 8 + b"{}"), b"\xff" * 8 + b"{}"],
        "no safetensors",
    ),
    "a checkpoint never told": ([model("last_checkpoint"), WEIGHTS], "not told in time"),
    "a message out of place": ([LabelsFollow()], "'labels' at the wrong time"),
    "a block out of place": ([b"block"], "a frame of channel BLOCK"),
}


@pytest.mark.parametrize("name", LIES)
def test_lies_about_the_model_break_the_protocol(played: Played, name: str) -> None:
    messages, reason = LIES[name]
    played.says(*messages)
    with pytest.raises(SubmissionFailure, match=reason) as failed:
        played.node.model(Clock(False))
    assert failed.value.verdict is Verdict.FAILED


def test_a_model_too_large_is_not_waited_for(played: Played) -> None:
    played.says(model(weights_bytes=(1 << 30) + 1))
    with pytest.raises(SubmissionFailure) as failed:
        played.node.model(Clock(False))
    assert failed.value.verdict is Verdict.LIMIT_MEMORY


BAD_FRAMES: dict[str, Callable[[socket.socket], None]] = {
    "no JSON": lambda node: node.sendall(frame(Channel.CONTROL, b"\xff")),
    "an unknown message": lambda node: node.sendall(frame(Channel.CONTROL, b'{"kind": "begin"}')),
    "a negative count": lambda node: node.sendall(
        frame(Channel.CONTROL, model().encode().replace(b'"frozen":0', b'"frozen":-1'))
    ),
    "a frame of an unknown channel": lambda node: node.sendall(FRAME.pack(1, 77) + b"x"),
    "an endless frame": lambda node: node.sendall(FRAME.pack(2**32 - 1, Channel.CONTROL)),
    "a frame of the host's": lambda node: node.sendall(frame(Channel.HOST, b"{}")),
}


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_frames_that_break_the_protocol(played: Played, name: str) -> None:
    BAD_FRAMES[name](played.theirs)
    with pytest.raises(SubmissionFailure, match="broke the protocol"):
        played.node.model(Clock(False))


@given(st.binary(max_size=400))
def test_any_bytes_end_as_a_verdict_or_a_lost_node(junk: bytes) -> None:
    node = Played()
    try:
        node.theirs.sendall(junk)
        node.theirs.shutdown(socket.SHUT_WR)
        with pytest.raises((SubmissionFailure, SubmissionLost)):
            node.node.model(Clock(*[False] * 10))
    finally:
        node.close()


@pytest.mark.parametrize(
    ("labels", "fault"),
    [
        ([0, 10], "a label that no class has"),
        ([-2, 0], "a label that no class has"),
        ([1], "something else than what it announced"),
        ([1, 2, 3], "something else than what it announced"),
    ],
)
def test_labels_are_checked(played: Played, labels: list[int], fault: str) -> None:
    played.says(LabelsFollow(), np.array(labels, dtype="<i8").tobytes(), ImagesArrived())
    with pytest.raises(SubmissionFailure, match=fault):
        played.node.predict(2, 10, 200)


def test_the_labels_of_each_image(played: Played) -> None:
    played.says(LabelsFollow(), np.array([3, 9], dtype="<i8").tobytes())
    assert played.node.predict(2, 10, 200).tolist() == [3, 9]


def test_output_is_kept_and_bounded(played: Played) -> None:
    played.theirs.sendall(frame(Channel.OUTPUT, b"x" * 60))
    played.says(TrainReturned())
    played.node.finish()
    assert played.node.log.head == "x" * 60
    played.theirs.sendall(frame(Channel.OUTPUT, b"x" * 60))
    with pytest.raises(SubmissionFailure) as failed:
        played.node.finish()
    assert failed.value.verdict is Verdict.LIMIT_OUTPUT


def test_a_node_that_cannot_use_the_device_is_our_problem(played: Played) -> None:
    setting = NodeJob(
        files={},
        module="submission",
        function="train",
        images=(1, 3, 2, 2),
        num_classes=10,
        seed=0,
        device="cuda",
        threads=1,
        time_budget_seconds=1.0,
        checkpoints=False,
        node=1,
    )
    played.says(Loaded(torch="2", python="3", accelerator=None, problem="it sees no CUDA device"))
    with pytest.raises(EnvironmentProblem, match="Node 1 cannot train on the device 'cuda'"):
        played.node.load(setting, np.zeros((1, 3, 2, 2), np.uint8), np.zeros(1, np.int64))


def test_a_failure_is_reported_with_its_traceback(played: Played) -> None:
    played.says(Failed(reason="KeyError: 'lost'", traceback="line 3"))
    with pytest.raises(SubmissionFailure, match="lost"):
        played.node.model(Clock(False))
    assert played.node.log.head == "line 3"
