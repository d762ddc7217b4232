"""An oracle for tensor memory that shares no code with the meter: it follows storages of plain tensors."""

from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

_weak: Any = StorageWeakRef


class StorageFollower(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the bytes of all storages that operators have returned and that still live.

    Args:
        apart: tensors whose storages do not count.

    Attributes:
        peak_bytes: the most that lived at once; an operator's outputs are added before anything is freed.
        operator: the one whose outputs made the peak, the first of equal ones.
    """

    def __init__(self, *apart: torch.Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._apart = {_key(tensor) for tensor in apart}
        self._living: dict[int, tuple[Any, int]] = {}
        self.peak_bytes = 0
        self.operator = ""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._forget_the_dead()
        result = func(*args, **(kwargs or {}))
        for value in tree_iter(result):
            if isinstance(value, torch.Tensor) and value.device.type == "cpu":
                self._see(value)
        now = self.living_bytes
        if now > self.peak_bytes:
            self.peak_bytes, self.operator = now, str(func)
        return result

    @property
    def living_bytes(self) -> int:
        """Bytes of the storages that live, as of the last operator."""
        return sum(size for _, size in self._living.values())

    def _see(self, tensor: torch.Tensor) -> None:
        storage, key = tensor.untyped_storage(), _key(tensor)
        if key not in self._apart and key not in self._living:
            self._living[key] = _weak(storage), storage.nbytes()

    def _forget_the_dead(self) -> None:
        self._living = {key: one for key, one in self._living.items() if not one[0].expired()}


def _key(tensor: torch.Tensor) -> int:
    key: int = tensor.untyped_storage()._cdata
    return key
