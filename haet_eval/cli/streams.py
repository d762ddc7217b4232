"""stdout and stderr that may break at any time: what cannot be shown is lost, and nothing else with it."""

import io
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from haet_eval.interruption import received

_STANDARD: Final = (0, 1, 2)
_closed: Final[set[int]] = set()
_demanded: Final[set[int]] = set()
_not_waiting: Final[list[bool]] = []
# Well below the five seconds after which the watch takes a pause of ours for a stop (decision 0053).
_PATIENCE_SECONDS: Final = 1.0
# POSIX: a pipe that `select` calls writable takes 512 bytes (the least PIPE_BUF) without blocking.
_PIECE_BYTES: Final = 512


class ResultLost(OSError):
    """A result could not be written to stdout; `strerror` says why.

    It has no `errno`: click would end the program with 1 where stdout has EPIPE, and 1 is a verdict.

    Attributes:
        reader_left: whoever read the result has left, as `head` does.
    """

    def __init__(self, why: str, *, reader_left: bool = False) -> None:
        super().__init__(why)
        self.strerror = why
        self.reader_left = reader_left


class _Closed(io.FileIO):
    """Takes the place of a stdout that was closed: it loses texts, and says so if data were demanded."""

    def write(self, data: Any) -> int:
        # Whoever writes `>&-` wants no text. A program that asked for data must not take nothing for an
        # answer.
        if 1 in _demanded:
            raise ResultLost("stdout is closed")
        return len(data)


class _Open(io.FileIO):
    """stdout: what cannot be written raises `ResultLost`, so that nobody takes it for another file.

    Whoever shares a pipe or a terminal may have made it non-blocking. Python would lose what does not fit
    without a word, so this waits for the reader.
    """

    def write(self, data: Any) -> int:
        try:
            # FileIO returns None if a non-blocking file takes nothing now.
            while (written := super().write(data)) is None:
                select.select([], [self], [])
        except OSError as error:
            left = isinstance(error, BrokenPipeError | ConnectionResetError)
            # A bare OSError would look like the failure of any other file.
            raise ResultLost(error.strerror or "unknown error", reader_left=left) from None
        return written


class _Lossy(io.FileIO):
    """Loses what cannot be written: the reader is gone, the disk is full, or the terminal was closed.

    In `not_waiting`, and after a signal, it also loses what nobody takes for a while. Then it writes in
    pieces: if a reader has left any room, one of these fits.
    """

    _is_stuck = False

    def write(self, data: Any) -> int:
        left = memoryview(data)
        # stderr must never raise: messages come from inside of an evaluation, which must not end by them.
        while left and self._may_write():
            try:
                written = super().write(left[:_PIECE_BYTES] if _in_haste() else left)
            except OSError:
                break
            if written is None:
                break
            left = left[written:]
        # All is reported as written. Otherwise the buffer above would keep it and try again at exit.
        return len(data)

    def _may_write(self) -> bool:
        """Whether a write waits for nobody, or may wait. Who was waited for in vain gets no more."""
        if not _in_haste():
            return True
        # Without this memory each message of a stalled terminal would hold the evaluation for a second.
        self._is_stuck = not _takes_more(self.fileno(), 0 if self._is_stuck else _PATIENCE_SECONDS)
        return not self._is_stuck


def _in_haste() -> bool:
    """Whether no message may wait for its reader. A program that was asked to end must not wait either."""
    return bool(_not_waiting) or received() is not None


def _takes_more(descriptor: int, patience_seconds: float) -> bool:
    """Whether the reader of this pipe or terminal has left room, or has gone."""
    return bool(select.select([], [descriptor], [], patience_seconds)[1])


@contextmanager
def not_waiting() -> Iterator[None]:
    """In this block no message on stderr waits long for a pager or a terminal that takes nothing."""
    # A list and not a flag: the blocks of a batch and of a check may lie within each other.
    _not_waiting.append(True)
    try:
        yield
    finally:
        _not_waiting.pop()


def write_last_words(text: str) -> None:
    """Write on stderr without waiting for anybody, from a signal handler too."""
    with suppress(OSError):  # nobody reads it
        # Straight to the descriptor: a signal may have come while the buffer of stderr was locked. On Windows
        # `select` knows sockets only.
        if os.name == "nt" or _takes_more(2, 0):
            os.write(2, text.encode())


def hold_streams() -> None:
    """Let no message on stderr raise, and no file that is opened later stand for a stream that was closed.

    A result that is lost on stdout raises `ResultLost`.

    Messages come at any moment of an evaluation, from any thread and from libraries too. Call it once, before
    anything is printed.
    """
    for number in _STANDARD:
        try:
            os.fstat(number)
        except OSError:  # closed by whoever started the program, as by `2>&-`
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
            os.set_inheritable(number, True)  # processes that we start must not lack it either
            _closed.add(number)
    # Python sets a stream to None if its descriptor was closed when it started.
    if sys.stdout is None:
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(_Closed(1, "wb", closefd=False)))
    # `closefd=False`: the old stream shares the descriptor, and closing one must not close the other.
    elif os.name != "nt":  # its console is no file of bytes
        old = sys.stdout
        assert isinstance(old, io.TextIOWrapper)
        raw = io.BufferedWriter(_Open(1, "wb", closefd=False))
        sys.stdout = io.TextIOWrapper(
            raw, old.encoding, old.errors, line_buffering=old.line_buffering, write_through=old.write_through
        )
    if os.name == "nt":
        return
    # Built anew although Python has one: only the raw layer sees a failed write before it raises.
    encoding, errors = (sys.stderr.encoding, sys.stderr.errors) if sys.stderr else (None, "backslashreplace")
    lossy = io.BufferedWriter(_Lossy(2, "wb", closefd=False))
    sys.stderr = io.TextIOWrapper(lossy, encoding, errors, line_buffering=True)


def demand_stdout() -> None:
    """Call this before data for another program is printed: if stdout was closed, that is a failure.

    Whoever closes stdout wants no text for people; a program that asks for JSON waits for it.
    """
    _demanded.add(1)


def deliver(show: Callable[[], object]) -> str:
    """Show a result on stdout. Returns why it did not get there, or nothing; nothing is raised for that."""
    try:
        show()
        sys.stdout.flush()
    except OSError as error:
        # Otherwise the rest of the buffer would be written at exit and fail once more.
        drop_stdout()
        return error.strerror or "the reader is gone"
    return "stdout is closed" if 1 in _closed else ""


def drop_stdout() -> None:
    """Lose what is still to be written: Python flushes stdout at exit, and would complain once more."""
    # What is written from now on is lost on purpose.
    _demanded.discard(1)
    try:
        # The number stays taken, so no file that is opened later becomes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return  # it is no file
