"""A meter and an executor in one process: frames pass between them without a socket."""

import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import torch

from haet_eval.errors import SubmissionFailure
from haet_eval.operators.signature import TensorMeta
from haet_eval.remote import wire
from haet_eval.remote.charges import MeterLimits
from haet_eval.remote.executor.executor import Executor
from haet_eval.remote.handles import HeldTensor, Storage, intern_layout
from haet_eval.remote.messages import ModelTensor, Seal, TakeInventory
from haet_eval.remote.meter import Meter, Question
from haet_eval.remote.template import Template
from haet_eval.remote.weights import check_weights
from haet_eval.remote.wire import COUNTED, AnswerStatus, Code, Definition, WireError

PLENTY: Final = 1 << 50


class Kind(StrEnum):
    """What became of a record."""

    OK = "ok"
    REFUSED = "refused"  # by the meter or by the executor; the submission goes on
    FAILED = "failed"  # the executor has ended the run
    MISMATCHED = "mismatched"  # the executor has ended the run for a tensor mismatch
    CLOSED = "closed"  # the meter has ended the run: no honest client sends this
    FAULTY = "faulty"  # one of the two did what it never should


OVER: Final = frozenset({Kind.FAILED, Kind.MISMATCHED, Kind.FAULTY})


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a record, and in what words; of a question also its template and the answer."""

    kind: Kind
    text: str = ""
    asked: Template | None = None
    body: bytes = b""


class InProcess(Executor):
    """An executor whose answers are kept rather than sent."""

    def __init__(self) -> None:
        with socket.socket() as nowhere:
            super().__init__(nowhere)
        self.answers: list[tuple[AnswerStatus, bytes]] = []

    @property
    def tensors(self) -> dict[int, torch.Tensor]:
        return self._tensors

    @property
    def next_handle(self) -> int:
        return self._next

    @property
    def failed(self) -> Answer | None:
        if self._failure is None:
            return None
        over = self._failure.status is AnswerStatus.MISMATCH
        return Answer(Kind.MISMATCHED if over else Kind.FAILED, self._failure.text)

    @property
    def refuses_all(self) -> bool:
        """Whether its last answer was that the run is over."""
        return bool(self.answers) and self.answers[-1][0] in {AnswerStatus.FATAL, AnswerStatus.MISMATCH}

    def take(self, payload: bytes) -> None:
        self.answers.clear()
        self._stream(payload)

    def put(self, tensor: torch.Tensor) -> None:
        self._put(tensor)

    def seal(self, model: tuple[ModelTensor, ...]) -> bytes:
        """Keep these tensors only; returns the weights that are handed out."""
        near, far = socket.socketpair()
        with near, far, ThreadPoolExecutor(1) as pool:
            received = pool.submit(lambda: b"".join(iter(lambda: far.recv(1 << 16), b"")))
            self._socket = near
            self._seal(Seal(tensors=model))
            near.shutdown(socket.SHUT_WR)
            return _blocks(received.result())

    def inventory(self) -> bytes:
        self.answers.clear()
        self._say_how_far(TakeInventory())
        return self.answers[-1][1]

    def _answer(self, payload: bytes, status: AnswerStatus = AnswerStatus.OK) -> None:
        self.answers.append((status, payload))


@dataclass(slots=True)
class World:
    """One run, with tensors that the test puts into both."""

    meter: Meter = field(
        default_factory=lambda: Meter(MeterLimits(PLENTY, PLENTY, PLENTY, None, *[PLENTY] * 3))
    )
    executor: InProcess = field(default_factory=InProcess)
    _storages: dict[int, tuple[Storage, torch.UntypedStorage]] = field(default_factory=dict)
    _templates: dict[Template, int] = field(default_factory=dict)

    # What the test does.

    def put(self, tensor: torch.Tensor, *, tainted: bool) -> int:
        """Give a tensor to both; returns its handle. Tensors of one storage share it in the books as well."""
        held = tensor.untyped_storage()
        # The storage is kept as well: while it lives, no other has its identity.
        storage, _ = self._storages.setdefault(held._cdata, (Storage(held.nbytes(), tainted), held))
        meta = seen(tensor)
        number = self.meter._handles.add(HeldTensor(intern_layout(meta), meta.offset, storage))
        self.executor.put(tensor)
        assert self.executor.next_handle == self.meter.next_handle
        return number

    def define(self, definition: Definition, handles: Sequence[int], floats: Sequence[float]) -> Answer:
        head = wire.encode_definition(definition)
        layout = wire.call_layout(len(handles), len(floats))
        values = layout.pack(0, 0, *handles, *floats)[COUNTED.size :]
        answer = self.send(COUNTED.pack(Code.DEFINE, len(head)) + head + values)
        if answer.asked is not None and answer.kind is Kind.OK:
            self._templates[answer.asked] = len(self._templates)
        return answer

    def call(self, template: Template, handles: Sequence[int], floats: Sequence[float]) -> Answer:
        """Repeat a template."""
        layout = wire.call_layout(len(handles), len(floats))
        code = Code.DYNAMIC if template.dynamic else Code.CALL
        return self.send(layout.pack(code, self._templates[template], *handles, *floats))

    def seal(self, model: tuple[ModelTensor, ...]) -> Answer:
        """End the training with these tensors as the model."""
        try:
            self.meter.seal(model)
            weights = self.executor.seal(model)
            check_weights(weights, self.meter.weights(model))
        except Exception as error:
            return Answer(Kind.FAULTY, f"{type(error).__name__}: {error}")
        return Answer(Kind.OK, body=weights)

    def send(self, record: bytes) -> Answer:
        """Bring one record to the meter, and what it passes on to the executor and back."""
        try:
            accepted = self.meter.accept(record)
        except WireError as error:
            return Answer(Kind.CLOSED, str(error))
        except SubmissionFailure as failure:
            return Answer(Kind.FAULTY, f"the meter ended the run: {failure}")
        question = accepted.question
        try:
            self.executor.take(accepted.forward + (question.record if question else b""))
        except Exception as error:
            return Answer(Kind.FAULTY, f"the executor stumbled: {type(error).__name__}: {error}")
        if accepted.refused is not None:
            return Answer(Kind.REFUSED, accepted.refused)
        return self.executor.failed or (Answer(Kind.OK) if question is None else self._answer(question))

    def _answer(self, question: Question) -> Answer:
        status, body = self.executor.answers[-1]
        asked = question.template
        try:
            if status is AnswerStatus.OK:
                self.meter.answer(question, body)
                return Answer(Kind.OK, asked=asked, body=body)
            self.meter.refuse(question)
        except (WireError, SubmissionFailure) as error:
            said = body.decode(errors="replace") if status is not AnswerStatus.OK else "an outcome"
            return Answer(
                Kind.FAULTY, f"the meter did not take the answer: {error}; the executor said: {said}"
            )
        return Answer(Kind.REFUSED, body.decode(), asked)

    @property
    def states(self) -> int:
        """How many states of generators have been saved."""
        return self.meter._generators._saved

    # What must hold.

    @property
    def handles(self) -> dict[int, HeldTensor]:
        return self.meter._handles.living

    def differences(self) -> Iterator[str]:
        """Every way in which the executor's tensors are not those of the meter's books."""
        living, tensors = self.handles, self.executor.tensors
        if living.keys() != tensors.keys() or self.meter.next_handle != self.executor.next_handle:
            yield f"the meter has the tensors {sorted(living)}, the executor {sorted(tensors)}"
            return
        storages: dict[int, Storage] = {}
        for number, handle in living.items():
            tensor = tensors[number]
            held = tensor.untyped_storage()
            if seen(tensor) != handle.meta:
                yield f"tensor {number} is {seen(tensor)}, in the books {handle.meta}"
            held_bytes, known_bytes = held.nbytes(), handle.storage.size_bytes
            if held_bytes != known_bytes:
                yield f"tensor {number} lies in {held_bytes} bytes, in the books in {known_bytes}"
            if storages.setdefault(held._cdata, handle.storage) is not handle.storage:
                yield f"tensor {number} shares its memory with another, and in the books does not"
        if len(set(map(id, storages.values()))) < len(storages):
            yield "two tensors share their memory in the books only"
        if self.meter.inventory() != self.executor.inventory():
            yield "the inventories differ"


def _blocks(stream: bytes) -> bytes:
    """What a stream of frames holds, put together."""
    found, place = b"", 0
    while place < len(stream):
        length, _ = wire.FRAME.unpack_from(stream, place)
        place += wire.FRAME.size + length
        found += stream[place - length : place]
    return found


def seen(tensor: torch.Tensor) -> TensorMeta:
    """The metadata of a tensor, read without the executor's own functions."""
    assert type(tensor) is torch.Tensor
    assert tensor.layout is torch.strided
    dtype = str(tensor.dtype).removeprefix("torch.")
    bits = int(tensor.is_conj()) + 2 * int(tensor.is_neg())
    return TensorMeta(tuple(tensor.shape), tensor.stride(), int(tensor.storage_offset()), dtype, bits)
