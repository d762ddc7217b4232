"""The client's end of the wire: gathers records, and waits only when it must."""

import os
import socket
import struct
import threading
from collections import deque
from typing import Final

from haet_eval.remote import wire
from haet_eval.remote.advice import advice_on
from haet_eval.remote.client.garbage import Garbage
from haet_eval.remote.client.output import Drain, nothing_printed
from haet_eval.remote.frames import FrameReader
from haet_eval.remote.wire import AnswerStatus, Channel, Code

FLUSH_RECORDS: Final = 64
FLUSH_BYTES: Final = wire.MAX_FRAME_BYTES // 4
"""More are sent before the next record, so that both fit into one frame: an upload has as many at most."""
# Waiting awake is processor time of the submission, which has 60 s of it, and 60 µs for each message. A read
# can wait three times as long, so honest code that reads millions of values could not pay for it.
_AWAKE_SECONDS: Final = 15.0

ONE_PROCESS: Final = (
    "Tensors of the task cannot be used in another process: the data is in the executor, and only the "
    "process that train() runs in is connected to it. Use num_workers=0 and no multiprocessing; threads are "
    "fine."
)
NO_EXTENSION: Final = (
    "Extensions in C++, CUDA or Triton cannot be used: the data is in the executor, and what they do could "
    "not be counted. Write the computation with torch's operators."
)


class RemoteError(RuntimeError):
    """What the evaluator answered instead of a result."""

    __module__ = "haet_eval"  # where tracebacks say that it is from


class Refusal(RemoteError):
    """This one call is not possible; the message says why, what to write instead, and the code."""

    __module__ = "haet_eval"

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(f"{message} [{code}]")
        self.code = code


class Link:
    """Sends records in frames of many. `lock` serialises the threads of the submission.

    A free stands before the first record that is written after the tensor's last handle is gone, and garbage
    is collected at fixed counts of records: equal runs have equal traces.

    `records` are those since the last frame, frees apart. `made_up`: the last answer was a value that the
    check made up, which no evaluation does. `charged`: it depended on data, and counts as read back.
    """

    # The slots are what the compiled hit path uses as well.
    __slots__ = ("__dict__", "buffer", "freed", "made_up", "next", "records")

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._frames = FrameReader(sock, _AWAKE_SECONDS)
        # A child of a fork has the same socket. Its frames would mix with those of its parent.
        self._process = os.getpid()
        self.garbage = Garbage()
        self.buffer = bytearray()
        self.records = 0
        self.freed: list[int] = []
        self.next = 1
        self.made_up = False
        self.charged = False
        self.drain: Drain = nothing_printed
        self.lock = threading.RLock()
        # A child of a fork has none of the other threads: if one held the lock, it would wait for ever.
        os.register_at_fork(
            before=self.lock.acquire,
            after_in_parent=self.lock.release,
            after_in_child=self.lock.release,
        )

    def write(self, record: bytes) -> None:
        """Write a record that wants no answer, after the frees that are due."""
        # By size, because a training may make any number of uploads and cuts between two other calls.
        if len(self.buffer) > FLUSH_BYTES:
            self.flush()
        # Frees first: the host counts the peak of memory, and a free that comes later would raise it.
        if self.freed:
            self.write_freed()
        self.buffer += record
        self.records += 1

    def flush(self) -> None:
        """Send the records that were gathered."""
        self._check_process()
        if self.freed:
            self.write_freed()
        self._send()

    def write_freed(self) -> None:
        """Write at this point of the stream which tensors are no longer needed.

        They are sorted because Python and autograd may drop them in the order of their addresses.
        """
        # Copied and deleted by length: a handle may die in between, in any thread, and append its number.
        numbers = self.freed[:]
        del self.freed[: len(numbers)]
        numbers.sort()
        self.buffer += struct.pack(f"<BI{len(numbers)}Q", Code.FREE, len(numbers), *numbers)

    def ask(self, record: bytes) -> bytes:
        """Send a record and wait for its answer.

        Raises:
            Refusal: the call is not possible, and nothing has happened.
            RemoteError: the run is over.
        """
        self._check_process()
        self.write(record)
        self._send()
        return self._answer()

    def _send(self) -> None:
        if self.buffer:
            self._socket.sendall(wire.frame(Channel.STREAM, self.buffer))
            self.buffer.clear()
        # After the records are out: what a collection frees is then written before the next record.
        self.garbage.after(self.records)
        self.records = 0

    def tell(self, message: bytes) -> None:
        """Send a control message, after the output that was printed before it."""
        self.drain()
        with self.lock:
            self.flush()
            # It follows the flush within the lock, so that no record of another thread comes between.
            self._socket.sendall(wire.frame(Channel.CONTROL, message))

    def label(self, message: bytes) -> None:
        """Send a control message beside the stream: records are sent when they would be anyway."""
        self._check_process()
        self._socket.sendall(wire.frame(Channel.CONTROL, message))

    def request(self, message: bytes) -> bytes:
        """Send a control message and wait for its answer; raises as `ask` does."""
        with self.lock:
            self.tell(message)
            return self._answer()

    def output(self, parts: deque[bytes]) -> None:
        """Send what the submission printed, in this order, and take it out of the queue."""
        with self.lock:
            while parts:
                self._socket.sendall(wire.frame(Channel.OUTPUT, parts.popleft()))

    def _answer(self) -> bytes:
        try:
            _, payload = self._frames.receive()
        except ConnectionError:
            raise RemoteError("the evaluator has closed the connection") from None
        # Not checked: the host is the trusted side, and checks everything that comes from here.
        status, body = AnswerStatus(payload[0]), payload[1:]
        self.made_up = status is AnswerStatus.MADE_UP
        self.charged = status is AnswerStatus.CHARGED or self.made_up
        if status is AnswerStatus.OK or self.charged:
            return body
        text = body.decode(errors="replace")
        if status is AnswerStatus.REFUSED:
            raise Refusal(text, code="handle-operator")
        raise RemoteError(text + advice_on(text))

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise Refusal(ONE_PROCESS, code="handle-process")
