"""Kernels that give the same bits each time, so that a replay ends in the same weights."""

import warnings
from collections.abc import Callable
from typing import Any, Final

import torch

_ORDERED_BY_THREADS: Final = frozenset({"aten::put", "aten::put_"})
"""If several values go to one element, the last thread wins. PyTorch has no deterministic kernel of these."""


def make_reproducible() -> None:
    """Take the deterministic kernel of each operator that has one; the others run as they are.

    On a processor this concerns writes by index: with several threads, `index_put` adds in any order, and of
    several values for one element any may be the last.
    """
    # As torch.use_deterministic_algorithms, which also imports the compiler to set an option of it. That
    # takes nearly as long as the import of PyTorch, and nothing is compiled here.
    torch._C._set_deterministic_algorithms(True, warn_only=True)
    warnings.filterwarnings("ignore", message=".*does not have a deterministic implementation")
    # `kernel` zeroes the new memory that a submission can see. NaN in the rest would only cost time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def in_order(operator: Any, call: Callable[..., Any]) -> Callable[..., Any]:
    """How to call an operator of `torch.ops.aten`: on one thread if threads could change its result."""
    if operator._schema.name not in _ORDERED_BY_THREADS:
        return call

    def run(*positional: Any, **named: Any) -> Any:
        # Restored after each call: the other kernels need their threads.
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return call(*positional, **named)
        finally:
            torch.set_num_threads(threads)

    return run
