"""Prints a digest of all memory that each recorded call has written, gaps included: a line for each call.

Usage: python -m tests.attacks.output_bytes REMAINDER MODULUS MUTATIONS

It runs every MODULUS-th allowed operator, in one thread. What glibc's MALLOC_PERTURB_ puts into new memory
shows in the digest if no kernel has written over it. The first line is the digest of such memory.
"""

import hashlib
import resource
import sys
import warnings
from collections.abc import Iterable

import torch

from haet_eval.operators.table import allowed_operators
from haet_eval.remote.executor.outcome import flat, storage_of, tidied
from tests.attacks.executed_calls import ExecutedCall, Variant, executed_calls, memory_of

CONTROL = "memory that nothing has written:"
GAPS = "gaps"
"""Ends the line of a call whose output in new memory does not cover it: `as_strided` would show the rest."""
MEMORY_BYTES = 4 << 30
"""Some mutated calls ask for more, and MALLOC_PERTURB_ writes to all of it."""


def main(remainder: int, modulus: int, mutations: int) -> None:
    """Run the operators whose place in the sorted list has this remainder."""
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    warnings.simplefilter("ignore")
    sys.stdout.write(f"{CONTROL} {_digest([torch.empty(1000)])}\n")
    for name in sorted(allowed_operators())[remainder::modulus]:
        for variant in (Variant.PLAIN, Variant.LAZY):
            for place, call in enumerate(executed_calls(name, variant, mutations=mutations)):
                sys.stdout.write(f"{name}, call {place}, {variant.name}: {_outcome(call)}\n")


def _outcome(call: ExecutedCall) -> str:
    try:
        values = list(flat(tidied(call.run(), call.inputs)))
    except Exception as error:  # a mutated call may fail in any way
        return type(error).__name__
    tensors = [value for value in values if isinstance(value, torch.Tensor)]
    numbers = [value for value in values if not isinstance(value, torch.Tensor)]
    gaps = GAPS if any(_has_gaps(tensor, call.inputs) for tensor in tensors) else ""
    return f"{_digest([*tensors, *call.inputs])} {numbers} {gaps}"


def _has_gaps(tensor: torch.Tensor, inputs: list[torch.Tensor]) -> bool:
    new = storage_of(tensor) not in map(storage_of, inputs)
    return bool(new and tensor.numel() and not torch.ops.aten.is_non_overlapping_and_dense(tensor))


def _digest(tensors: Iterable[torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(memory_of(tensor).numpy().data)
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
