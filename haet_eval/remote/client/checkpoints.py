"""torch.save and torch.load within one run: the copy stays in memory, and the file is a note."""

import copy
import io
import os
import shutil
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

from haet_eval.remote.client.link import Refusal

_HEAD: Final = b"What torch.save was given is kept in memory: tensors of the task cannot be written. "
_NUMBER_BYTES: Final = 20
_WATCHED_FILES: Final = 256
"""A process may often have 1,024 files open, and the submission needs some of them."""


class _SavedObject(NamedTuple):
    """An object, and the descriptor of its file, which shows whether it can still be loaded.

    Without one the object is kept to the end of the run: the note was written into memory, where its copies
    cannot be followed, or so many files are newer that this one was probably saved to stay.
    """

    value: Any
    file: int | None


class SavedObjects:
    """Objects by the notes that stand for them: a file may be renamed, linked and copied."""

    def __init__(self) -> None:
        self._kept: dict[bytes, _SavedObject] = {}
        self._numbers = count(1)
        self._save = torch.save
        self._load = torch.load
        self._copyfile: Any = shutil.copyfile

    def install(self) -> None:
        replaced: Any = torch
        replaced.save, replaced.load = self.save, self.load
        # Libraries may import them from either place.
        replaced.serialization.save, replaced.serialization.load = self.save, self.load
        files: Any = shutil
        # `shutil.copy`, `copy2`, `copytree` and `move` end in this function, so one replacement is enough.
        files.copyfile = self.copyfile

    def save(self, obj: Any, f: Any, *args: Any, **kwargs: Any) -> None:
        """As torch.save; to a file, the object is kept and the file is a note that says so."""
        if isinstance(f, str | os.PathLike):
            # A copy, because the training goes on changing the weights in place.
            self._keep(copy.deepcopy(obj), f)
        elif isinstance(_unwrapped(f), _WRITTEN) and f.seekable():
            self._keep_in(copy.deepcopy(obj), f)
        else:
            self._save(obj, f, *args, **kwargs)

    def load(self, f: Any, *args: Any, **kwargs: Any) -> Any:
        """As torch.load; from a file that this run has saved to, a copy of the saved object.

        Raises:
            Refusal: the file is a copy of one that is there no more.
        """
        stream = isinstance(_unwrapped(f), io.BufferedIOBase | io.RawIOBase) and f.seekable()
        note = _note_at(f) if stream else _note_in(f)
        if not note:
            return self._load(f, *args, **kwargs)
        if note not in self._kept:
            raise Refusal(
                f"{f} is a copy of a note about what torch.save keeps in memory until the file it "
                "was saved to is removed or written anew, as it has been. Copy checkpoints with shutil.copy, "
                "or save them under both names.",
                code="handle-checkpoint",
            )
        # A copy again: a second load must not see what was done to the tensors of the first.
        return copy.deepcopy(self._kept[note].value)

    def copyfile(self, src: Any, dst: Any, **options: Any) -> Any:
        """As shutil.copyfile, which the other functions of shutil copy with."""
        copied = self._copyfile(src, dst, **options)
        kept = self._kept.get(_note_in(dst))
        if kept is not None:
            # The copy gets a note of its own. Otherwise it could not be loaded any more once the original is
            # gone. The object is shared, because `load` copies it anyway.
            self._keep(kept.value, dst)
        return copied

    def _keep(self, value: Any, path: str | os.PathLike[str]) -> None:
        note = self._new_note()
        Path(path).write_bytes(note)
        self._watch(note, value, path)

    def _keep_in(self, value: Any, file: Any) -> None:
        note, at_its_beginning = self._new_note(), not file.tell()
        file.write(note)
        path = _path_of(file) if at_its_beginning else None
        if path is None:
            self._kept[note] = _SavedObject(value, None)
        else:
            # The name shows what the file holds, and not what waits in its buffer.
            file.flush()
            self._watch(note, value, path)

    def _new_note(self) -> bytes:
        return _HEAD + b"%0*d" % (_NUMBER_BYTES, next(self._numbers))

    def _watch(self, note: bytes, value: Any, path: str | os.PathLike[str]) -> None:
        """Keep a value until the file at this path, which is its note now, is gone or written anew."""
        # After the note was written: if the path held another note, its object is given up just now.
        self._give_up_what_cannot_be_loaded()
        # A descriptor and not the path: it follows the file when it is renamed, and shows when its last name
        # is gone.
        self._kept[note] = _SavedObject(value, os.open(path, os.O_RDONLY))
        watched = [(note, kept.file) for note, kept in self._kept.items() if kept.file is not None]
        for note, file in watched[:-_WATCHED_FILES]:
            os.close(file)
            self._kept[note] = self._kept[note]._replace(file=None)

    def _give_up_what_cannot_be_loaded(self) -> None:
        for note, kept in list(self._kept.items()):
            if kept.file is None:
                continue
            # Without this, the best weights of every epoch would stay in the executor, and the memory limit
            # would end honest trainings.
            if not os.fstat(kept.file).st_nlink or os.pread(kept.file, len(note), 0) != note:
                os.close(kept.file)
                del self._kept[note]


_WRITTEN: Final = (io.BytesIO, io.BufferedWriter, io.BufferedRandom, io.FileIO)
"""Streams that keep bytes as they were written: others compress them, or take their digest."""


def _unwrapped(stream: Any) -> Any:
    """What a file of `tempfile.NamedTemporaryFile` wraps; other streams as they are."""
    return getattr(stream, "file", stream)


def _path_of(file: Any) -> str | None:
    """A name that leads to an open file; None if there is no such name."""
    name = getattr(file, "name", None)
    if not isinstance(name, str) or not Path(name).exists():
        return None
    return name if os.path.samestat(Path(name).stat(), os.fstat(file.fileno())) else None


def _note_at(buffer: Any) -> bytes:
    """The note that comes next in a buffer, which is then read; nothing for anything else."""
    start = buffer.tell()
    head: bytes = buffer.read(len(_HEAD) + _NUMBER_BYTES)
    if head.startswith(_HEAD):
        return head
    # Another reader, PyTorch's own, reads on from here.
    buffer.seek(start)
    return b""


def _note_in(path: Any) -> bytes:
    """The note that a file is; nothing for another file, or what is no path."""
    if not isinstance(path, str | os.PathLike) or not Path(path).is_file():
        return b""
    with Path(path).open("rb") as file:
        head = file.read(len(_HEAD) + _NUMBER_BYTES)
    return head if head.startswith(_HEAD) else b""
