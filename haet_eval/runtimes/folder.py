"""The private folder of one evaluation: its sockets, and the sign that its owner is alive.

The owner holds a lock on the folder as long as it lives. The kernel drops the lock with the process, however
the process ends, so another haet-eval can distinguish a dead run's leftovers from a live run.
"""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from haet_eval.errors import EnvironmentProblem
from haet_eval.locks import lacks_locks
from haet_eval.runtimes.interface import Role

# Linux has 108 bytes for the address of a unix socket, and the last is a zero.
LONGEST_SOCKET_PATH = 107
NEEDED_BYTES = 2**27
"""Free space that a run begins with: a trace, and the temporary files of workers that are local processes."""
_ANOTHER_FOLDER = "Make room there, or set TMPDIR to another folder."
_PREFIX = "haet-eval.run-"
_PREFIX_UNLOCKED = "haet-eval.new-"


class RunFolder:
    """A context manager; its exit removes the folder. Raises EnvironmentProblem if no folder can be made.

    Only its owner can enter the folder. A container sees only the folder of its role inside it. Other users
    may pass through that one, because the container's user must, but may not list it.
    """

    def __init__(self) -> None:
        if os.name == "nt":
            raise EnvironmentProblem(
                "submissions are run on Linux only", "Run haet-eval in WSL, or on Linux.", code="platform"
            )
        try:
            self.path, self._lock = _make()
            free = shutil.disk_usage(self.path).free
        except OSError as error:
            if lacks_locks(error):
                raise EnvironmentProblem(
                    f"the file system of {tempfile.gettempdir()} offers no locks ({error.strerror}),"
                    " which keep the temporary folders of live runs",
                    "Set TMPDIR to a folder on another disk, or mount this one with locks.",
                    code="temporary-folder-without-locks",
                ) from None
            raise EnvironmentProblem(
                f"no temporary folder can be made: {error}", _ANOTHER_FOLDER, code="no-temporary-folder"
            ) from None
        if free < NEEDED_BYTES:
            self.close()
            raise EnvironmentProblem(
                f"only {free >> 20} MiB are free for temporary files at {self.path.parent};"
                f" a run needs {NEEDED_BYTES >> 20} MiB",
                _ANOTHER_FOLDER,
                code="disk-full",
            )

    def listen(self, role: Role, node: int = 0) -> socket.socket:
        """A listening socket for this role's worker; `socket_path` gives its address."""
        path = self.socket_path(role, node)
        if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
            raise EnvironmentProblem(
                f"the path {path} is too long for a unix socket ({LONGEST_SOCKET_PATH} bytes at most)",
                "Set TMPDIR to a folder with a shorter name.",
                code="path-too-long",
            )
        path.parent.mkdir()
        # By chmod, because the umask takes bits from the modes of mkdir and bind.
        path.parent.chmod(0o711)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(os.fspath(path))
        path.chmod(0o666)
        # One worker connects, once.
        listener.listen(1)
        return listener

    def socket_path(self, role: Role, node: int = 0) -> Path:
        """Where `listen` puts the socket of this role; workers of one role go by their number."""
        return self.path / (f"{role}-{node}" if node else role.value) / "meter.sock"

    def close(self) -> None:
        """Removes the folder and gives up the lock."""
        shutil.rmtree(self.path, ignore_errors=True)
        # The lock goes last: until then no other haet-eval removes the same folder.
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raises EnvironmentProblem if what went wrong in the block is that the folder is gone."""
        # Looked at before `close`, which removes the folder itself.
        gone = isinstance(error, OSError | EnvironmentProblem) and not self._is_there()
        self.close()
        if gone:
            raise self._removed() from error

    def check(self) -> None:
        """Check that the folder is still there: without it hours of training would have no result.

        Raises:
            EnvironmentProblem: somebody has removed it, or something else has its name.
        """
        if not self._is_there():
            raise self._removed()

    def _is_there(self) -> bool:
        # The lock is on the folder itself, whatever has its name by now.
        if self._lock is None:
            return self.path.exists()
        try:
            return os.path.samestat(os.lstat(self.path), os.fstat(self._lock))
        except FileNotFoundError:
            return False
        except OSError:
            # A file system that does not answer for a moment has not removed anything.
            return True

    def _removed(self) -> EnvironmentProblem:
        return EnvironmentProblem(
            f"the folder {self.path} was removed while a run used it",
            "Keep what cleans up temporary files away from folders that are in use, and run it again.",
            code="run-folder-removed",
        )


def _make() -> tuple[Path, int | None]:
    """A new folder and the descriptor that holds its lock. Nothing is left if that fails."""
    unlocked = Path(tempfile.mkdtemp(prefix=_PREFIX_UNLOCKED))
    try:
        # Under its final name a folder without a lock looks like that of a dead run, which another haet-eval
        # would remove. So it gets that name only when it is locked.
        lock = _lock(unlocked)
        return unlocked.rename(unlocked.with_name(unlocked.name.replace(_PREFIX_UNLOCKED, _PREFIX))), lock
    except OSError:
        shutil.rmtree(unlocked, ignore_errors=True)
        raise


def is_run_folder(folder: Path) -> bool:
    """Whether a path has the form of a run's folder: whatever lies there, a run may have made it."""
    return folder.is_absolute() and folder.name.startswith(_PREFIX)


def is_abandoned(folder: Path) -> bool:
    """Whether the run that owned this folder is over. False if that cannot be known."""
    try:
        lock = _lock(folder)
    # Only for a caller that sees the parent of this folder: see `place_of`.
    except FileNotFoundError:
        return True
    except OSError:
        return False
    if lock is None:
        return False
    os.close(lock)
    return True


def place_of(folder: Path) -> str:
    """An identifier of the parent folder, which differs for parents of the same name elsewhere.

    A job may have a /tmp of its own (systemd's PrivateTmp, Slurm, a container). So a missing folder means
    that its run is over only for a process that sees the same parent. Empty if the parent cannot be
    identified.
    """
    try:
        around = folder.parent.stat()
        # Numbers of devices and inodes may come again after a restart of the machine.
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""
    return f"{boot} {around.st_dev}:{around.st_ino}"


def temporary_folder() -> Path:
    """The folder of temporary files, also if its disk is full: then leftovers there are to be removed."""
    try:
        return Path(tempfile.gettempdir())
    # Python tries to write in each folder that it knows, and raises if it can write in none.
    except FileNotFoundError:
        return Path(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108 nothing is written there


def abandoned_folders() -> Iterator[Path]:
    """Folders of dead runs of this user on this machine."""
    for folder in sorted(temporary_folder().glob(f"{_PREFIX}*")):
        if is_abandoned(folder):
            yield folder


def _lock(folder: Path) -> int | None:
    """A descriptor that holds the folder's lock, or None while another process holds it."""
    import fcntl  # Windows does not have it; commands that need no folder work there

    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        # `flock`, because a lock by `lockf` would not hold against other looks of the same process.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
