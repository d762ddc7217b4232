"""Kernels write only what the meter takes for written: every other byte of every input stays as it was."""

from contextlib import suppress

import pytest
import torch

from haet_eval.operators.table import allowed_operators, lookup
from haet_eval.remote.definitions import parameters_written
from haet_eval.remote.executor.outcome import storage_of
from tests.attacks.executed_calls import FAILURES, ExecutedCall, Variant, executed_calls, memory_of

pytestmark = pytest.mark.filterwarnings("ignore")

MOVES = {"aten.set_.source_Tensor"}
"""Its first input lies in another memory afterwards, so that its former one cannot be seen."""


@pytest.mark.parametrize("variant", Variant)
def test_inputs_that_are_not_written_keep_every_byte_of_their_memory(variant: Variant) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        calls = (
            call for name in sorted(allowed_operators() - MOVES) for call in executed_calls(name, variant)
        )
        found = {
            f"{call.definition.operator} writes {name}" for call in calls for name in _hidden_writes(call)
        }
    finally:
        torch.set_num_threads(threads)
    assert found == set()


def _hidden_writes(call: ExecutedCall) -> list[str]:
    """The parameters whose memory has changed though the meter does not take them for written."""
    operator = lookup(call.definition.operator)
    assert operator is not None
    written = parameters_written(operator, call.definition.arguments)  # type: ignore[arg-type]
    pairs = list(zip(call.inputs, call.parameters, strict=True))
    changing = {storage_of(tensor) for tensor, name in pairs if name in written}
    kept = [
        (tensor, name, memory_of(tensor).clone())
        for tensor, name in pairs
        if storage_of(tensor) not in changing
    ]
    with suppress(*FAILURES):  # a call that fails must not have written them either
        call.run()
    return [name for tensor, name, before in kept if not torch.equal(memory_of(tensor), before)]
