"""The state of an executor as bytes: its storages, and the states of its generators."""

from collections.abc import Iterator, Mapping, Sequence

import torch

from haet_eval.operators.signature import TensorMeta
from haet_eval.remote.executor.recalled import laid_out
from haet_eval.remote.messages import Placed, Restore, StateFollows, TakeState
from haet_eval.remote.wire import BLOCK_BYTES


def all_bytes(storage: torch.UntypedStorage) -> torch.Tensor:
    """The bytes of a storage as a tensor that shares them, uint8 [n]."""
    return laid_out(storage, TensorMeta((storage.nbytes(),), (1,), 0, "uint8"))


class ExecutorState:
    """The state, in the order in which it is sent: storages, generators, saved states."""

    def __init__(
        self,
        asked: TakeState,
        tensors: Mapping[int, torch.Tensor],
        generators: Mapping[int, torch.Generator],
        states: Sequence[torch.Tensor],
    ) -> None:
        self._storages = [tensors[number].untyped_storage() for number in asked.storages]
        self._generators = {number: one.get_state() for number, one in sorted(generators.items())}
        self._states = states

    def facts(self, peak_memory_bytes: int) -> StateFollows:
        """What is announced before the bytes."""
        return StateFollows(
            peak_memory_bytes=peak_memory_bytes,
            generators=tuple((number, state.nbytes) for number, state in self._generators.items()),
            states=tuple(state.nbytes for state in self._states),
        )

    def blocks(self) -> Iterator[memoryview]:
        """The bytes, piece by piece: there is never a second copy of all of them."""
        for one in (*map(all_bytes, self._storages), *self._generators.values(), *self._states):
            for start in range(0, one.numel(), BLOCK_BYTES):
                yield one[start : start + BLOCK_BYTES].cpu().numpy().data


class Restored:
    """A state that is taken up: empty memory first, which `parts` lets the caller fill in this order."""

    def __init__(self, restore: Restore, tensors: Mapping[int, torch.Tensor], device: torch.device) -> None:
        self._restore = restore
        self._filled: list[torch.Tensor] = []
        self._storages: list[torch.UntypedStorage] = []
        for count, data in restore.storages:
            if data:
                # Training data were loaded again, into a tensor of the same number.
                self._storages.append(tensors[data].untyped_storage())
            else:
                self._filled.append(torch.empty(count, dtype=torch.uint8, device=device))
                self._storages.append(self._filled[-1].untyped_storage())
        self.states = [torch.empty(count, dtype=torch.uint8) for count in restore.states]
        self.generators = {
            number: torch.empty(count, dtype=torch.uint8) for number, count in restore.generators
        }

    def parts(self) -> Iterator[torch.Tensor]:
        """The tensors to fill, uint8 [n]."""
        yield from self._filled
        # `_storages` hold the memory until all tensors are placed.
        self._filled.clear()
        yield from self.generators.values()
        yield from self.states

    def tensor(self, placed: Placed) -> torch.Tensor:
        """A tensor in one of the storages."""
        _, storage, dtype, shape, stride, offset, bits = placed
        return laid_out(self._storages[storage], TensorMeta(shape, stride, offset, dtype, bits))
