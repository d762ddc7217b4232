"""stdout and stderr that may break at any time: what cannot be shown is lost, and nothing else with it."""

import errno
import io
import os
import sys
from collections.abc import Callable
from typing import Any, Final

_STANDARD: Final = (0, 1, 2)
_closed: Final[set[int]] = set()
_demanded: Final[set[int]] = set()


class StdoutClosed(OSError):
    """Whoever started the program has closed its stdout, so a result that is written there is lost."""

    def __init__(self) -> None:
        super().__init__(errno.EBADF, "stdout is closed")


class _Closed(io.FileIO):
    """Takes the place of a stdout that was closed: it loses texts, and says so if data were demanded."""

    def write(self, data: Any) -> int:
        if 1 in _demanded:
            raise StdoutClosed
        return len(data)


class _Lossy(io.FileIO):
    """Loses what cannot be written: the reader is gone, the disk is full, or the terminal was closed."""

    def write(self, data: Any) -> int:
        try:
            written = super().write(data)
        except OSError:
            return len(data)
        return len(data) if written is None else written


def hold_streams() -> None:
    """Let no message on stderr raise, and no file that is opened later stand for a stream that was closed.

    Messages come at any moment of an evaluation, from any thread and from libraries too. Call it once, before
    anything is printed.
    """
    for number in _STANDARD:
        try:
            os.fstat(number)
        except OSError:  # closed by whoever started the program, as by `2>&-`
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
            _closed.add(number)
    if sys.stdout is None:
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(_Closed(1, "wb", closefd=False)))
    if os.name == "nt":  # its console is no file of bytes
        return
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
        drop_stdout()
        return error.strerror or "the reader is gone"
    return "stdout is closed" if 1 in _closed else ""


def drop_stdout() -> None:
    """Lose what is still to be written: Python flushes stdout at exit, and would complain once more."""
    _demanded.discard(1)
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return  # it is no file
