"""Every operator of the allow-list, called on integers of one byte and of eight, if its kernel takes them."""

import warnings
from collections.abc import Iterator
from functools import cache
from itertools import islice

import torch

from haet_eval.counting.prices.roles import is_exempt
from haet_eval.counting.signature import Signature
from haet_eval.remote.operators.allowed import allowed_operators
from tests.attacks.executed_calls import FAILURES, ExecutedCall, executed_calls
from tests.oracle.recording import Recording

CALLS_EACH = 12
_NUMBERS = (
    *(torch.float32, torch.float64, torch.float16, torch.bfloat16),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8),
)


def _on(call: ExecutedCall, name: str, dtype: torch.dtype) -> Signature | None:
    """The call with all that it computes with in this dtype; None without such, or if its kernel refuses."""
    inputs = [
        tensor if is_exempt(name, parameter) or tensor.dtype not in _NUMBERS else tensor.to(dtype)
        for tensor, parameter in zip(call.inputs, call.parameters, strict=True)
    ]
    if not any(
        made is not given or made.dtype == dtype for made, given in zip(inputs, call.inputs, strict=True)
    ):
        return None
    changed = ExecutedCall(call.definition, call.generator, inputs, call.parameters)
    recording = Recording()
    try:
        with recording:
            changed.run()
    except FAILURES:
        return None
    return next((one for one in recording.signatures if one.operator == name), None)


def _pairs(name: str) -> Iterator[tuple[Signature, Signature]]:
    for call in islice(executed_calls(name), CALLS_EACH):
        narrow, wide = _on(call, name, torch.int8), _on(call, name, torch.int64)
        if narrow is not None and wide is not None:
            yield narrow, wide


@cache
def integer_calls() -> dict[str, list[tuple[Signature, Signature]]]:
    """By overload: calls on int8, and the same on int64. Overloads that take no integers are left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {name: [*_pairs(name)] for name in sorted(allowed_operators())}
    return {name: pairs for name, pairs in found.items() if pairs}
