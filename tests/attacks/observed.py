"""What a call really does to memory: where each output lies, and what becomes of the inputs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import torch

from haet_eval.remote.executor.outcome import flat, is_tidy, meta_of, place_of, storage_of
from tests.attacks.executed_calls import FAILURES, ExecutedCall

INPUT: Final = "an input"
VIEW: Final = "in an input's memory"
NEW: Final = "in new memory"
UNTIDY: Final = "in a part of new memory, or with lazy bits"


@dataclass(frozen=True)
class Seen:
    """`outputs` has one of the words above for each tensor returned; `layouts` their sizes, strides and bits.

    `inputs_kept`: shape, strides, offset, bits, storage and storage size of each input are as before.
    """

    outputs: tuple[str, ...]
    layouts: tuple[tuple[object, ...], ...]
    inputs_kept: bool


def observed(call: ExecutedCall) -> Seen | None:
    """Run the call; None if it fails on the values or the layouts that it was given."""
    before = [place_of(tensor) for tensor in call.inputs]
    try:
        result = call.run()
    except FAILURES:
        return None
    tensors = [value for value in flat(result) if isinstance(value, torch.Tensor)]
    kept = before == [place_of(tensor) for tensor in call.inputs]
    return Seen(tuple(_kinds(tensors, call.inputs)), tuple(map(_layout, tensors)), kept)


def _kinds(outputs: list[torch.Tensor], inputs: list[torch.Tensor]) -> Iterator[str]:
    storages = {storage_of(tensor) for tensor in inputs}
    for output in outputs:
        if any(output is tensor for tensor in inputs):
            yield INPUT
        elif storage_of(output) in storages:
            yield VIEW
        else:
            yield NEW if is_tidy(output) and not meta_of(output).bits else UNTIDY


def _layout(tensor: torch.Tensor) -> tuple[object, ...]:
    meta = meta_of(tensor)
    return meta.shape, meta.stride, meta.dtype, meta.bits
