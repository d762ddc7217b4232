"""The file of a checkpoint: a document, the ends of the trace and of the answers, and the executor's state.

The document is JSON. What follows has exactly the lengths that it states, and a SHA-256 over all before it
ends the file. It is a file of the host's own. What a run does next rests on it, so it is read as strictly as
the wire: a file that was changed, cut short, or belongs to another run or version is refused.
"""

import hashlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated, Final, Literal

from pydantic import Field, ValidationError

from haet_eval import __version__
from haet_eval.atomic import Draft
from haet_eval.files import open_file
from haet_eval.record import TrainingPart
from haet_eval.remote.kept_link import state_bytes
from haet_eval.remote.messages import Message, StateFollows
from haet_eval.remote.packed import Broken

MAX_CHECKPOINT_BYTES: Final = 64 << 30
_MAX_DOCUMENT_BYTES: Final = 8 << 20
_MAGIC: Final = b"haet-checkpoint-1\n"
_LENGTH: Final = struct.Struct("<I")
_DIGEST_BYTES: Final = 32
_CHUNK_BYTES: Final = 1 << 20

_StoredSize = Annotated[int, Field(ge=0)]


class Beginning(Message):
    """The first bytes of a file in the run's folder, and an end that makes them a whole file.

    `sha256` is that of the whole. The end lies in the checkpoint.
    """

    name: Annotated[str, Field(pattern=r"^(trace|answers)-[0-9a-f]{16}$")]
    file_bytes: _StoredSize
    tail_bytes: _StoredSize
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class CheckpointFacts(Message):
    """The document of a checkpoint.

    Attributes:
        run: the folder's name.
        entries: the number of entries of the trace up to the checkpoint.
        operations: the operations of the training up to there.
        stalls: how often the submission had waited for room.
        storage_bytes: the size of all storages that follow.
        state: what the executor announced of its state.
        parts: the parts of the training; the last one as far as it had come.
    """

    version: Literal[1] = 1
    haet_eval: str
    run: str
    entries: _StoredSize
    operations: _StoredSize
    stalls: _StoredSize
    trace: Beginning
    answers: Beginning
    storage_bytes: _StoredSize
    state: StateFollows
    parts: tuple[TrainingPart, ...]

    @property
    def following_bytes(self) -> int:
        """The size of all that follows the document, without the digest."""
        tails = self.trace.tail_bytes + self.answers.tail_bytes
        return tails + self.storage_bytes + state_bytes(self.state)


def write_checkpoint(draft: Draft, facts: CheckpointFacts, following: Iterator[bytes]) -> None:
    """Write all of a checkpoint to a draft.

    Raises:
        OSError: it cannot be written.
    """
    digest = hashlib.sha256()
    document = facts.encode()
    for part in _all(document, following):
        digest.update(part)
        draft.write(part)
    draft.write(digest.digest())


def _all(document: bytes, following: Iterator[bytes]) -> Iterator[bytes]:
    yield _MAGIC + _LENGTH.pack(len(document)) + document
    yield from following


class CheckpointFile:
    """An open checkpoint that was checked: read the ends of trace and answers first, then the state.

    Args:
        path: the file.
        run: the name of the run's folder.

    Raises:
        Broken: it is not a checkpoint of this run and of this version, was changed or cut short.
        OSError: it cannot be read.
    """

    def __init__(self, path: Path, run: str) -> None:
        self._file: IO[bytes] = open_file(path, MAX_CHECKPOINT_BYTES)
        try:
            self.facts = self._document(run)
            # The whole file is checked before any of it is used: the executor must not get half of a state.
            self._begin = self._file.tell()
            self._check(os.fstat(self._file.fileno()).st_size)
        except BaseException:
            self._file.close()
            raise

    def read(self, count: int) -> bytes:
        """The next bytes of what follows the document."""
        data = self._file.read(count)
        if len(data) < count:
            raise Broken("it is cut short")
        return data

    def close(self) -> None:
        self._file.close()

    def _document(self, run: str) -> CheckpointFacts:
        magic = self._file.read(len(_MAGIC))
        if magic != _MAGIC:
            raise Broken("it is not a checkpoint, or one of another version")
        (length,) = _LENGTH.unpack(self.read(_LENGTH.size))
        if length > _MAX_DOCUMENT_BYTES:
            raise Broken("its document is too long")
        try:
            facts = CheckpointFacts.model_validate_json(self.read(length))
        except ValidationError:
            raise Broken("its document breaks the schema") from None
        # Another version may number templates or place marks otherwise, so that the run would never come by
        # this place.
        if facts.haet_eval != __version__:
            raise Broken(f"haet-eval {facts.haet_eval[:40]} wrote it, and this is {__version__}")
        if facts.run != run:
            raise Broken("it belongs to another run")
        return facts

    def _check(self, size: int) -> None:
        """Check length and digest of the whole file; then go back to what follows the document."""
        expected = self._begin + self.facts.following_bytes + _DIGEST_BYTES
        if size != expected:
            raise Broken(f"it has {size:,} bytes, and should have {expected:,}")
        digest, left = hashlib.sha256(), size - _DIGEST_BYTES
        self._file.seek(0)
        while left:
            # In pieces, as a state may be larger than the memory.
            part = self.read(min(_CHUNK_BYTES, left))
            digest.update(part)
            left -= len(part)
        if self.read(_DIGEST_BYTES) != digest.digest():
            raise Broken("it was changed: its digest is another")
        self._file.seek(self._begin)
