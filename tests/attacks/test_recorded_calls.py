"""Honest calls pass."""

from contextlib import nullcontext, suppress

import pytest

from haet_eval.operators.checking.validation import Refused
from haet_eval.operators.table import allowed_operators
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
