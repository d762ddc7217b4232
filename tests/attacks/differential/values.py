"""Values for tensors that are views of some memory: all that they span is written, gaps included."""

from dataclasses import replace
from random import Random

import torch

from haet_eval.remote.handles import span_elements
from tests.attacks.differential.arrangement import Wanted
from tests.attacks.execution import tensor_of


def fill_tamely(tensor: torch.Tensor, one: Wanted) -> None:
    """Small values, which are indices, probabilities and numbers of classes as well: no kernel minds them."""
    flat = _span(tensor)
    if one.values is not None and len(one.values) == tensor.numel() and tensor.is_contiguous():
        flat.copy_(torch.tensor(one.values, dtype=torch.int64))
    elif tensor.is_floating_point() or tensor.is_complex():
        flat.copy_(torch.rand(flat.shape) * 0.9 + 0.05)
    else:
        flat.copy_(torch.randint(0, 2, flat.shape))


def fill_wildly(tensor: torch.Tensor, one: Wanted, chance: Random) -> None:
    """Any values: zeros, extremes, NaN, integers that are no index of anything."""
    flat = _span(tensor)
    meta = replace(one.meta, shape=tuple(flat.shape), stride=(1,), offset=0, bits=0)
    flat.copy_(tensor_of(meta, chance, flush=False))


def _span(tensor: torch.Tensor) -> torch.Tensor:
    """Everything from its first element to its last."""
    return tensor.as_strided((span_elements(tuple(tensor.shape), tensor.stride()),), (1,))
