"""Reads whole frames from a socket that may block: the workers' end of their connections."""

import math
import socket
from typing import Final

from haet_eval.remote.receiving import Receiver
from haet_eval.remote.wire import FRAME

_ROOM_BYTES: Final = 1 << 20


class FrameReader:
    """Takes from the socket what has arrived, a megabyte at most, and keeps what follows the next frame.

    `awake_seconds`: see `Receiver`.
    """

    def __init__(self, sock: socket.socket, awake_seconds: float = math.inf) -> None:
        self._receiver = Receiver(sock, awake_seconds)
        self._room = memoryview(bytearray(_ROOM_BYTES))
        self._buffer = bytearray()

    def receive(self) -> tuple[int, bytes]:
        """The next frame: the number of its channel, and its payload. Waits until all of it is there.

        Raises:
            ConnectionError: the other side has closed the connection.
        """
        self._fill(FRAME.size)
        length, channel = FRAME.unpack_from(self._buffer)
        end = FRAME.size + length
        # No limit on the length: the other side is the host, which both workers may trust.
        self._fill(end)
        # A slice of the bytearray itself would be copied twice.
        payload = bytes(memoryview(self._buffer)[FRAME.size : end])
        del self._buffer[:end]
        return channel, payload

    def _fill(self, length: int) -> None:
        while len(self._buffer) < length:
            count = self._receiver.into(self._room)
            if not count:
                raise ConnectionResetError("end of stream")
            self._buffer += self._room[:count]
