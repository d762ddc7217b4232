"""A set of files as a zip: the canonical one, and a compressed one."""

import io
import stat
import zipfile
import zlib
from collections.abc import Callable, Mapping

_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_LEVEL = 9
_MOST_EXPANSION = 100


def pack(files: Mapping[str, bytes]) -> bytes:
    """Zip `files` (relative posix path -> content): equal files give equal bytes on every machine.

    Nothing is compressed, because two builds of zlib compress the same text differently.
    """
    return _zip(files, lambda _: zipfile.ZIP_STORED)


def compress(files: Mapping[str, bytes]) -> bytes:
    """Zip `files` as small as DEFLATE makes them; other builds of zlib may differ by some bytes.

    A file that would shrink to less than a hundredth is stored, because archives that expand so far are
    refused.
    """
    return _zip(files, _method)


def _method(content: bytes) -> int:
    is_bomb = len(zlib.compress(content, _LEVEL)) * _MOST_EXPANSION < len(content)
    return zipfile.ZIP_STORED if is_bomb else zipfile.ZIP_DEFLATED


def _zip(files: Mapping[str, bytes], method: Callable[[bytes], int]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compresslevel=_LEVEL) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.create_system = _UNIX
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, files[path], method(files[path]))
    return buffer.getvalue()
