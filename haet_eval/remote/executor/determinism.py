"""Kernels that give the same bits each time, so that a replay ends in the same weights."""

import warnings

import torch


def make_reproducible() -> None:
    """Take the deterministic kernel of each operator that has one; the others run as they are.

    On a processor this concerns writes by index: with several threads, `index_put` and `put` add in any
    order, and of several values for one element any may be the last.
    """
    torch.use_deterministic_algorithms(True, warn_only=True)
    warnings.filterwarnings("ignore", message=".*does not have a deterministic implementation")
    # New memory is zeroed where it can be seen (see `kernel`); NaN in the rest would only cost time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
