"""The books of tensor memory: bytes of the storages that live, and the most that there were of them.

They follow from the stream of records alone, so a trace gives the same figures on every machine. A storage
counts with its whole size, once, from the record that makes it to the record that frees its last handle. The
training set is apart. Workspaces inside kernels are not seen from here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from haet_eval.remote.handles import HeldTensor, Storage
from haet_eval.remote.template import Template

_NEVER: Final = 1 << 200
UPLOAD: Final = "upload"
"""What the call is named that makes a tensor of a constant."""

APART: Final = 1 << 62
"""What a storage of the training set has for `handles` and `first`: its last handle is never freed, and it
was there before any that counts."""


@dataclass(frozen=True, slots=True)
class CallAtPeak:
    """The call whose new tensors made the peak: its number from 1, its operator, the index of its phase.

    `template` is the number of its template, None of an upload.
    """

    number: int
    operator: str
    phase: int
    template: int | None = None


@dataclass(frozen=True, slots=True)
class MeteredMemory:
    """Memory of a training's tensors, in bytes.

    `model_bytes` is the part of the peak that belongs to storages of the returned model, None if no model
    came back; `call` is None if no tensor was made.
    """

    peak_bytes: int
    model_bytes: int | None
    training_set_bytes: int
    call: CallAtPeak | None


class MemoryBooks:
    """Counts while a training runs; `close` ends it.

    `living_bytes` is what lives now, `calls` how many were made: of operators, selects, slices and uploads.
    """

    __slots__ = ("_first", "_place", "calls", "closed", "living_bytes", "peak_bytes", "training_set_bytes")

    def __init__(self) -> None:
        self.living_bytes = 0
        self.peak_bytes = 0
        self.training_set_bytes = 0
        self.calls = 0
        self.closed: MeteredMemory | None = None
        self._place: tuple[int, Template | None, int] | None = None
        self._first = 0

    def watch(self, living: Mapping[int, HeldTensor]) -> None:
        """Is told the table of living tensors once, before all else. The books themselves do not need it."""

    def made(self, new_bytes: int, maker: Template | None, phase: int, following: int) -> None:
        """A call has made storages of so many bytes; `following` is the handle that is given next.

        `maker` is its template, None of an upload.
        """
        self.calls += 1
        self.living_bytes += new_bytes
        if self.living_bytes > self.peak_bytes:
            self.peak_bytes = self.living_bytes
            # Only noted here and named in `_totals`, as peaks rise many times at the start of a training.
            self._place = self.calls, maker, phase
            self._first = following

    def dropped(self, storage: Storage) -> None:
        """A handle of this storage is gone."""
        storage.handles -= 1
        if not storage.handles:
            self.living_bytes -= storage.size_bytes

    def moved(self, source: Storage, target: Storage) -> None:
        """A handle has left one storage for another."""
        target.handles += 1
        self.dropped(source)

    def close(self, model: Iterable[Storage]) -> None:
        """The training is over, and these are the storages of its model."""
        # Tied weights are several tensors of one storage.
        storages = {id(storage): storage for storage in model}.values()
        # Handles are numbered in order, so these existed at the peak. They still live, so they lived then.
        at_peak = (storage.size_bytes for storage in storages if storage.first < self._first)
        self.closed = self._totals(sum(at_peak))
        # No later call can exceed it: prediction has no peak in the record.
        self.peak_bytes = _NEVER

    def totals(self) -> MeteredMemory:
        """What is known so far, or was when the training was over."""
        return self.closed or self._totals(None)

    def _totals(self, model_bytes: int | None) -> MeteredMemory:
        call = _call(*self._place) if self._place else None
        return MeteredMemory(self.peak_bytes, model_bytes, self.training_set_bytes, call)


def _call(number: int, maker: Template | None, phase: int) -> CallAtPeak:
    if maker is None:
        return CallAtPeak(number, UPLOAD, phase)
    return CallAtPeak(number, maker.operator.name, phase, maker.number)
