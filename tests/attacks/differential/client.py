"""The real client, connected to a world in the same process."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import torch

from haet_eval.operators.signature import CONJUGATE, NEGATIVE, TensorMeta
from haet_eval.remote.client.dispatch import Dispatcher
from haet_eval.remote.client.link import Link, Refusal, RemoteError
from haet_eval.remote.client.tensor import Handle, RemoteTensor, make
from haet_eval.remote.handles import intern_layout
from tests.attacks.differential.world import Answer, Kind, World, seen


class WorldLink(Link):
    """The client's end of a wire that leads to a world. `ended` is how the run has ended, if it has."""

    def __init__(self, world: World) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self.world = world
        self.ended: Answer | None = None

    def flush(self) -> None:
        if self.freed:
            self.write_freed()
        if self.buffer:
            self._exchange()

    def ask(self, record: bytes) -> bytes:
        if self.freed:
            self.flush()
        self.buffer += record
        answer = self._exchange()
        if answer.kind is Kind.REFUSED:
            raise Refusal(answer.text, code="handle-operator")
        return answer.body

    def _exchange(self) -> Answer:
        if self.ended is not None:
            raise RemoteError(self.ended.text)
        answer = _elsewhere(self.world.send, bytes(self.buffer))
        self.buffer.clear()
        self.records = 0
        if answer.kind not in {Kind.OK, Kind.REFUSED}:
            self.ended = answer
            raise RemoteError(answer.text)
        return answer


def connected(world: World) -> Dispatcher:
    """A client of this world. There is one at a time, for it is the class of tensors that knows it."""
    dispatcher = Dispatcher(WorldLink(world))
    RemoteTensor.dispatcher = dispatcher
    return dispatcher


def adopted(link: WorldLink, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Handles of these tensors, which the executor gets; a tensor that is given twice has one."""
    link.flush()
    made: dict[int, RemoteTensor] = {}
    for tensor in tensors:
        if id(tensor) not in made:
            number = link.world.put(tensor, tainted=True)
            meta = seen(tensor)
            handle = Handle(number, link.freed)
            made[id(tensor)] = make(intern_layout(meta), tensor.dtype, meta.offset, handle, None)
    link.next = link.world.meter.next_handle
    return [made[id(tensor)] for tensor in tensors]


def held(link: WorldLink, tensor: RemoteTensor) -> torch.Tensor:
    """The executor's tensor behind a handle."""
    return link.world.executor.tensors[tensor._handle.number]


def claimed(tensor: RemoteTensor) -> TensorMeta:
    """What the client takes a handle for."""
    bits = int(tensor.is_conj()) * CONJUGATE | int(tensor.is_neg()) * NEGATIVE
    dtype = str(tensor.dtype).removeprefix("torch.")
    return TensorMeta(tuple(tensor.shape), tensor.stride(), int(tensor.storage_offset()), dtype, bits)


def _as_executor() -> None:
    """These belong to a thread."""
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)


_threads: Final[dict[int, ThreadPoolExecutor]] = {}


def _elsewhere(run: Callable[[bytes], Answer], payload: bytes) -> Answer:
    """In a thread of its own: in the client's, PyTorch is in the middle of a call of the client's."""
    pool = _threads.get(os.getpid())
    if pool is None:
        pool = ThreadPoolExecutor(1, initializer=_as_executor)
        _threads[os.getpid()] = pool
    return pool.submit(run, payload).result()
