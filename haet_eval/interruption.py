"""SIGINT, SIGTERM and SIGHUP: the first asks the program to stop cleanly, the second ends it at once.

Signals belong to the whole process, and so does the state of this module.
"""

import atexit
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final

_SIGNALS: Final = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]  # Windows has no SIGHUP


@dataclass
class _SignalState:
    received: signal.Signals | None = None
    deferrals: int = 0


_state: Final = _SignalState()


@contextmanager
def listening(leave_at_once: Callable[[], object]) -> Iterator[None]:
    """In this block a first signal raises KeyboardInterrupt, or is deferred; a second calls the function.

    Signals that the program was started to ignore, as by nohup, stay ignored, and those that something else
    than Python handles stay with it.
    """

    def handle(number: int, _: FrameType | None) -> None:
        # Python runs handlers in the main thread only, between two instructions, so no lock is needed here.
        if _state.received is not None:
            leave_at_once()
        _state.received = signal.Signals(number)
        # An exception at any instruction could tear the count from its trace (decision 0082).
        if not _state.deferrals:
            raise KeyboardInterrupt

    # An earlier program in this process, as in a test, may have left its signal here.
    _state.received = None
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    # None is a handler that was not set by Python, and that Python cannot set again.
    heard = _heard()
    for number in heard:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])


def leave_quietly(leave: Callable[[], object]) -> None:
    """Call the function at a signal that comes outside of `listening`: while the program starts or ends.

    The same signals are left alone. Python itself would print a traceback, and end by the signal instead of
    with the program's status.
    """
    heard = _heard()
    for number in heard:
        signal.signal(number, lambda *_: leave())
    # When Python ends, it gives these signals their default back, and then frees all modules, which takes a
    # moment. Registered before all else, so that it runs last.
    atexit.register(_ignore, heard)


def _ignore(numbers: list[signal.Signals]) -> None:
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)


def _heard() -> list[signal.Signals]:
    """The signals that are neither ignored nor left to something else than Python."""
    return [number for number in _SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None)]


@contextmanager
def deferred() -> Iterator[None]:
    """In this block the first signal raises nothing until `check` is called: no step is left half done."""
    # Signals arrive in the main thread only. A block in another thread must not defer them for this one.
    handles_signals = threading.current_thread() is threading.main_thread()
    # A count and not a flag, because such blocks may be nested.
    _state.deferrals += handles_signals
    try:
        yield
    finally:
        _state.deferrals -= handles_signals


def received() -> signal.Signals | None:
    """The first signal, if one has come. It is the same in every thread."""
    return _state.received


def check() -> None:
    """A safe point: if a signal has come, the program may stop here.

    Raises:
        KeyboardInterrupt: a signal has come.
    """
    if _state.received is not None:
        raise KeyboardInterrupt
