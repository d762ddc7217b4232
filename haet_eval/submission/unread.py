"""The digest of a submission that cannot be read as one: two different ones must not count as the same."""

import errno
import hashlib
import os
import stat
import sys
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import Any, Final

from haet_eval.archive import is_litter
from haet_eval.files import open_file

MOST_HASHED_BYTES: Final = 1 << 30
"""A larger file may be full of holes: all its zeros would be hashed for hours, only to be refused."""

_MOST_READ_BYTES: Final = 1 << 34
"""What lies behind so much data counts by its size only."""

_CHUNK_BYTES: Final = 1 << 20
_ZEROS: Final = bytes(_CHUNK_BYTES)
_SEEK_DATA: Final[int] = getattr(os, "SEEK_DATA", -1)  # Windows does not have it, and refuses -1


def archive_digest(path: Path) -> str | None:
    """The SHA-256 of a file; None if the file is too large for that."""
    if path.stat().st_size > MOST_HASHED_BYTES:
        return None
    with path.open("rb") as archive:
        return hashlib.file_digest(archive, "sha256").hexdigest()


def large_archive_digest(path: Path) -> str:
    """The digest of the size of a file and of its content without its zeros."""
    digest = hashlib.sha256(f"{path.stat().st_size}\n".encode())
    _add_content(digest, path, _MOST_READ_BYTES)
    return digest.hexdigest()


def folder_digest(folder: Path) -> str:
    """The digest of the names, the sizes and the contents of what is in a folder."""
    digest, left = hashlib.sha256(), _MOST_READ_BYTES
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        # Tools leave other litter on each machine, and it is no part of a submission.
        if is_litter(name):
            continue
        facts = path.lstat()
        digest.update(f"{name}\0{facts.st_size}\n".encode(errors="surrogateescape"))
        with suppress(OSError):  # a file that may not be read counts by its name and size
            if stat.S_ISLNK(facts.st_mode):
                digest.update(os.fsencode(path.readlink()))
            elif stat.S_ISREG(facts.st_mode):
                left -= _add_content(digest, path, left)
    return digest.hexdigest()


def _add_content(digest: Any, path: Path, most_bytes: int) -> int:
    """Add each chunk that is not all zeros, with its place. Returns how many bytes were read.

    Holes are zeros, so it does not matter whether a file system has them.
    """
    read = place = 0
    with open_file(path, sys.maxsize) as file:
        while read < most_bytes and (data := _data_from(file, place)) is not None:
            # Back to a whole chunk, so that places and chunks do not depend on where a file system ends its
            # holes.
            place = data - data % _CHUNK_BYTES
            file.seek(place)
            chunk = file.read(_CHUNK_BYTES)
            if chunk != _ZEROS[: len(chunk)]:
                digest.update(f"{place} {len(chunk)}\n".encode() + chunk)
            read += len(chunk)
            place += _CHUNK_BYTES
    return read


def _data_from(file: BufferedReader, place: int) -> int | None:
    """Where the next data are, from this place on; None if only a hole or the end follows."""
    try:
        # Holes are skipped: reading terabytes of them would take hours.
        return os.lseek(file.fileno(), place, _SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
    return place if place < os.fstat(file.fileno()).st_size else None  # without its holes shown
