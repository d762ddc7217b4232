"""Files of zlib-compressed entries: each has a kind (one byte), a length (four) and a body."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from haet_eval.errors import EnvironmentProblem
from haet_eval.files import StrangeFile, open_file

_ENTRY: Final = struct.Struct("<BI")
# The records of one frame make one entry, so this exceeds the largest frame of the wire.
_MAX_ENTRY_BYTES: Final = 80 << 20
_MAX_FILE_BYTES: Final = 4 << 30
"""Twice the limit of a trace, which is the largest of these files."""
_CHUNK_BYTES: Final = 1 << 16
_INFLATED_BYTES: Final = 1 << 20
_LEVEL: Final = 1


class Broken(Exception):
    """The file is not of this form, or was cut short or changed."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A file as it stands: the first `file_bytes` bytes of it and then `tail` are a whole file."""

    file_bytes: int
    tail: bytes


class PackedWriter:
    """Writes entries to a file that the caller owns. `entries` says how many it has.

    Args:
        path: the file.
        magic: its first bytes.
        name: what the file is called in errors, such as `the trace`.

    Raises:
        EnvironmentProblem: the file cannot be written.
    """

    def __init__(self, path: Path, magic: bytes, name: str) -> None:
        self.path = path
        self._name = name
        # Unbuffered, so that the file really has the bytes that a snapshot states. A checkpoint copies them
        # at once.
        try:
            self._file: IO[bytes] = path.open("wb", buffering=0)
        except OSError as error:
            raise self._not_writable(error) from None
        self._written = self.entries = 0
        self._compressor = zlib.compressobj(_LEVEL)
        self._pending = bytearray()
        self._write(magic)

    def _append(self, kind: int, body: bytes) -> None:
        self._pending += _ENTRY.pack(kind, len(body))
        self._pending += body
        self.entries += 1
        if len(self._pending) >= _CHUNK_BYTES:
            self._write(self._compressor.compress(self._pending))
            self._pending.clear()

    def snapshot(self) -> Snapshot:
        """All entries so far, without a change to what the file will hold in the end.

        A flush would change the bytes that follow, and so the digest of the file.
        """
        # The copy is finished in place of the compressor, whose stream goes on as if nothing had been asked.
        copy = self._compressor.copy()
        return Snapshot(self._written, copy.compress(self._pending) + copy.flush())

    def _write(self, data: bytes) -> None:
        self._written += len(data)
        try:
            while data:
                # An unbuffered file may take a part of the bytes only.
                data = data[self._file.write(data) :]
        except OSError as error:
            # The file lacks bytes from here on. Once it is closed, `close` does not append an end that would
            # make it look whole.
            self._file.close()
            raise self._not_writable(error) from None

    def _not_writable(self, error: OSError) -> EnvironmentProblem:
        return EnvironmentProblem(
            f"{self._name} cannot be written: {error}",
            "Make room for temporary files.",
            code="trace-not-writable",
        )

    def close(self) -> None:
        """Finish the file. Further calls do nothing."""
        if self._file.closed:
            return
        with self._file:
            self._write(self._compressor.compress(self._pending) + self._compressor.flush())


def open_packed(path: Path, name: str) -> IO[bytes]:
    """Open such a file for reading.

    Raises:
        Broken: it is no regular file, or too large.
        OSError: it cannot be opened.
    """
    try:
        return open_file(path, _MAX_FILE_BYTES)
    except (StrangeFile, IsADirectoryError) as error:
        raise Broken(f"{name} cannot be read: {error.strerror}") from None


def read_packed(path: Path, magic: bytes, name: str) -> Iterator[tuple[int, bytes]]:
    """Entries of a file, decompressed as they are asked for.

    Raises:
        Broken: the file has another magic word, or was cut short or changed.
    """
    with open_packed(path, name) as file:
        if file.read(len(magic)) != magic:
            raise Broken(f"{name} begins with other bytes than it should")
        stream = _Inflated(file, name)
        while head := stream.read(_ENTRY.size):
            if len(head) < _ENTRY.size:
                raise Broken(f"{name} is cut short")
            kind, length = _ENTRY.unpack(head)
            if length > _MAX_ENTRY_BYTES:
                raise Broken(f"{name} holds an entry that no meter writes")
            body = stream.read(length)
            if len(body) < length:
                raise Broken(f"{name} is cut short")
            yield kind, body


class _Inflated:
    """Reads from a zlib stream in bounded memory: a hostile file may expand to any size."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name
        self._inflate = zlib.decompressobj()
        self._ready = bytearray()

    def read(self, length: int) -> bytes:
        try:
            while len(self._ready) < length and self._more():
                pass
        except zlib.error as error:
            raise Broken(f"{self._name} does not decompress: {error}") from None
        part = bytes(self._ready[:length])
        del self._ready[:length]
        return part

    def _more(self) -> bool:
        # After the end of the stream one more chunk is read: a byte there would be in the file, but in no
        # entry.
        was_over = self._inflate.eof
        # Input that did not fit into the last output comes first; each turn gives at most _INFLATED_BYTES.
        raw = self._inflate.unconsumed_tail or self._file.read(_CHUNK_BYTES)
        part = b"" if was_over else self._inflate.decompress(raw, _INFLATED_BYTES)
        if self._inflate.unused_data or (was_over and raw):
            raise Broken(f"bytes left over after {self._name}")
        if not raw and not part and not self._inflate.eof:
            raise Broken(f"{self._name} is cut short")
        self._ready += part
        # The last output may come without further input, so either of the two is progress.
        return bool(raw or part)
