"""Waiting for bytes: awake while they are about to come, asleep otherwise."""

import math
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

    `awake_seconds` is the most that all waits together may be awake. After that each one sleeps.
    """

    def __init__(self, sock: socket.socket, awake_seconds: float = math.inf) -> None:
        self._socket = sock
        self._soon = False
        self._awake_seconds = awake_seconds

    def into(self, room: memoryview) -> int:
        """Receive at least one byte; returns how many, and 0 at the end of the stream.

        Raises:
            BlockingIOError: the socket has a timeout, and it has passed.
        """
        began = time.monotonic()
        if self._soon and self._awake_seconds > 0:
            count = self._awake(room, began + _SOON_SECONDS)
            self._awake_seconds -= time.monotonic() - began
            if count is not None:
                return count
        count = self._socket.recv_into(room)
        self._soon = time.monotonic() < began + _SOON_SECONDS
        return count

    def _awake(self, room: memoryview, end: float) -> int | None:
        """Receive what comes by then; None if nothing does."""
        while True:
            try:
                return self._socket.recv_into(room, 0, socket.MSG_DONTWAIT)
            except BlockingIOError:
                # On a machine with few cores the process that is to answer may wait for this one.
                os.sched_yield()
                if time.monotonic() >= end:
                    return None
