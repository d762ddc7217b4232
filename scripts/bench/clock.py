"""CPU time of single functions, and of a training inside and outside of its dispatch mode."""

import time
from collections.abc import Callable
from functools import cache
from types import TracebackType
from typing import Any, Self

# This file is sent to the submission's process, so it imports nothing of the package.
REPEATS = 5
_CALIBRATION_CALLS = 20_000


class Clock:
    """Adds up this thread's CPU time in the function `name` of `owner`, less what reading the clock costs."""

    def __init__(self, owner: Any, name: str) -> None:
        self._owner, self._name = owner, name
        self._function: Callable[..., Any] = getattr(owner, name)
        self._nanoseconds = 0
        self.calls = 0

    def __enter__(self) -> Self:
        # Local names: a look-up of attributes would add to the time.
        function, now = self._function, time.thread_time_ns

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = now()
            try:
                return function(*args, **kwargs)
            finally:
                # Thread time leaves out other threads and what else the machine does.
                self._nanoseconds += now() - start
                self.calls += 1

        setattr(self._owner, self._name, timed)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        setattr(self._owner, self._name, self._function)

    @property
    def raw_seconds(self) -> float:
        """With the cost of the clock."""
        return self._nanoseconds / 1e9

    @property
    def seconds(self) -> float:
        return self.raw_seconds - self.calls * clock_seconds()


@cache
def clock_seconds() -> float:
    """What a call of a function that does nothing takes by this clock."""

    class Idle:
        @staticmethod
        def call(*_: Any) -> None: ...

    # A function that does nothing is measured through the same wrapper, so its time is the wrapper's.
    with Clock(Idle, "call") as clock:
        for _ in range(_CALIBRATION_CALLS):
            Idle.call(None)
    return clock.raw_seconds / clock.calls


def measure(take_steps: Callable[[], Any], mode: type, report: Callable[..., Any]) -> None:
    """Take the steps 1 + 2 × REPEATS times and report CPU seconds of this process after each.

    First `total`, undisturbed, then `inside`: the time spent in the mode's `__torch_dispatch__`.
    """
    # Once without a clock: the first call defines templates and fills caches.
    take_steps()
    report(total=0.0)
    for _ in range(REPEATS):
        start = time.process_time()
        take_steps()
        report(total=time.process_time() - start)
    # In a loop of its own, because the clock in the mode makes the total longer.
    for _ in range(REPEATS):
        with Clock(mode, "__torch_dispatch__") as clock:
            take_steps()
        report(inside=clock.seconds)
