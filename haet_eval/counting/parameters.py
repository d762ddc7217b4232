"""The parameters of a model: every number that it stores, each once."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor that the returned module registers.

    `storage` identifies the memory it lies in; `start` and `end` are the bytes of it that it spans, gaps of
    a strided view included: what lies in the gaps is stored as well, and a view can reach it.
    """

    storage: Hashable
    start: int
    end: int
    item_bytes: int  # of one real number: a complex one has two
    role: str  # "trainable", "frozen" or "buffer"


@dataclass(frozen=True, slots=True)
class ParameterCount:
    """How many numbers a model stores, by role. A number with two roles counts under the first of them."""

    trainable: int
    frozen: int
    buffers: int

    @property
    def total(self) -> int:
        return self.trainable + self.frozen + self.buffers


def count_parameters(tensors: Iterable[StoredTensor]) -> ParameterCount:
    """Count each stored number once, however many tensors share it.

    Tied weights are counted once; of overlapping views each byte counts once. A complex
    number is two: its parts are as many real numbers, as in the prices.
    """
    counts = {"trainable": 0, "frozen": 0, "buffer": 0}
    covered: dict[Hashable, list[tuple[int, int]]] = {}
    order = list(counts)
    for tensor in sorted(tensors, key=lambda tensor: order.index(tensor.role)):
        spans = covered.setdefault(tensor.storage, [])
        new_bytes = _uncovered(spans, tensor.start, tensor.end)
        counts[tensor.role] += -(-new_bytes // tensor.item_bytes)
        spans.append((tensor.start, tensor.end))
    return ParameterCount(counts["trainable"], counts["frozen"], counts["buffer"])


def _uncovered(spans: list[tuple[int, int]], start: int, end: int) -> int:
    """Bytes of [start, end) that no span covers."""
    free = 0
    at = start
    for low, high in sorted(spans):
        if low > at:
            free += max(0, min(low, end) - at)
        at = max(at, high)
        if at >= end:
            break
    return free + max(0, end - at)
