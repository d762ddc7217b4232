"""Which lines of the submission have read values back, so that a used-up budget can name them."""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from haet_eval.remote.advice import MOST_READ, MOST_WAITED
from haet_eval.remote.client.link import Refusal, RemoteError
from haet_eval.remote.client.own_code import OwnCode

_MOST_LINES: Final = 3
_BUDGETS: Final = ("(readback_bytes)", "(prediction_readback_bytes)")
_WAITS: Final = "(timed_answers)"
"""What the host's reasons name, in haet_eval/remote/charges.py."""


@dataclass(slots=True)
class _ReadingLine:
    """What one line has read: bytes that depended on data, in so many reads, and how often it waited."""

    place: str
    text: str
    read_bytes: int = 0
    reads: int = 0
    waits: int = 0


class Readings:
    """Keeps the bytes that each line has read.

    Args:
        code: of the submission; if it is None, nothing is kept.
    """

    def __init__(self, code: OwnCode | None = None) -> None:
        self._code = code
        self._lines: dict[tuple[str, int], _ReadingLine] = {}

    def clear(self) -> None:
        """Begin anew: training and prediction have budgets of their own."""
        self._lines.clear()

    def add(self, read_bytes: int) -> None:
        """The running line has waited for an answer, and has read so many bytes that depended on data."""
        frame = self._code.frame() if self._code else None
        if frame is None or self._code is None:
            return
        path, number = frame.f_code.co_filename, frame.f_lineno
        line = self._lines.get((path, number))
        if line is None:
            line = self._lines[path, number] = _ReadingLine(
                self._code.name(path, number), self._code.text(path, number)
            )
        # Each wait counts, also one that reads nothing of the data: the budget of answers counts them all.
        line.waits += 1
        line.reads += read_bytes > 0
        line.read_bytes += read_bytes

    def explained(self, error: RemoteError, read_bytes: int) -> RemoteError:
        """The error; if a budget of reading is used up, with the lines that have read most."""
        reason = str(error)
        # A refused call has used up no budget, and its message says what to do already.
        if isinstance(error, Refusal):
            return error
        if any(budget in reason for budget in _BUDGETS):
            # The read that went beyond the budget was not answered, but belongs to its line.
            self.add(read_bytes)
            return self._naming(reason, MOST_READ, attrgetter("read_bytes"), _read)
        if _WAITS in reason:
            self.add(0)
            return self._naming(reason, MOST_WAITED, attrgetter("waits"), _waited)
        return error

    def _naming(
        self,
        reason: str,
        words: str,
        weight: Callable[[_ReadingLine], int],
        shown: Callable[[_ReadingLine], str],
    ) -> RemoteError:
        lines = sorted(filter(weight, self._lines.values()), key=weight, reverse=True)[:_MOST_LINES]
        told = "; ".join(f"{line.place} (`{line.text}`): {shown(line)}" for line in lines)
        return RemoteError(f"{reason} {words} {told}." if told else reason)


def _read(line: _ReadingLine) -> str:
    return f"{line.read_bytes:,} bytes, {_times(line.reads)}"


def _waited(line: _ReadingLine) -> str:
    return _times(line.waits)


def _times(count: int) -> str:
    return f"{count:,} time{'s' if count > 1 else ''}"
