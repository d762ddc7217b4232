"""The output of a submission: the beginning and the end are kept, the bytes between are only counted."""

from dataclasses import dataclass, field
from typing import Final

from haet_eval.errors import SubmissionFailure, Verdict

KEPT_BYTES: Final = 16 << 10


@dataclass(slots=True)
class OutputLog:
    """Takes any amount of bytes and keeps KEPT_BYTES from each end."""

    total_bytes: int = 0
    _head: bytearray = field(default_factory=bytearray)
    _tail: bytearray = field(default_factory=bytearray)

    def add(self, part: bytes) -> None:
        self.total_bytes += len(part)
        room = KEPT_BYTES - len(self._head)
        self._head += part[:room]
        self._tail += part[max(room, 0) :]
        del self._tail[:-KEPT_BYTES]

    def clear(self) -> None:
        """Forget everything."""
        self.total_bytes = 0
        self._head.clear()
        self._tail.clear()

    def add_printed(self, part: bytes, most_bytes: int) -> None:
        """Take more output of the submission.

        Raises:
            SubmissionFailure: the whole output is longer than `most_bytes`.
        """
        self.add(part)
        if self.total_bytes > most_bytes:
            raise SubmissionFailure(
                Verdict.LIMIT_OUTPUT,
                f"The submission printed more than {most_bytes:,} bytes. Print less, or use task.report.",
                code="limit-output",
            )

    @property
    def head(self) -> str:
        return self._head.decode(errors="replace")

    @property
    def tail(self) -> str:
        return self._tail.decode(errors="replace")

    @property
    def dropped_bytes(self) -> int:
        return self.total_bytes - len(self._head) - len(self._tail)
