"""An oracle for tensor memory that shares no code with the meter: it follows storages of plain tensors."""

from collections import Counter
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

_weak: Any = StorageWeakRef


class StorageFollower(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the bytes of all storages that operators have returned and that still live.

    A storage counts up to the last element that a result has shown. Some kernels of PyTorch return a part of
    what they have allocated; the judge's executor does not keep such a rest.

    Args:
        apart: tensors whose storages do not count.

    Attributes:
        peak_bytes: the most that lived at once; an operator's outputs are added before anything is freed.
        operator: the one whose outputs made the peak, the first of equal ones.
        rests: bytes that operators have allocated and not shown, by operator.
    """

    def __init__(self, *apart: torch.Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._apart = {_key(tensor) for tensor in apart}
        self._living: dict[int, tuple[Any, int]] = {}
        self.peak_bytes = 0
        self.operator = ""
        self.rests: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._forget_the_dead()
        result = func(*args, **(kwargs or {}))
        seen = set()
        for value in tree_iter(result):
            if isinstance(value, torch.Tensor) and value.device.type == "cpu":
                seen |= self._see(value)
        for key in seen:
            self.rests[str(func)] += self._living[key][0].nbytes - self._living[key][1]
        now = self.living_bytes
        if now > self.peak_bytes:
            self.peak_bytes, self.operator = now, str(func)
        return result

    @property
    def living_bytes(self) -> int:
        """Bytes of the storages that live now."""
        self._forget_the_dead()
        return sum(size for _, size in self._living.values())

    def _see(self, tensor: torch.Tensor) -> set[int]:
        """Count what a result shows; returns the key of its storage if that is new."""
        key = _key(tensor)
        if key in self._apart:
            return set()
        known = key in self._living
        reference, size = self._living[key] if known else (_Reference(tensor), 0)
        self._living[key] = reference, max(size, _shown_bytes(tensor))
        return set() if known else {key}

    def _forget_the_dead(self) -> None:
        self._living = {key: one for key, one in self._living.items() if not one[0].expired()}


class _Reference:
    """A storage that this does not keep alive, and its size when it was first seen."""

    def __init__(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        self._storage = _weak(storage)
        self.nbytes = storage.nbytes()

    def expired(self) -> bool:
        return bool(self._storage.expired())


def _shown_bytes(tensor: torch.Tensor) -> int:
    """From the beginning of its storage to its last element."""
    if not tensor.numel():
        return 0
    last = sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
    return int(tensor.storage_offset() + last + 1) * tensor.element_size()


def _key(tensor: torch.Tensor) -> int:
    key: int = tensor.untyped_storage()._cdata
    return key
