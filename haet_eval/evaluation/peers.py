"""Nodes of a native run that hand in nothing: each is listened to in a thread of its own."""

import threading
from typing import Final

from haet_eval.errors import SubmissionFailure
from haet_eval.native.node import Node
from haet_eval.remote.relay import SubmissionLost

HEARSAY_SECONDS: Final = 0.5
"""How long the news of another node may be on its way."""


class _Stopped(Exception):
    """Nobody waits for this node any more."""


class Peer:
    """A node that hands in nothing, listened to in a thread of its own."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.failure: SubmissionFailure | SubmissionLost | None = None
        self._finished = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def begin(self) -> None:
        """Let it train, and listen."""
        self.node.begin()
        self.node.connection.idle = self._idle
        self._thread.start()

    def has_finished(self) -> bool:
        """Whether a node whose worker has ended had returned from `train`: the news may be on its way."""
        if self._thread.ident is not None:
            self._thread.join(HEARSAY_SECONDS)
        return self._finished

    def stop(self) -> None:
        """Listen no more."""
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
        except (SubmissionFailure, SubmissionLost) as failure:
            self.failure = failure
        except _Stopped:
            return
