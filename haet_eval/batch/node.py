"""The machine of a run: whether it may make the run, and the lock that keeps other runs away."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from haet_eval import __version__
from haet_eval.batch.job import Order
from haet_eval.competition import load_competition
from haet_eval.errors import EnvironmentProblem
from haet_eval.runtimes.image_files import build_context

_LOCK: Final = Path("/tmp/haet-eval.node.lock")  # noqa: S108 one for all users and jobs, wherever their TMPDIR is


class NodeProblem(EnvironmentProblem):
    """This machine cannot make such a run, but another may. `address` is its worker's in a cluster."""

    def __init__(self, message: str, hint: str = "", address: str = "", *, code: str) -> None:
        super().__init__(message, hint, code=code)
        self.address = address

    @property
    def passes(self) -> bool:
        """Whether the same machine can make the run later: it is only busy now."""
        return self.code == "node-busy"


def check_node(order: Order, competition: str) -> None:
    """Check that this machine judges like the one that planned. The evaluation checks everything else itself.

    Raises:
        NodeProblem: its haet-eval, its rules or its sandbox image differ.
    """
    # The sources and not the version: between two releases both machines may state the same version.
    if build_context().digest != order.sources:
        raise NodeProblem(
            f"its haet-eval ({__version__}) has other sources than the one that planned the batch",
            "install the same haet-eval there",
            code="node-sources",
        )
    # An organizer's rules travel with the order, but built-in ones are those that are installed here.
    if load_competition(competition).digest != order.job.identity.competition:
        raise NodeProblem(
            f"its rules of {order.job.competition} are others than those of the batch",
            "install the same haet-eval there",
            code="node-rules",
        )
    if order.job.identity.sandbox == "docker" and order.image is not None:
        check_image(order.image)


def check_image(wanted: str) -> None:
    """Raises NodeProblem if this machine has another sandbox image."""
    # No image here is no NodeProblem yet: the evaluation itself reports what is missing, with better advice.
    here = local_image()
    if here is not None and here != wanted:
        raise NodeProblem(
            f"its sandbox image is {here[:19]}, not {wanted[:19]} as where the batch was started",
            "bring that very image there: `docker save` and `docker load`, or a registry and its digest",
            code="node-image",
        )


def local_image() -> str | None:
    """The digest of this machine's sandbox image; None if no engine answers, or if there is no image."""
    from haet_eval.runtimes.docker import DockerRuntime  # only now: the engine's SDK is slow to import

    try:
        with DockerRuntime() as runtime:
            runtime.check()
            return runtime.describe()["image_digest"]
    except EnvironmentProblem:
        return None


@contextmanager
def reserved(*, alone: bool, lock: Path = _LOCK) -> Iterator[None]:
    """In this block no batch makes a run here that ranks time or energy; with `alone`, no run at all.

    Raises:
        NodeProblem: another run holds the lock, or there can be none.
    """
    descriptor = _open(lock)
    try:
        # Shared for counted runs, which do not disturb each other's result. `LOCK_NB`: a batch retries
        # elsewhere or later.
        fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise NodeProblem(
            "another run is being made on it, and time or energy is ranked"
            if alone
            else "a run whose time or energy is ranked is being made on it",
            "wait for its end; such a batch needs the machine for itself",
            code="node-busy",
        ) from None
    except OSError as error:
        os.close(descriptor)
        raise NodeProblem(
            f"{lock}, which keeps runs apart, cannot be locked: {error.strerror}",
            f"mount {lock.parent} from a local disk, or with locks",
            code="node-without-locks",
        ) from None
    try:
        yield
    finally:
        # Closing gives the lock up. The file stays: a run that has just opened it would otherwise lock a
        # removed file.
        os.close(descriptor)


def _open(lock: Path) -> int:
    """A descriptor of the lock, which every user of the machine may open, whatever the umask of its maker.

    If the file exists, it is opened without `O_CREAT`: Linux forbids that flag for another user's file in
    /tmp (fs.protected_regular). `O_NONBLOCK`: someone may have put a pipe there, which would wait for a
    writer.
    """
    # The file is in a folder that everyone may write to, so a link or a device may have its name.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        try:
            descriptor = os.open(lock, flags)
        except FileNotFoundError:
            descriptor = _create(lock, flags)
    except OSError as error:
        raise _useless(lock, error.strerror or "unknown error") from None
    # Looked at after the opening, so that no other file can take the name in between.
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _useless(lock, "it is not a regular file")
    return descriptor


def _create(lock: Path, flags: int) -> int:
    try:
        descriptor = os.open(lock, flags | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:  # another run made it meanwhile
        return os.open(lock, flags)
    # The umask may have removed the rights of other users, who need to read the file to lock it.
    os.fchmod(descriptor, 0o644)
    return descriptor


def _useless(lock: Path, why: str) -> NodeProblem:
    return NodeProblem(
        f"{lock}, which keeps runs apart, cannot be opened: {why}",
        f"remove {lock}; the next run makes it anew, for all users",
        code="node-lock",
    )
