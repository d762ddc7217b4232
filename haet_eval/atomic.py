"""Files that appear whole or not at all, also with many writers on a shared file system."""

import errno
import os
import secrets
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from haet_eval.files import real_path

LEFTOVER_SECONDS: Final = 24 * 3600
"""A draft older than this belongs to a writer that was killed."""

_NO_PIPE: Final = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
"""Flags that do not wait for a pipe or follow a link, which someone else may have given a draft's name."""

# File systems report in several ways that they have no hard links: FAT gives EPERM, some others ENOTSUP.
_NO_HARD_LINKS: Final = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
# Some network file systems report in these ways that they cannot write a folder to the disk by itself.
_NO_SYNC: Final = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF}


def draft_path(directory: Path) -> Path:
    """A new name, of a file that `remove_leftovers` removes if nobody else does."""
    return directory / f".haet-{secrets.token_hex(8)}.tmp"


class Draft:
    """A file being written. It is gone when the `with` block ends without `create` or `replace`.

    Its writer holds a lock on it, if the file system has locks.
    """

    def __init__(self, directory: Path) -> None:
        # In the directory of the target, because a rename or a link cannot cross file systems.
        self._path = draft_path(directory)
        self._file = self._path.open("xb")
        _lock(self._file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()  # writes the buffer, and fails a second time if the disk is full
        finally:
            self._path.unlink(missing_ok=True)

    @property
    def file(self) -> BinaryIO:
        """The open file, for libraries that write to one."""
        return self._file

    def write(self, data: bytes) -> None:
        self._file.write(data)

    def modified_seconds(self) -> float:
        """When the file was written last, by the clock of the file system."""
        return os.fstat(self._file.fileno()).st_mtime

    def create(self, target: Path) -> None:
        """Give the file its name.

        Raises:
            FileExistsError: the name is taken; the existing file stays.
        """
        self._finish()
        try:
            # A rename would replace an existing file without an error. A link fails if the name is taken.
            os.link(self._path, target)
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            # Between this look and the rename another writer may take the name. Without hard links that
            # remains.
            if target.exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
            self._path.rename(target)
        # After a power cut the file would otherwise be on the disk, and its name perhaps not.
        _sync_directory(target.parent)

    def replace(self, target: Path) -> None:
        """Give the file its name, and replace the existing file, whose permissions stay."""
        # A new file has the permissions of the process's mask: a private file could then be read by others.
        # A file system without permissions cannot set them either.
        with suppress(OSError):
            self._path.chmod(stat.S_IMODE(target.stat().st_mode))
        self._finish()
        self._path.replace(target)
        _sync_directory(target.parent)

    def _finish(self) -> None:
        self._file.flush()
        # Before the rename: otherwise a power cut can leave the new name on an empty file.
        os.fsync(self._file.fileno())
        self._file.close()


class DraftFolder:
    """A folder being filled, at `path`. It is gone when the `with` block ends without `create`.

    Its writer holds a lock on it, if the file system has locks.
    """

    def __init__(self, directory: Path) -> None:
        self.path = draft_path(directory)
        self.path.mkdir()
        self._descriptor = None if os.name == "nt" else os.open(self.path, os.O_RDONLY)
        if self._descriptor is not None:
            _lock(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Removed while it is still locked: a file that is left over is then as sure to be ours.
        shutil.rmtree(self.path, ignore_errors=True)
        if self._descriptor is not None:
            os.close(self._descriptor)

    def create(self, target: Path) -> None:
        """Give the folder its name.

        Raises:
            FileExistsError: the name is taken; what has it stays.
        """
        # A rename replaces an empty folder without an error. Of two writers the second one fails, since the
        # folder of the first is not empty.
        if target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        self.path.rename(target)
        _sync_directory(target.parent)


def write_output(target: Path, content: bytes) -> None:
    """Write a file that a user has named, whole or not at all; links to it stay.

    A device or a pipe, such as /dev/stdout, is written to as it is: a file that took its name would
    remove it.

    Raises:
        OSError: it cannot be written, or is a pipe that nobody reads.
    """
    if target.exists() and not target.is_file():
        # O_NONBLOCK makes opening a pipe that nobody reads an error. Otherwise it would wait for ever.
        descriptor = os.open(target, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        # From here on a write has to wait for a slow reader instead of failing half-way.
        os.set_blocking(descriptor, True)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        return
    # A rename onto a link would replace the link. The file that it leads to is the one that is meant.
    target = real_path(target)
    # `real_path` leaves a loop of links as it is. A rename onto it would replace a link of the user's.
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(target))
    with Draft(target.parent) as draft:
        draft.write(content)
        draft.replace(target)


def remove_leftovers(directory: Path, older_than_seconds: float = LEFTOVER_SECONDS) -> None:
    """Remove drafts that killed writers left in the directory: old drafts whose lock no process holds.

    The age of a draft is its distance from a new file by the clock of the file system: our own may be wrong.
    """
    # A machine whose clock is wrong would otherwise remove drafts that other machines are writing.
    with Draft(directory) as probe:
        deadline = probe.modified_seconds() - older_than_seconds
    for path in directory.glob(".haet-*.tmp"):
        with suppress(OSError):  # another process was faster, or it is not ours to remove
            descriptor = os.open(path, os.O_RDONLY | _NO_PIPE)
            try:
                # Both, because a lock does not always reach other machines, and a slow writer's draft may be
                # old.
                found = os.fstat(descriptor)
                if found.st_mtime < deadline and _lock(descriptor):
                    shutil.rmtree(path) if stat.S_ISDIR(found.st_mode) else path.unlink()
            finally:
                os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Take the lock of an open file until it is closed. False if another process holds it."""
    try:
        import fcntl  # Windows does not have it, but does not let anyone remove an open file either

        # `flock` and not `lockf`: a lock of `lockf` is lost when this process closes any descriptor of the
        # file.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return True  # there are no locks: the age alone decides
    return True


def _sync_directory(directory: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there
        return
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except PermissionError:  # files can be made in a folder that cannot be read
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        # The file has its name already, so an error would report a stored file as not stored.
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)
