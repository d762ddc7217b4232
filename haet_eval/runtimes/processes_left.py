"""How many processes and threads the user's limits and this process's control groups still let it start."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EAGAIN
from pathlib import Path

from haet_eval.errors import EnvironmentProblem

_MOUNT = Path("/sys/fs/cgroup")
_GROUPS = Path("/proc/self/cgroup")


@dataclass(frozen=True, slots=True)
class ProcessesLeft:
    """How many may still be started, and which limit says so."""

    number: int
    limit: str


def processes_left() -> ProcessesLeft | None:
    """The lowest of the limits; None if nothing limits them."""
    known = [*_left_to_the_user(), *left_in_groups(_MOUNT, _groups())]
    return min(known, key=lambda left: left.number, default=None)


@contextmanager
def naming_refused_processes() -> Iterator[None]:
    """A process is started in this block.

    Raises:
        EnvironmentProblem: the system refuses to start one.
    """
    try:
        yield
    except OSError as error:
        if error.errno != EAGAIN:
            raise
        raise EnvironmentProblem(
            f"this machine starts no more processes for haet-eval: {error.strerror}",
            "Allow more: see `ulimit -u`, and the limit of a container (--pids-limit) or service (TasksMax).",
            code="own-limit",
        ) from error


def _left_to_the_user() -> Iterator[ProcessesLeft]:
    import resource  # Windows does not have it, but haet-eval runs no submission there

    allowed = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    # The kernel does not hold root to it. What the user runs already would take a look at each process of the
    # machine, and is little where the limit is sensible.
    if allowed != resource.RLIM_INFINITY and os.geteuid() != 0:
        yield ProcessesLeft(allowed, "run it where `ulimit -Hu` says unlimited, or enough")


def _groups() -> str:
    try:
        return _GROUPS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def left_in_groups(mount: Path, groups: str) -> Iterator[ProcessesLeft]:
    """What each control group leaves that holds this process, whether directly or by another group.

    Args:
        mount: where the control groups are mounted.
        groups: the lines of `/proc/self/cgroup`.
    """
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        # Version 1 has a tree of its own for processes; version 2 has one line, which names no controllers.
        if controllers not in ("", "pids"):
            continue
        root = mount / controllers
        group = root / path.lstrip("/")
        # A group outside of this container's view is shown with "..", and has no folder here.
        for folder in [group, *group.parents] if ".." not in group.parts else []:
            if folder.is_relative_to(root):
                yield from _left_in(folder)


def _left_in(group: Path) -> Iterator[ProcessesLeft]:
    try:
        # "max" means that there is no limit; the group at the root of the machine has no such files.
        allowed, used = (int((group / name).read_text()) for name in ("pids.max", "pids.current"))
    except (OSError, ValueError):
        return
    yield ProcessesLeft(max(0, allowed - used), f"{group}/pids.max is {allowed:,}, and {used:,} run already")
