"""The worker's own process in its container, as this machine's table of processes shows it."""

import psutil

_WATCHMAN = "timeout"
"""The name of process 1 of each container, see `deadline_command`."""


class MainProcess:
    """The oldest child of a container's process 1, and that process itself.

    Another OCI runtime may hide the processes, and another namespace may give the number to a foreign one. So
    nothing is said unless the number is that of the program which process 1 must be.

    Args:
        pid: the number of process 1 on this machine, by the engine's word.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._watchman: psutil.Process | None = None
        self._main: psutil.Process | None = None

    def watchman_is_stopped(self) -> bool:
        """Whether process 1 is stopped. Only a process outside of the container can do that."""
        return _is_stopped(self._find_watchman())

    def is_stopped(self) -> bool:
        """Whether the worker's own process is stopped. One that a debugger holds has another status."""
        if self._main is None and (watchman := self._find_watchman()):
            self._main = _oldest_child(watchman)
        return _is_stopped(self._main)

    def _find_watchman(self) -> psutil.Process | None:
        # The container may have started a moment ago, with a process 1 that is still the engine's program.
        if self._watchman is None:
            try:
                found = psutil.Process(self._pid)
                self._watchman = found if found.name() == _WATCHMAN else None
            except (psutil.Error, ValueError):  # it has ended, or there is no such number
                return None
        return self._watchman


def _oldest_child(process: psutil.Process) -> psutil.Process | None:
    """The others are processes whose parent has ended."""
    try:
        return min(process.children(), key=psutil.Process.create_time, default=None)
    except psutil.Error:
        return None


def _is_stopped(process: psutil.Process | None) -> bool:
    try:
        return process is not None and process.status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return False
