"""One end of a stream socket that speaks in frames, and is never blocked for longer than a blink."""

import socket
import time
from collections.abc import Callable

from haet_eval.remote.wire import FRAME, MAX_FRAME_BYTES, Channel, WireError

_BLINK_SECONDS = 0.1
_CHUNK_BYTES = 1 << 20


class Disconnected(Exception):
    """The other side has closed the connection."""


class Connection:
    """Sends and receives whole frames.

    `idle` is called about ten times a second while a frame is not yet whole, whether bytes trickle or nothing
    moves at all, and may raise to give up waiting.
    """

    def __init__(self, sock: socket.socket, idle: Callable[[], None] = lambda: None) -> None:
        self._socket = sock
        self._buffer = bytearray()
        self._idled = time.monotonic()
        self.idle = idle
        sock.settimeout(_BLINK_SECONDS)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * _CHUNK_BYTES)

    def send(self, channel: Channel, payload: bytes | bytearray | memoryview) -> None:
        """Send one frame.

        Raises:
            Disconnected: the other side is gone.
        """
        self._send_all(FRAME.pack(len(payload), channel))
        self._send_all(payload)

    def _send_all(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self._socket.send(view) :]
            except TimeoutError:
                pass
            except OSError as error:
                raise Disconnected(str(error)) from None
            if view:
                self._wait()

    def receive(self) -> tuple[Channel, bytes]:
        """The next frame.

        Raises:
            Disconnected: the other side is gone.
            WireError: a frame that is too long or of an unknown channel.
        """
        self._fill(FRAME.size)
        length, number = FRAME.unpack_from(self._buffer)
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

    def _fill(self, length: int) -> None:
        while len(self._buffer) < length:
            try:
                part = self._socket.recv(_CHUNK_BYTES)
            except TimeoutError:
                self._wait()
                continue
            except OSError as error:
                raise Disconnected(str(error)) from None
            if not part:
                raise Disconnected("end of stream")
            self._buffer += part
            if len(self._buffer) < length:
                self._wait()

    def _wait(self) -> None:
        now = time.monotonic()
        if now - self._idled >= _BLINK_SECONDS:
            self._idled = now
            self.idle()

    def close(self) -> None:
        self._socket.close()
