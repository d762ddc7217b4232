"""The parameters of a model: every number that it stores, each once."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor that the returned module registers.

    `storage` identifies the memory of the tensor; `start` and `end` are the bytes of that memory that it
    spans. The gaps of a strided view are included: their bytes are stored as well, and a view can reach them.
    """

    storage: Hashable
    start: int
    end: int
    item_bytes: int  # of one real number: a complex one has two
    role: str  # "trainable", "frozen" or "buffer"


@dataclass(frozen=True, slots=True)
class ParameterCount:
    """How many numbers a model stores, by role. A number with two roles counts under the first of them.

    `bits` is what they are stored in, gaps of strided views included; None if that is not known.
    """

    trainable: int
    frozen: int
    buffers: int
    bits: int | None = None

    @property
    def total(self) -> int:
        return self.trainable + self.frozen + self.buffers


def count_parameters(tensors: Iterable[StoredTensor]) -> ParameterCount:
    """Count each stored number once, no matter how many tensors share it.

    Tied weights are counted once; of overlapping views each byte counts once. A complex
    number is two: its parts are as many real numbers, as in the prices.
    """
    counts = {"trainable": 0, "frozen": 0, "buffer": 0}
    covered: defaultdict[Hashable, _Covered] = defaultdict(_Covered)
    stored_bytes = 0
    order = list(counts)
    for tensor in sorted(tensors, key=lambda tensor: order.index(tensor.role)):
        new_bytes = covered[tensor.storage].add(tensor.start, tensor.end) if tensor.end > tensor.start else 0
        # Rounded up: what an overlap leaves of a span can end within an element, which is a number all the
        # same.
        counts[tensor.role] += -(-new_bytes // tensor.item_bytes)
        stored_bytes += new_bytes
    return ParameterCount(counts["trainable"], counts["frozen"], counts["buffer"], 8 * stored_bytes)


class _Covered:
    """The bytes of one storage that have been counted, as disjoint spans in order."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, start: int, end: int) -> int:
        """Add [start, end) to the covered bytes; return how many of these bytes were not covered before."""
        # Spans that only touch are joined as well, so that the list stays short for a model in one storage.
        first, last = bisect_left(self._ends, start), bisect_right(self._starts, end)
        touched = list(zip(self._starts[first:last], self._ends[first:last], strict=True))
        known = sum(min(high, end) - max(low, start) for low, high in touched)
        self._starts[first:last] = [min([start, *(low for low, _ in touched)])]
        self._ends[first:last] = [max([end, *(high for _, high in touched)])]
        return end - start - known
