"""What the submission prints travels to the host over the link, and nowhere else."""

import os
import select
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

_CHUNK_BYTES: Final = 1 << 16


Drain: TypeAlias = Callable[[], None]
"""Sends the output so far."""


class OutputLink(Protocol):
    """Where the output goes. A link calls `drain` before it sends a message."""

    drain: Drain

    def output(self, parts: deque[bytes]) -> None:
        """Send these parts in their order, and take them out of the queue."""


def nothing_printed() -> None:
    """The drain of a link whose output is not captured."""


class OutputCapture:
    """Redirects file descriptors 1 and 2 of this process into the link until it is closed.

    A thread forwards the output as it comes. The system may not run that thread for seconds, so the link
    drains the pipe before each message: the host has the output of a training before it hears that the
    training is over. Reading does not wait for the link: the thread that holds the link may print, and wait
    for room in the pipe.
    """

    def __init__(self, link: OutputLink) -> None:
        self._link = link
        self._unsent: deque[bytes] = deque()
        self._reading = threading.Lock()
        # Descriptors and not only sys.stdout: libraries in C and child processes print past Python.
        self._saved = (os.dup(1), os.dup(2))
        self._source, sink = os.pipe()
        # Two threads read: one of them would wait for ever for what the other has taken.
        os.set_blocking(self._source, False)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        # Descriptors 1 and 2 alone keep the pipe open: when they are put back, the reader sees its end.
        os.close(sink)
        # Line by line, so that output keeps its place between messages. "replace", because a lone surrogate
        # in a print must not end a training.
        sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._forward, daemon=True)
        self._thread.start()
        link.drain = self.drain

    def drain(self) -> None:
        """Send the output so far. A child of a fork leaves that to its parent."""
        # A child that reads takes output out of the pipe that it cannot send.
        if os.getpid() == self._process:
            while self._read():
                pass
            self._link.output(self._unsent)

    def _forward(self) -> None:
        ready = select.poll()
        ready.register(self._source, select.POLLIN)
        try:
            while ready.poll() and self._read() is not None:
                self._link.output(self._unsent)
        except OSError:
            return

    def _read(self) -> bool | None:
        """Take a part out of the pipe. False: it is empty; None: nobody can write to it any more."""
        # Reading and queueing are one step, or two threads could queue parts in another order.
        with self._reading:
            try:
                part = os.read(self._source, _CHUNK_BYTES)
            except BlockingIOError:
                return False
            if not part:
                return None
            self._unsent.append(part)
            return True

    def close(self) -> None:
        """Put the descriptors back and send the rest of the output."""
        # Into the pipe, before descriptor 1 is another file again.
        sys.stdout.flush()
        sys.stderr.flush()
        for number, saved in zip((1, 2), self._saved, strict=True):
            os.dup2(saved, number)
            os.close(saved)
        self.drain()
