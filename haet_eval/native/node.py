"""The host's end of the connection to a node. The node runs the submission, so the host trusts no message."""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import safetensors

from haet_eval.counting.parameters import ParameterCount
from haet_eval.errors import EnvironmentProblem, SubmissionFailure, Verdict
from haet_eval.native.messages import (
    Begin,
    FromNode,
    ImagesArrived,
    ImagesFollow,
    LabelsFollow,
    Loaded,
    ModelKept,
    ModelOffered,
    NodeJob,
    Predict,
    TrainReturned,
    from_node,
)
from haet_eval.progress import ReportValue
from haet_eval.remote.connection import Connection, Disconnected
from haet_eval.remote.log import OutputLog
from haet_eval.remote.messages import Failed, Message, Report
from haet_eval.remote.meter import broken_protocol
from haet_eval.remote.relay import SubmissionLost
from haet_eval.remote.weights import check_model_size
from haet_eval.remote.wire import Channel, WireError, blocks

_FAREWELL_SECONDS: Final = 2.0

_NodeAnswer = TypeVar("_NodeAnswer", Loaded, ModelOffered, TrainReturned, ImagesArrived, LabelsFollow)


class TrainingClock(Protocol):
    """The host's clock of a training."""

    def is_over(self) -> bool:
        """Whether the time of the training is over."""

    def overdue(self) -> NoReturn:
        """Raises SubmissionFailure: the time is over, and there is no model."""

    def allow_grace(self) -> None:
        """A checkpoint was kept, so its weights may arrive a little after the end of the time."""


@dataclass(frozen=True, slots=True)
class HandedIn:
    """A model as its node returned it; `parameters` is the node's own count."""

    weights: bytes
    parameters: ParameterCount
    from_checkpoint: bool


@dataclass
class Node:
    """Speaks with one node, the one with this number, over a connection.

    Its methods raise SubmissionFailure if the submission failed or the node broke the protocol, and
    SubmissionLost if the node is gone.
    """

    connection: Connection
    output_bytes: int
    report: Callable[[Mapping[str, ReportValue]], None]
    log: OutputLog = field(default_factory=OutputLog)
    number: int = 0

    def load(self, setting: NodeJob, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> Loaded:
        """Send the node its task and the training data; return facts about the node.

        Raises:
            EnvironmentProblem: this machine does not have the requested device.
        """
        self._send(setting)
        self._blocks(images)
        self._blocks(labels)
        loaded = self._expect(Loaded)
        if loaded.problem:
            raise EnvironmentProblem(
                f"Node {setting.node} cannot train on the device {setting.device!r}: {loaded.problem}.",
                "Use --device cpu, or install the device's driver and, for Docker, its container toolkit. "
                "Several nodes take one GPU each.",
                code="device-unusable",
            )
        return loaded

    def begin(self) -> None:
        """Let the node run the submission."""
        self._send(Begin())

    def model(self, clock: TrainingClock) -> HandedIn:
        """Wait for the model of node 0: the result of `train`, or the last checkpoint if that is too late.

        The clock of the host decides, because a node could lie about its own.
        """
        kept_sha256 = ""
        while True:
            told = self._expect(ModelOffered)
            # Without a look at the clock: the digest was in time, and it fixes these weights (decision 0092).
            if told.origin == "last_checkpoint":
                if told.sha256 != kept_sha256:
                    raise _broken("a checkpoint that was not told in time")
                return self._weights(told)
            # Before the answer is sent, so that a slow answer costs the submission nothing.
            in_time = not clock.is_over()
            if not in_time and not kept_sha256:
                clock.overdue()
            self._send(ModelKept(in_time=in_time))
            if in_time and told.origin == "returned":
                return self._weights(told)
            if in_time:
                kept_sha256 = told.sha256
                clock.allow_grace()

    def finish(self) -> None:
        """Wait until `train` has returned on a node other than node 0."""
        self._expect(TrainReturned)

    def load_test(self, images: npt.NDArray[np.uint8]) -> None:
        """Send the node the test images."""
        self._send(ImagesFollow(shape=images.shape))
        self._blocks(images)
        self._expect(ImagesArrived)

    def predict(
        self, images: int, num_classes: int, batch_size: int, iterations: int = 1
    ) -> npt.NDArray[np.int64]:
        """One label for each test image, from the last pass; -1 if no logit was a number."""
        self._send(Predict(iterations=iterations, batch_size=batch_size))
        self._expect(LabelsFollow)
        labels = np.frombuffer(self._receive_blocks(images * np.dtype(np.int64).itemsize), dtype="<i8")
        # The score takes every negative label for an image with a NaN.
        if not -1 <= labels.min() <= labels.max() < num_classes:
            raise _broken("a label that no class has")
        return labels.astype(np.int64)

    def hear_out(self) -> None:
        """Take the last output of the submission until the node is gone; the node has a moment for that."""
        deadline = time.monotonic() + _FAREWELL_SECONDS

        def idle() -> None:
            if time.monotonic() > deadline:
                raise SubmissionLost

        # The usual function looks at the workers, and would report the end of this one as a failure.
        self.connection.idle = idle
        try:
            while True:
                self._receive()
        except SubmissionLost:
            return

    def _weights(self, told: ModelOffered) -> HandedIn:
        # Before the weights are received: the announced size is the node's word, and they go into memory.
        check_model_size(told.weights_bytes)
        weights = self._receive_blocks(told.weights_bytes)
        if hashlib.sha256(weights).hexdigest() != told.sha256:
            raise _broken("other weights than were announced")
        try:
            # The form is checked and no tensor is made: the host does not need PyTorch.
            safetensors.deserialize(weights)  # type: ignore[no-untyped-call]
        except safetensors.SafetensorError:
            raise _broken("weights that are no safetensors") from None
        count = ParameterCount(told.trainable, told.frozen, told.buffers)
        return HandedIn(weights, count, told.origin == "last_checkpoint")

    # The wire.

    def _send(self, message: Message) -> None:
        self._send_frame(Channel.HOST, message.encode())

    def _blocks(self, array: npt.NDArray[Any]) -> None:
        raw = memoryview(np.ascontiguousarray(array).data).cast("B")
        for block in blocks(raw):
            self._send_frame(Channel.BLOCK, block)

    def _send_frame(self, channel: Channel, payload: bytes | memoryview) -> None:
        try:
            self.connection.send(channel, payload)
        except Disconnected:
            self.connection.close()  # the ssh process that carries the socket waits for this
            raise SubmissionLost(self.number) from None

    def _expect(self, kind: type[_NodeAnswer]) -> _NodeAnswer:
        while isinstance(message := self._message(), Report):
            self.report(message.values)
        if isinstance(message, Failed):
            self.log.add(message.traceback.encode())
            raise SubmissionFailure(Verdict.FAILED, message.reason, code="code-failed")
        if not isinstance(message, kind):
            raise _broken(f"{message.kind!r} at the wrong time")
        return message

    def _message(self) -> FromNode:
        channel, payload = self._receive()
        if channel is not Channel.CONTROL:
            raise _broken(f"a frame of channel {channel.name}")
        try:
            return from_node(payload)
        except WireError as error:
            raise broken_protocol(error) from None

    def _receive_blocks(self, length: int) -> bytes:
        content = bytearray()
        while len(content) < length:
            channel, block = self._receive()
            # An empty block could be repeated for ever.
            if channel is not Channel.BLOCK or not block or len(content) + len(block) > length:
                raise _broken("something else than what it announced")
            content += block
        return bytes(content)

    def _receive(self) -> tuple[Channel, bytes]:
        """The next frame that is not output of the submission."""
        while True:
            # At each frame: a connection calls it by itself only while it waits, and a node that floods never
            # lets it wait.
            self.connection.idle()
            try:
                channel, payload = self.connection.receive()
            except Disconnected:
                self.connection.close()
                raise SubmissionLost(self.number) from None
            except WireError as error:
                raise broken_protocol(error) from None
            if channel is not Channel.OUTPUT:
                return channel, payload
            self.log.add_printed(payload, self.output_bytes)


def _broken(what: str) -> SubmissionFailure:
    return broken_protocol(WireError(what))
