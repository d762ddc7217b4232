"""A relay between two ends that the test plays: threads that speak frames over socket pairs."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from haet_eval.errors import SubmissionFailure, Verdict
from haet_eval.remote.connection import Connection
from haet_eval.remote.messages import BatchPredicted, Job, Ready, Returned, Start
from haet_eval.remote.meter import Meter
from haet_eval.remote.relay import Relay
from haet_eval.remote.trace import TraceWriter
from haet_eval.remote.wire import FRAME, AnswerStatus, Channel, frame
from tests.unit.remote.bench import budgets

IMAGES = np.zeros((8, 3, 4, 4), np.uint8)
LABELS = np.zeros(8, np.int64)

Play: TypeAlias = Callable[["End"], None]


@dataclass
class End:
    """The far end of one of the relay's connections."""

    sock: socket.socket

    def send(self, channel: Channel, payload: bytes) -> None:
        self.sock.sendall(frame(channel, payload))

    def answer(self, body: bytes, status: AnswerStatus = AnswerStatus.OK) -> None:
        """As the executor answers."""
        self.send(Channel.STREAM, bytes([status]) + body)

    def receive(self) -> tuple[Channel, bytes]:
        """The next frame; raises EOFError at the end of the stream."""
        length, channel = FRAME.unpack(self._exactly(FRAME.size))
        return Channel(channel), self._exactly(length)

    def _exactly(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            part = self.sock.recv(length - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def ask(self, record: bytes) -> bytes:
        """As the submission asks: the answer with its status."""
        self.send(Channel.STREAM, record)
        return self.receive()[1]


@dataclass(frozen=True)
class Stage:
    """A relay with its meter, and the trace that the meter writes once it is closed."""

    relay: Relay
    meter: Meter
    trace: TraceWriter
    trace_path: Path

    def run(self) -> None:
        """All that an evaluation does with a relay."""
        self.relay.start(Start(device="cpu", threads=1), [IMAGES, LABELS])
        tensors = self.relay.train(
            Job(
                files={},
                module="m",
                function="f",
                images=IMAGES.shape,
                num_classes=10,
                seed=0,
                device="cpu",
                time_budget_seconds=1.0,
            )
        )
        self.meter.seal(tensors)
        self.relay.seal(tensors)
        self.relay.predict(IMAGES, 10, 4)


@contextmanager
def played(submission: Play, executor: Play, folder: Path, patience_seconds: float = 30.0) -> Iterator[Stage]:
    """A relay whose ends are played by these functions, each in a thread."""
    pairs = [socket.socketpair() for _ in range(2)]
    ends = [End(far) for _, far in pairs]
    threads = [
        threading.Thread(target=_play, args=(play, end), daemon=True)
        for play, end in zip((submission, executor), ends, strict=True)
    ]
    deadline = time.monotonic() + patience_seconds

    def watch() -> None:
        if time.monotonic() > deadline:
            raise SubmissionFailure(Verdict.LIMIT_TIME, "It took too long.", code="limit-time")

    trace_path = folder / "trace"
    trace = TraceWriter(trace_path, {"images": list(IMAGES.shape)})
    meter = Meter(budgets(), trace)
    near = [Connection(sock) for sock, _ in pairs]
    relay = Relay(near[0], near[1], meter, watch, lambda _: None, 100_000)
    try:
        for thread in threads:
            thread.start()
        yield Stage(relay, meter, trace, trace_path)
    finally:
        trace.close()
        for connection in near:
            connection.close()
        for thread in threads:
            thread.join(5)
            assert not thread.is_alive()


def _play(play: Play, end: End) -> None:
    with end.sock, suppress(EOFError, OSError):
        play(end)


# Honest parts, for attacks to depart from.


def take_job(end: End) -> None:
    end.send(Channel.CONTROL, Ready(torch="2", python="3").encode())
    end.receive()


def hand_in(end: End, returned: Returned, logits: int) -> None:
    """Return a module, then predict every batch with the same tensor."""
    end.send(Channel.CONTROL, returned.encode())
    end.receive()
    message = BatchPredicted(logits=None)
    while True:
        end.send(Channel.CONTROL, message.encode())
        batch = json.loads(end.receive()[1][1:])
        if batch["handle"] is None:
            return
        message = BatchPredicted(logits=logits)
