"""A meter and an executor in one process, without the socket between them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

import torch

from haet_eval.remote.charges import Budgets
from haet_eval.remote.executor.executor import Executor
from haet_eval.remote.executor.outcome import Place, place_of
from haet_eval.remote.handles import Handle, Storage, intern_layout
from haet_eval.remote.inventory import inventory
from haet_eval.remote.meter import Meter
from haet_eval.remote.wire import Status

_PLENTY = 1 << 50


class End(StrEnum):
    """How a record ended."""

    ACCEPTED = "accepted"
    CACHED = "cached"  # a call of a template that was defined before
    REFUSED = "refused"  # the run may go on
    FAILED = "failed"  # the run is over, without a fault of ours
    MISMATCHED = "mismatched"


class _Local(Executor):
    """An executor whose answers are kept."""

    def __init__(self) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self.answers: list[tuple[Status, bytes]] = []

    def _answer(self, payload: bytes, status: Status = Status.OK) -> None:
        self.answers.append((status, payload))

    @property
    def tensors(self) -> dict[int, torch.Tensor]:
        return self._tensors

    def keep(self, tensor: torch.Tensor) -> int:
        self._put(tensor)
        return self._next - 1

    def run(self, records: bytes) -> tuple[Status, bytes]:
        """Run records, of which the last may be a question; returns how that ended."""
        self.answers.clear()
        self._stream(records)
        if self.answers:
            return self.answers[-1]
        if self._failure is not None:
            return self._failure.status, self._failure.text.encode()
        return Status.OK, b""


@dataclass
class World:
    """Both sides of one run. Tensors get in with any layout: `load` puts them into table and books alike."""

    meter: Meter = field(default_factory=lambda: Meter(Budgets(_PLENTY, _PLENTY, _PLENTY, None, _PLENTY)))
    executor: _Local = field(default_factory=_Local)
    _storages: dict[int, Storage] = field(default_factory=dict)

    def load(self, tensor: torch.Tensor, *, tainted: bool) -> int:
        """Give both sides this tensor, with its layout and memory; returns its handle."""
        place = place_of(tensor)
        storage = self._storages.setdefault(place.storage, Storage(place.storage_bytes, tainted))
        storage.tainted |= tainted
        handle = Handle(intern_layout(place.meta), place.meta.offset, storage)
        number = self.meter._handles.add(handle)
        assert self.executor.keep(tensor) == number
        return number

    def feed(self, record: bytes) -> tuple[End, str]:
        """Let one record go its way; returns how it ended, and the text of a failure."""
        accepted = self.meter.accept(record)
        if accepted.refused is not None:
            return End.REFUSED, accepted.refused
        question = accepted.question
        status, body = self.executor.run(accepted.forward + (question.record if question else b""))
        if status is Status.MISMATCH:
            return End.MISMATCHED, body.decode()
        if status is Status.FATAL:
            return End.FAILED, body.decode()
        if question is None:
            return End.CACHED, ""
        if status is Status.REFUSED:
            self.meter.refuse(question)
            return End.REFUSED, body.decode()
        self.meter.answer(question, body)
        return End.ACCEPTED, ""

    def differences(self) -> Iterator[str]:
        """Everything in which the executor's table and the meter's books differ."""
        books, table = self.meter._handles.living, self.executor.tensors
        if books.keys() != table.keys():
            yield f"handles {sorted(books.keys() ^ table.keys())} live on one side only"
            return
        places = {number: place_of(tensor) for number, tensor in table.items()}
        for number, handle in books.items():
            place = places[number]
            if place.meta != handle.meta:
                yield f"tensor {number} is {place.meta}, not {handle.meta}"
            if place.storage_bytes != handle.storage.size_bytes:
                yield f"memory of {number}: {place.storage_bytes} bytes, not {handle.storage.size_bytes}"
        yield from self._sharing(places)
        if _taken(places) != self.meter.inventory():
            yield "the inventories differ"

    def _sharing(self, places: dict[int, Place]) -> Iterator[str]:
        believed: dict[int, int] = {}
        held: dict[int, int] = {}
        for number, handle in self.meter._handles.living.items():
            first = believed.setdefault(id(handle.storage), number)
            real = held.setdefault(places[number].storage, number)
            if first != real:
                yield f"tensor {number} lies with {real}, and is taken to lie with {first}"

    def memory(self) -> dict[int, bytes]:
        """The bytes of every storage, by a tensor in it."""
        return {number: memory_of(tensor) for number, tensor in self.executor.tensors.items()}


def memory_of(tensor: torch.Tensor) -> bytes:
    """All bytes of the storage that a tensor lies in."""
    storage = tensor.untyped_storage()
    raw = torch.empty(0, dtype=torch.uint8).set_(storage)
    return bytes(raw.numpy().tobytes()) if storage.nbytes() else b""


def _taken(places: dict[int, Place]) -> bytes:
    return inventory(
        (number, place.layout, place.meta.offset, place.storage, place.storage_bytes)
        for number, place in sorted(places.items())
    )
