"""The trace: every call that the meter let pass. Anyone can recompute the count from it.

It goes from the first call of the training to the last of the prediction, with the seal between the two. It
is a file of zlib-compressed entries, each a kind (one byte), a length (four) and a body. The first entry is
the header. The trace has the outcome of a call (shapes, never values) but not the values that were read back,
so a trace can be published without the data.
"""

import json
import struct
import zlib
from collections.abc import Iterator
from enum import IntEnum
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final

from haet_eval.errors import EnvironmentProblem
from haet_eval.remote.charges import check_trace
from haet_eval.remote.wire import TRACE_VERSION

_ENTRY: Final = struct.Struct("<BI")
_MAX_ENTRY_BYTES: Final = 80 << 20
_MAGICS: Final = {2: b"haet-trace-2\n", 3: b"haet-trace-3\n"}
"""By version."""
_CHUNK_BYTES: Final = 1 << 16
_INFLATED_BYTES: Final = 1 << 20
_LEVEL: Final = 1


class Kind(IntEnum):
    """The content of an entry."""

    HEADER = 0  # JSON
    PASSED = 1  # records that were passed on without a question
    QUESTION = 2  # one record that was answered
    OUTCOME = 3  # the answer to the question before, if it was an outcome
    SEAL = 4  # JSON: the tensors of the returned model
    REFUSED = 5  # one record that was refused: nothing happened, but it was charged
    BATCH = 6  # JSON: images to predict were handed over
    LOGITS = 7  # JSON: the prediction for them
    INVENTORY = 8  # of all living tensors, on which meter and executor agree


class BrokenTrace(Exception):
    """The file is not a trace, or was cut short or changed."""


class TraceWriter:
    """Writes a trace to a file that the caller owns. `entries` says how many it has, the header among them.

    Raises:
        SubmissionFailure: from `add`, when the trace grows too large.
        EnvironmentProblem: the file cannot be written.
    """

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self._file: IO[bytes] = path.open("wb", buffering=0)
        self._written = self.entries = 0
        self._write(_MAGICS[TRACE_VERSION])
        self._compressor = zlib.compressobj(_LEVEL)
        self._pending = bytearray()
        self.add(Kind.HEADER, json.dumps(header, sort_keys=True).encode())

    def add(self, kind: Kind, body: bytes) -> None:
        self._pending += _ENTRY.pack(kind, len(body))
        self._pending += body
        self.entries += 1
        if len(self._pending) >= _CHUNK_BYTES:
            self._write(self._compressor.compress(self._pending))
            self._pending.clear()
        # The run may end here only after PASSED: a question without its outcome would make a broken trace.
        if kind is Kind.PASSED:
            check_trace(self._written)

    def _write(self, data: bytes) -> None:
        self._written += len(data)
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            self._file.close()
            raise EnvironmentProblem(
                f"the trace cannot be written: {error}",
                "make room for temporary files",
                code="trace-not-writable",
            ) from None

    def close(self) -> None:
        """Finish the file. Further calls do nothing."""
        if self._file.closed:
            return
        with self._file:
            self._write(self._compressor.compress(self._pending) + self._compressor.flush())


def cut_trace(path: Path, entries: int) -> None:
    """Keep the first entries of a whole trace, the header among them.

    Raises:
        EnvironmentProblem: the file cannot be written.
    """
    part = path.with_name(f"{path.name}.cut")
    (_, header), *_ = islice(read_trace(path), 1)
    writer = TraceWriter(part, json.loads(header))
    for kind, body in islice(read_trace(path), 1, entries):
        writer.add(kind, body)
    writer.close()
    part.replace(path)


def trace_version(path: Path) -> int:
    """The version of a trace.

    Raises:
        BrokenTrace: the file is not a trace of a known version.
    """
    with path.open("rb") as file:
        head = file.read(len(_MAGICS[TRACE_VERSION]))
    for version, magic in _MAGICS.items():
        if head == magic:
            return version
    raise BrokenTrace(f"{path} is not a trace of a known version")


def read_trace(path: Path) -> Iterator[tuple[Kind, bytes]]:
    """Entries of a trace, decompressed as they are asked for.

    Raises:
        BrokenTrace: the file is not a trace, or was cut short or changed.
    """
    magic = _MAGICS[trace_version(path)]
    with path.open("rb") as file:
        file.seek(len(magic))
        stream = _Inflated(file)
        while head := stream.read(_ENTRY.size):
            if len(head) < _ENTRY.size:
                raise BrokenTrace("the trace is cut short")
            number, length = _ENTRY.unpack(head)
            if length > _MAX_ENTRY_BYTES or number > max(Kind):
                raise BrokenTrace("the trace holds an entry that no meter writes")
            body = stream.read(length)
            if len(body) < length:
                raise BrokenTrace("the trace is cut short")
            yield Kind(number), body


class _Inflated:
    """Reads from a zlib stream in bounded memory: a hostile trace may expand to any size."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._inflate = zlib.decompressobj()
        self._ready = bytearray()

    def read(self, length: int) -> bytes:
        try:
            while len(self._ready) < length and self._more():
                pass
        except zlib.error as error:
            raise BrokenTrace(f"the trace does not decompress: {error}") from None
        part = bytes(self._ready[:length])
        del self._ready[:length]
        return part

    def _more(self) -> bool:
        raw = self._inflate.unconsumed_tail or self._file.read(_CHUNK_BYTES)
        part = b"" if self._inflate.eof else self._inflate.decompress(raw, _INFLATED_BYTES)
        if self._inflate.eof and (self._inflate.unused_data or (raw and not part)):
            raise BrokenTrace("bytes left over after the trace")
        if not raw and not part and not self._inflate.eof:
            raise BrokenTrace("the trace is cut short")
        self._ready += part
        return bool(raw or part)
