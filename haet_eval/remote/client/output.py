"""What the submission prints travels to the host over the link, and nowhere else."""

import os
import sys
import threading
from typing import Final, Protocol

_CHUNK_BYTES: Final = 1 << 16


class Link(Protocol):
    """Where the output goes."""

    def output(self, text: bytes) -> None: ...


class OutputCapture:
    """Redirects file descriptors 1 and 2 of this process into the link until it is closed."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._saved = (os.dup(1), os.dup(2))
        self._source, sink = os.pipe()
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        os.close(sink)
        sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
        self._thread = threading.Thread(target=self._forward, daemon=True)
        self._thread.start()

    def _forward(self) -> None:
        while part := os.read(self._source, _CHUNK_BYTES):
            try:
                self._link.output(part)
            except OSError:
                return

    def close(self) -> None:
        """Put the descriptors back and send what is left."""
        sys.stdout.flush()
        sys.stderr.flush()
        for number, saved in zip((1, 2), self._saved, strict=True):
            os.dup2(saved, number)
            os.close(saved)
        self._thread.join(timeout=5)
