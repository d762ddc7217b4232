"""Kernels that give the same bits each time, so that a replay ends in the same weights."""

import warnings
from collections.abc import Callable
from typing import Any, Final

import torch

_ORDERED_BY_THREADS: Final = frozenset({"aten::put", "aten::put_"})
"""Of several values for one element, threads leave any; PyTorch has no deterministic kernel of these."""


def make_reproducible() -> None:
    """Take the deterministic kernel of each operator that has one; the others run as they are.

    On a processor this concerns writes by index: with several threads, `index_put` adds in any order, and of
    several values for one element any may be the last.
    """
    torch.use_deterministic_algorithms(True, warn_only=True)
    warnings.filterwarnings("ignore", message=".*does not have a deterministic implementation")
    # `kernel` zeroes the new memory that a submission can see. NaN in the rest would only cost time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def in_order(operator: Any, call: Callable[..., Any]) -> Callable[..., Any]:
    """How `operator` of `torch.ops.aten` is called: on one thread if its result depends on their order."""
    if operator._schema.name not in _ORDERED_BY_THREADS:
        return call

    def run(*positional: Any, **named: Any) -> Any:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return call(*positional, **named)
        finally:
            torch.set_num_threads(threads)

    return run
