"""Honest calls pass, and kernels write only what they say they write."""

from contextlib import nullcontext, suppress
from random import Random

import pytest
import torch
from torch.utils._pytree import tree_leaves

from haet_eval.remote.executor.guards import BadValue
from haet_eval.remote.operators.allowed import allowed_operators
from haet_eval.remote.operators.validation import Refused, written_parameters
from tests.attacks.execution import prepared, with_real_origins
from tests.attacks.recorded_calls import recorded_calls

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*deprecated:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*in beta:UserWarning"),
]

BY_HAND = {
    "aten.empty_strided.default",  # with gaps, whose memory nobody clears
    "aten._upsample_bilinear2d_aa.default",  # with a scale that torch.nn.functional never gives
    "aten._upsample_bilinear2d_aa_backward.default",
    "aten.addbmm_.default",  # into a tensor that it resizes, as no other operator of its kind does
}
"""Operators that PyTorch's samples also call as no program does."""


def test_every_allowed_operator_was_recorded() -> None:
    assert recorded_calls().keys() == allowed_operators()


@pytest.mark.parametrize("name", sorted(allowed_operators()))
def test_honest_calls_are_accepted(name: str) -> None:
    for call in recorded_calls()[name]:
        with suppress(Refused) if name in BY_HAND else nullcontext():
            call.check()


@pytest.mark.parametrize("name", sorted(allowed_operators() - {"aten.set_.source_Tensor"}))
def test_only_declared_parameters_are_written(name: str) -> None:
    chance = Random(0)
    for recorded in recorded_calls()[name][:2]:
        call, made = with_real_origins(recorded, chance)
        given, execute = prepared(call, chance, made)
        before = {key: [leaf.clone() for leaf in _tensors(value)] for key, value in given.items()}
        try:
            call.check()
            execute()
        except (Refused, BadValue, RuntimeError, IndexError):
            continue
        declared = written_parameters(call.schema())
        for key, copies in before.items():
            if key not in declared:
                for now, then in zip(_tensors(given[key]), copies, strict=True):
                    assert now.shape == then.shape
                    assert torch.equal(_bits(now), _bits(then)), f"{name} has written {key}"


def _tensors(value: object) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    plain = tensor.resolve_conj().resolve_neg()
    # Not contiguous(): it leaves the stride of a dimension of size 1 as it is, and view() minds.
    flat = plain.clone(memory_format=torch.contiguous_format).reshape(-1)
    return flat.to(torch.uint8) if flat.numel() == 0 else flat.view(torch.uint8)
