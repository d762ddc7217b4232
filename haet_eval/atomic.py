"""Files that appear whole or not at all, also with many writers on a shared file system."""

import errno
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

LEFTOVER_SECONDS: Final = 24 * 3600
"""A draft older than this belongs to a writer that was killed."""

_NO_HARD_LINKS: Final = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}


class Draft:
    """A file being written. It is gone when the `with` block ends without `create` or `replace`."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / f".haet-{secrets.token_hex(8)}.tmp"
        self._file = self._path.open("xb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()  # writes what is buffered, and fails once more where the disk is full
        finally:
            self._path.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        self._file.write(data)

    def create(self, target: Path) -> None:
        """Give the file its name.

        Raises:
            FileExistsError: the name is taken; what is there stays.
        """
        self._finish()
        try:
            os.link(self._path, target)
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            if target.exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
            self._path.rename(target)
        _sync_directory(target.parent)

    def replace(self, target: Path) -> None:
        """Give the file its name, in place of what is there."""
        self._finish()
        self._path.replace(target)
        _sync_directory(target.parent)

    def _finish(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def remove_leftovers(directory: Path, older_than_seconds: float = LEFTOVER_SECONDS) -> None:
    """Remove drafts that killed writers left in the directory."""
    deadline = time.time() - older_than_seconds
    for path in _drafts(directory):
        try:
            if path.stat().st_mtime < deadline:
                path.unlink()
        except FileNotFoundError:
            continue  # another process was faster


def _drafts(directory: Path) -> Iterator[Path]:
    return directory.glob(".haet-*.tmp")


def _sync_directory(directory: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
