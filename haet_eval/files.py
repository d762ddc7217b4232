"""Reads files that others may have put there: regular ones only, up to a size, and never waiting."""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import Final

MAX_TEXT_BYTES: Final = 16 * 1024 * 1024
"""The limit of texts that people or commands write: lists, settings, leaderboards, notes on a run."""

_KINDS: Final = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


class StrangeFile(OSError):
    """The file at the path must not be read: it is not a regular file, or it is too large."""

    def __init__(self, reason: str, path: Path) -> None:
        super().__init__(errno.EINVAL, reason, str(path))


def open_file(path: Path, most_bytes: int) -> BufferedReader:
    """Open a regular file for reading; a symbolic link to one is fine.

    The kind is looked at before the file is opened, because opening a device may do something, and again
    afterwards, because another file may have taken the name. `O_NONBLOCK` keeps a pipe from waiting for a
    writer in between.

    Raises:
        StrangeFile: it is neither a regular file nor a directory, or larger than `most_bytes`.
        OSError: it cannot be opened, or is a directory.
    """
    _check(path, path.stat(), most_bytes)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        _check(path, os.fstat(descriptor), most_bytes)
        return os.fdopen(descriptor, "rb")
    # BaseException, because an interruption must not leak the descriptor either.
    except BaseException:
        os.close(descriptor)
        raise


def read_file(path: Path, most_bytes: int) -> bytes:
    """The content of a regular file.

    Raises:
        StrangeFile: it is not a regular file, or it is larger than `most_bytes` or grows beyond that.
        OSError: the file cannot be read.
    """
    with open_file(path, most_bytes) as file:
        # `read` allocates as much as it is asked for, and the limit of some files is a gigabyte: more than a
        # process may have under `ulimit -v`.
        size = os.fstat(file.fileno()).st_size
        content = file.read(min(size, most_bytes) + 1)
        # The size was checked before, but the file may have grown since. One byte more shows it.
        if len(content) > size:
            content += file.read(most_bytes + 1 - len(content))
    if len(content) > most_bytes:
        raise _too_large(path, most_bytes)
    return content


def exists(path: Path) -> bool:
    """Whether anything has that name, including a link to nothing and a loop of links."""
    return os.path.lexists(path)


def real_path(path: Path) -> Path:
    """The absolute path without links. A loop of links stays as it is: whoever opens it says so.

    `Path.resolve` raises a RuntimeError for a loop instead, which tells nobody what to do.
    """
    return Path(os.path.realpath(path))


def _check(path: Path, facts: os.stat_result, most_bytes: int) -> None:
    if stat.S_ISDIR(facts.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(facts.st_mode):
        kind = _KINDS.get(stat.S_IFMT(facts.st_mode), "something else")
        raise StrangeFile(f"it is {kind}, not a regular file", path)
    if facts.st_size > most_bytes:
        raise _too_large(path, most_bytes)


def _too_large(path: Path, most_bytes: int) -> StrangeFile:
    return StrangeFile(f"it is larger than {most_bytes:,} bytes", path)
