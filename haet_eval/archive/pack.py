"""The zip of a set of files: the canonical one, whose digest names them, and a compressed one to submit."""

import io
import stat
import zipfile
import zlib
from collections.abc import Mapping

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every entry: no time is kept."""

_UNIX = 3
_LEVEL = 9
_MOST_EXPANSION = 100
"""The limit for a compressed file. A file that expands more is stored, because a zip with it would be refused
(`ArchiveLimits.expansion`)."""


def pack(files: Mapping[str, bytes]) -> bytes:
    """The canonical zip of `files` (relative posix path -> content): equal bytes on every machine.

    Nothing is compressed, because two builds of zlib compress the same text differently.
    """
    return _zip(files, compressed=False)


def pack_compressed(files: Mapping[str, bytes]) -> bytes:
    """The same files in a smaller zip, whose bytes may differ between builds of zlib."""
    return _zip(files, compressed=True)


def _zip(files: Mapping[str, bytes], *, compressed: bool) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compresslevel=_LEVEL) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, EPOCH)
            # zipfile would write the system that it runs on, and the digest would differ on Windows.
            entry.create_system = _UNIX
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            # What does not shrink is stored, and so is what the limit on expansion would refuse.
            deflated = compressed and _shrinks(files[path])
            archive.writestr(entry, files[path], zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED)
    return buffer.getvalue()


def _shrinks(content: bytes) -> bool:
    size = len(zlib.compress(content, _LEVEL))
    return size < len(content) <= size * _MOST_EXPANSION
