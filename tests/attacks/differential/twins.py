"""Two trials that differ in nothing but data, and in what memory held before: neither may show elsewhere.

Data is what the meter calls tainted. A tensor that is not tainted is read back for nothing, so its bytes must
be the same, whatever the data is. A kernel that leaves a part of its output unwritten shows old memory there.
"""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import torch

from haet_eval.operators.signature import TensorMeta
from tests.attacks.differential.world import Kind

_M_PERTURB: Final = -6
"""The parameter of glibc's mallopt that fills memory when it is allocated and when it is freed."""
FILLINGS: Final = (0x55, 0xA3)


@dataclass(frozen=True, slots=True)
class Step:
    """What a record left: how it ended, whether data went in, all tensors, and the bytes of those without.

    `dynamic`: the meter charges what the shapes tell.
    """

    kind: Kind
    tainted: bool
    dynamic: bool
    metas: dict[int, TensorMeta]
    untainted: dict[int, bytes]


def told_apart(one: Sequence[Step], other: Sequence[Step]) -> str | None:
    """What tells two trials apart that should not; None if nothing does.

    A shape, or a failure, that depends on data ends the comparison: the meter charges it, or the run is over.
    """
    for number, (left, right) in enumerate(zip(one, other, strict=False)):
        if (left.kind, left.metas) != (right.kind, right.metas):
            if left.kind == right.kind and not left.dynamic:
                return f"after record {number} shapes depend on data, which is not charged"
            apart = f"record {number} ended as {left.kind} and as {right.kind} without data"
            return None if left.tainted or right.tainted else apart
        for tensor, content in left.untainted.items():
            if right.untainted.get(tensor) != content:
                inside = _difference(content, right.untainted.get(tensor, b""))
                return f"after record {number} tensor {tensor} has other bytes, and is not tainted: {inside}"
    return None


def _difference(one: bytes, other: bytes) -> str:
    places = [place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]]
    return f"{len(places)} of {len(one)} bytes, first at {places[:1]}"


@contextmanager
def memory_filled(filling: int) -> Iterator[None]:
    """New memory holds a byte made of this one, if the C library can do that."""
    mallopt: Callable[[int, int], int] | None = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        yield
        return
    mallopt(_M_PERTURB, filling)
    try:
        yield
    finally:
        mallopt(_M_PERTURB, 0)


class Numbers:
    """Random numbers of our own: drawing from them moves no generator that an operator draws from."""

    def __init__(self, seed: int) -> None:
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            self._state = torch.get_rng_state()

    @contextmanager
    def drawn(self) -> Iterator[None]:
        """Within, PyTorch's default generator is this one."""
        state = torch.get_rng_state()
        torch.set_rng_state(self._state)
        try:
            yield
        finally:
            self._state = torch.get_rng_state()
            torch.set_rng_state(state)
