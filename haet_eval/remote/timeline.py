"""The course of the memory of a training's tensors, and what it was made of at its peak, from a trace."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from haet_eval.operators.signature import TensorMeta
from haet_eval.remote.handles import HeldTensor, Storage
from haet_eval.remote.labels import NO_LABEL, Label, TemplateLabels
from haet_eval.remote.memory import APART, UPLOAD, MemoryBooks, MeteredMemory
from haet_eval.remote.recount import recount
from haet_eval.remote.template import Template

_MOST_POINTS: Final = 256


@dataclass(frozen=True, slots=True)
class StoragesAtPeak:
    """Storages at the peak that the same operator has made in the same layout; `layout` None of constants.

    `label` is what the submission says of the first call that made such a one.
    """

    operator: str
    layout: TensorMeta | None
    storages: int
    bytes: int
    label: Label = NO_LABEL


@dataclass(frozen=True, slots=True)
class Timeline:
    """Each point is the most bytes that lived in `calls_each` calls in a row, and of `lowest` the least.

    `largest` has all that lived at the peak, the most bytes first. `label` is that of the call that made it.
    """

    memory: MeteredMemory
    calls_each: int
    points: tuple[int, ...]
    largest: tuple[StoragesAtPeak, ...]
    label: Label = NO_LABEL
    lowest: tuple[int, ...] = ()


def memory_timeline(trace: Path, labels: TemplateLabels | None = None) -> Timeline:
    """Follow the memory of a training's tensors through its trace; calls are named by these labels.

    Raises:
        BrokenTrace: see `recount`.
    """
    course = _MemoryCourse()
    memory = recount(trace, memory=course).memory
    # A second pass: which call makes the peak is known only after the first.
    snapshot = _LivingStorages(memory.call.number if memory.call else 0)
    recount(trace, memory=snapshot)
    known = labels or TemplateLabels()
    held = _grouped(snapshot.storages, known)
    label = known.of(memory.call.template if memory.call else None)
    points, lowest = tuple(course.points), tuple(course.lowest)
    return Timeline(memory, course.calls_each, points, held, label, lowest)


class _MemoryCourse(MemoryBooks):
    """Keeps the most and the least bytes of each span of calls; spans double when there are too many."""

    __slots__ = ("calls_each", "lowest", "points")

    def __init__(self) -> None:
        super().__init__()
        self.calls_each = 1
        self.points: list[int] = []
        self.lowest: list[int] = []

    def made(self, new_bytes: int, maker: Template | None, phase: int, following: int) -> None:
        super().made(new_bytes, maker, phase, following)
        if self.closed is None:
            # The least is right before a call, when the frees before it are done.
            self._note(self.living_bytes - new_bytes)

    def _note(self, before: int) -> None:
        # The number of calls is known only at the end, so points are merged whenever there are too many.
        while self.calls > _MOST_POINTS * self.calls_each:
            starts = range(0, len(self.points), 2)
            self.points = [max(self.points[start : start + 2]) for start in starts]
            self.lowest = [min(self.lowest[start : start + 2]) for start in starts]
            self.calls_each *= 2
        span = (self.calls - 1) // self.calls_each
        missing = span + 1 - len(self.points)
        self.points += [self.living_bytes] * missing
        self.lowest += [before] * missing
        self.points[span] = max(self.points[span], self.living_bytes)
        self.lowest[span] = min(self.lowest[span], before)


class _LivingStorages(MemoryBooks):
    """Keeps the storages that live right after one call."""

    __slots__ = ("_call", "_handles", "storages")

    def __init__(self, call: int) -> None:
        super().__init__()
        self._call = call
        self._handles: Mapping[int, HeldTensor] = {}
        self.storages: list[Storage] = []

    def watch(self, living: Mapping[int, HeldTensor]) -> None:
        self._handles = living

    def made(self, new_bytes: int, maker: Template | None, phase: int, following: int) -> None:
        super().made(new_bytes, maker, phase, following)
        if self.calls == self._call:
            found = {id(handle.storage): handle.storage for handle in self._handles.values()}
            self.storages = [storage for storage in found.values() if storage.first != APART]


def _grouped(storages: Iterable[Storage], labels: TemplateLabels) -> tuple[StoragesAtPeak, ...]:
    counts: Counter[tuple[str, TensorMeta | None, Label]] = Counter()
    sizes: Counter[tuple[str, TensorMeta | None, Label]] = Counter()
    for storage in storages:
        maker = storage.maker if isinstance(storage.maker, Template) else None
        name, number = (maker.operator.name, maker.number) if maker else (UPLOAD, None)
        kind = name, storage.made[0] if storage.made else None, labels.of(number)
        counts[kind] += 1
        sizes[kind] += storage.size_bytes
    held = [
        StoragesAtPeak(name, layout, count, sizes[name, layout, label], label)
        for (name, layout, label), count in counts.items()
    ]
    return tuple(sorted(held, key=lambda one: (-one.bytes, one.operator, one.label)))
