"""One end of a stream socket that speaks in frames, and never blocks for longer than a blink."""

import select
import socket
import struct
import time
from collections import deque
from collections.abc import Callable

from haet_eval.remote.receiving import Receiver
from haet_eval.remote.wire import FRAME, MAX_FRAME_BYTES, Channel, WireError

_BLINK_SECONDS = 0.1
_BLINK = struct.pack("ll", 0, round(_BLINK_SECONDS * 1e6))
"""As the kernel wants it: seconds and microseconds."""
_CHUNK_BYTES = 1 << 20
_SMALL_BYTES = 1 << 16


class Disconnected(Exception):
    """The other side has closed the connection."""


class Connection:
    """Sends and receives whole frames.

    `idle` is called about ten times a second while a frame is incomplete, even if no byte arrives. It may
    raise an error to stop waiting. So a submission that sends half a frame cannot block the host beyond its
    time.

    With `ahead_bytes`, `send` returns at once and keeps up to that many bytes that the other side has not
    taken yet. They are sent while this connection is used or waits, and while a connection waits whose
    `other` is this one. If there are more bytes, `send` waits until half of them are gone, and `stalls`
    counts the wait. It waits for half and not for the first free byte, so that waits are few: the time of
    each can depend on data, and each is charged to the submission.
    """

    def __init__(
        self, sock: socket.socket, idle: Callable[[], None] = lambda: None, *, ahead_bytes: int = 0
    ) -> None:
        self._socket = sock
        self._receiver = Receiver(sock)
        self._buffer = bytearray()
        self._room = memoryview(bytearray(_CHUNK_BYTES))
        self._ahead_bytes = ahead_bytes
        self._unsent: deque[memoryview] = deque()
        self._unsent_bytes = 0
        self._writable = select.poll()
        self._writable.register(sock, select.POLLOUT)
        # Not `select.select`, which takes no descriptor above 1,023.
        self._arriving = select.poll()
        self._arriving.register(sock, select.POLLIN)
        self.stalls = 0
        self.other = self
        self._idled = time.monotonic()
        self.idle = idle
        # The kernel ends a wait after a blink. With a timeout of Python's, each call would be two.
        sock.setblocking(True)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _BLINK)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _CHUNK_BYTES)

    def send(self, channel: Channel, payload: bytes | bytearray | memoryview) -> None:
        """Send one frame.

        Raises:
            Disconnected: the other side is gone.
        """
        header = FRAME.pack(len(payload), channel)
        # A small frame leaves in one system call; a large payload is not worth a copy.
        parts = [header + payload] if len(payload) < _SMALL_BYTES else [header, payload]
        self._unsent.extend(map(memoryview, parts))
        self._unsent_bytes += len(header) + len(payload)
        self._flush()
        if self._unsent_bytes > self._ahead_bytes:
            self.stalls += 1
            # `idle` takes the answers of the executor in the meantime. If nobody read them, an executor that
            # waits for room to answer would take no more records, and both sides would wait for ever.
            while self._unsent_bytes > self._ahead_bytes // 2:
                self._writable.poll(_BLINK_SECONDS * 1000)
                self._flush()
                if self._unsent_bytes:
                    self._wait()

    def _flush(self) -> None:
        """Send as much as the other side takes without waiting."""
        while self._unsent:
            view = self._unsent[0]
            try:
                # The socket is in blocking mode, so each call says for itself that it must not wait.
                sent = self._socket.send(view, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError as error:
                raise Disconnected(str(error)) from None
            self._unsent_bytes -= sent
            if sent == len(view):
                self._unsent.popleft()
            else:
                self._unsent[0] = view[sent:]

    def receive(self) -> tuple[Channel, bytes]:
        """The next frame.

        Raises:
            Disconnected: the other side is gone.
            WireError: a frame that is too long or of an unknown channel.
        """
        self._fill(FRAME.size)
        length, number = FRAME.unpack_from(self._buffer)
        # Checked before the payload is awaited: the header may announce 4 GiB, which would fill the host's
        # memory.
        if length > MAX_FRAME_BYTES:
            raise WireError(f"a frame of {length} bytes")
        try:
            channel = Channel(number)
        except ValueError:
            raise WireError(f"a frame of the unknown channel {number}") from None
        self._fill(FRAME.size + length)
        payload = bytes(memoryview(self._buffer)[FRAME.size : FRAME.size + length])
        del self._buffer[: FRAME.size + length]
        return channel, payload

    def has_received(self) -> bool:
        """Whether the next frame has begun to arrive: then `receive` need not wait for the other side."""
        return bool(self._buffer or self._arriving.poll(0))

    def _fill(self, length: int) -> None:
        while len(self._buffer) < length:
            # The other connection may hold unsent bytes for the very side that must answer here: without
            # sending them while waiting, both sides would wait for ever.
            if self.other._unsent and not self._readable():
                self._wait()
                continue
            try:
                count = self._receiver.into(self._room)
            except BlockingIOError:
                self._wait()
                continue
            except OSError as error:
                raise Disconnected(str(error)) from None
            if not count:
                raise Disconnected("end of stream")
            self._buffer += self._room[:count]
            # Other bytes may follow at once, so that no receive ever times out. The watch must look all the
            # same: a side that sends single bytes could otherwise outlast its time.
            if len(self._buffer) < length:
                self._wait()

    def _readable(self) -> bool:
        """Whether bytes have arrived here; meanwhile send what the other connection's side takes."""
        ours, theirs = self._socket.fileno(), self.other._socket.fileno()
        poll = select.poll()
        poll.register(theirs, select.POLLOUT)
        # A descriptor has one entry in a poll: the second registration replaces the first.
        poll.register(ours, select.POLLIN | (select.POLLOUT if ours == theirs else 0))
        ready = dict(poll.poll(_BLINK_SECONDS * 1000))
        if theirs in ready:
            self.other._flush_or_forget()
        # An end or an error counts as readable too: the receive that follows reports it.
        return bool(ready.get(ours, 0) & ~select.POLLOUT)

    def _flush_or_forget(self) -> None:
        """As `_flush`, but without an error if the other side is gone: the next send or receive raises it.

        An error here would be raised to a caller that waits for another connection.
        """
        try:
            self._flush()
        except Disconnected:
            self._unsent.clear()
            self._unsent_bytes = 0

    def _wait(self) -> None:
        now = time.monotonic()
        if now - self._idled >= _BLINK_SECONDS:
            self._idled = now
            self.idle()

    def close(self) -> None:
        self._socket.close()
