"""No call that the meter accepts has a negative price, which would pay back what others have cost."""

import warnings
from random import Random
from typing import Final

import torch

from haet_eval.operators.checking.validation import Refused
from haet_eval.operators.signature import Argument, Signature, TensorMeta
from haet_eval.operators.table import NoPrice, price_function
from tests.attacks.execution import overload_of
from tests.attacks.mutation import mutated
from tests.attacks.recorded_calls import RecordedCall, metered, recorded_calls
from tests.oracle.recording import argument

MUTATIONS: Final = 3
LARGEST: Final = 2**24


def test_no_accepted_call_has_a_negative_price() -> None:
    chance, asked, negative = Random(0), 0, []
    for calls in recorded_calls().values():
        for call in calls[:3]:
            for variation in (call, *(mutated(call, chance) for _ in range(MUTATIONS))):
                signature = accepted(variation)
                price = None if signature is None else raw_price(signature)
                asked += price is not None
                if price is not None and price < 0:
                    negative.append((signature, price))
    assert asked > 2000
    assert negative == []


def test_reflections_that_a_crop_cuts_are_the_case_that_this_was_made_for() -> None:
    gradient = TensorMeta((1, 1), (1, 1), 0, "float32")
    image = TensorMeta((1, 10), (10, 1), 0, "float32")
    arguments: dict[str, Argument] = {"grad_output": gradient, "self": image, "padding": (-18, 9)}
    assert raw_price(Signature("aten.reflection_pad1d_backward.default", arguments, (image,))) == 0


def accepted(call: RecordedCall) -> Signature | None:
    """The call with the outputs that PyTorch gives to such shapes; None if it is refused."""
    try:
        call.check()
        given = {name: _on_meta(value) for name, value in call.arguments.items()}
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = overload_of(call.operator)(**given)
    except (Refused, RuntimeError, TypeError, ValueError, IndexError, ArithmeticError, AssertionError):
        return None
    returned = len(overload_of(call.operator)._schema.returns)
    outputs = () if returned == 0 else (result,) if returned == 1 else tuple(result)
    return Signature(
        call.operator, metered(call.schema(), call.arguments), tuple(argument(one) for one in outputs)
    )


def _on_meta(value: Argument) -> object:
    if isinstance(value, TensorMeta):
        if value.numel > LARGEST:
            raise ValueError("larger than needed")
        dtype = getattr(torch, value.dtype)
        return torch.empty_strided(value.shape, value.stride, dtype=dtype, device="meta")
    if isinstance(value, tuple):
        return [_on_meta(item) for item in value]
    if isinstance(value, str) and isinstance(getattr(torch, value, None), torch.dtype):
        return getattr(torch, value)
    return value


def raw_price(signature: Signature) -> int | None:
    """What the formula gives, where `price_of` would let a negative price be none."""
    price = price_function(signature.operator)
    try:
        return None if price is None else price(signature)
    except (NoPrice, KeyError, TypeError):
        return None
