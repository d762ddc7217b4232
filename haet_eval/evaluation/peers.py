"""The nodes of a native run that do not return the model. The host reads each in a thread of its own."""

import threading
from typing import Final

from haet_eval.native.node import Node

HEARSAY_SECONDS: Final = 0.5
"""How long a message of another node may be on its way."""


class _Stopped(Exception):
    """Nobody waits for this node any more."""


class Peer:
    """A node that does not return the model, read in a thread of its own.

    Without a thread, a failure of this node would be seen only after node 0, which may wait for it for ever.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.failure: Exception | None = None
        self._finished = False
        self._stop = threading.Event()
        # A daemon, so that a node that never answers does not keep haet-eval alive.
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def begin(self) -> None:
        """Let the node train, and read its messages."""
        self.node.begin()
        # Before the thread reads: until now the connection called the watch, which belongs to the main
        # thread.
        self.node.connection.idle = self._idle
        self._thread.start()

    def has_finished(self) -> bool:
        """Whether a node whose worker has ended had returned from `train`. The message may be on its way."""
        # A thread that was never started cannot be joined: a run may end before its peers begin.
        if self._thread.ident is not None:
            self._thread.join(HEARSAY_SECONDS)
        return self._finished

    def stop(self) -> None:
        """Stop reading."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _idle(self) -> None:
        if self._stop.is_set():
            raise _Stopped

    def _listen(self) -> None:
        try:
            self.node.finish()
            self._finished = True
        except _Stopped:
            return
        # Any error: one that ended this thread silently would end the run at its time limit.
        except Exception as failure:
            self.failure = failure
