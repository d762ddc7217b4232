"""Waiting for bytes: awake while they are about to come, asleep otherwise."""

import os
import socket
import time
from typing import Final

_SOON_SECONDS: Final = 200e-6


class Receiver:
    """Receives from a socket that may block.

    To wake a process that sleeps takes the kernel some 40 µs, in a virtual machine more, and a value that is
    read back wakes four in turn. So a wait begins awake if the last one was short: the answer to a read
    mostly comes within the next 200 µs. After a wait that was longer, the next one sleeps at once, so a
    process that waits for long kernels takes no processor time from them.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._soon = False

    def into(self, room: memoryview) -> int:
        """Receive at least one byte; returns how many, and 0 at the end of the stream.

        Raises:
            BlockingIOError: the socket has a timeout, and it has passed.
        """
        began = time.monotonic()
        end = began + _SOON_SECONDS
        while self._soon:
            try:
                return self._socket.recv_into(room, 0, socket.MSG_DONTWAIT)
            except BlockingIOError:
                # On a machine with few cores the process that is to answer may wait for this one.
                os.sched_yield()
                self._soon = time.monotonic() < end
        count = self._socket.recv_into(room)
        self._soon = time.monotonic() < end
        return count
