"""A node's end of the connection to the host."""

import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from haet_eval.native.messages import ToNode, to_node
from haet_eval.remote import wire
from haet_eval.remote.client.output import Drain, nothing_printed
from haet_eval.remote.frames import FrameReader
from haet_eval.remote.messages import Message
from haet_eval.remote.wire import Channel

_Asked = TypeVar("_Asked", bound=ToNode)


class HostLink:
    """Sends whole frames, from any thread, and receives the requests of the host."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._frames = FrameReader(sock)
        self._lock = threading.RLock()
        self.drain: Drain = nothing_printed

    def tell(self, message: Message) -> None:
        """Send a message, after the output that was printed before it."""
        # Before the lock is taken: the drain sends through this link as well.
        self.drain()
        self.send(Channel.CONTROL, message.encode())

    @contextmanager
    def alone(self) -> Iterator[None]:
        """In this block no other thread sends.

        So a report of another thread does not come between a message and the blocks that belong to it.
        """
        with self._lock:
            yield

    def blocks(self, content: bytes) -> None:
        """Send the content that belongs to the message before."""
        for block in wire.blocks(content):
            self.send(Channel.BLOCK, block)

    def output(self, parts: deque[bytes]) -> None:
        """Send output of the submission, in this order, and take it out of the queue."""
        # Held for the whole queue, so that another thread's frame does not change the order of the output.
        with self._lock:
            while parts:
                self._socket.sendall(wire.frame(Channel.OUTPUT, parts.popleft()))

    def send(self, channel: Channel, payload: bytes) -> None:
        """Send one frame."""
        with self._lock:
            self._socket.sendall(wire.frame(channel, payload))

    def expect(self, kind: type[_Asked]) -> _Asked:
        """The next message of the host, which must be of this kind."""
        # An assertion is enough here: whoever reads or writes this socket in the submission's process harms
        # its own run.
        message = to_node(self._frames.receive()[1])
        assert isinstance(message, kind)
        return message

    def fill(self, target: memoryview) -> None:
        """Write the next blocks into the target (bytes) until it is full."""
        place = 0
        while place < len(target):
            _, block = self._frames.receive()
            target[place : place + len(block)] = block
            place += len(block)
