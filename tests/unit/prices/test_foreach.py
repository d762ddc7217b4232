"""An operator on lists costs what it costs on each tensor."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle.recording import operations
from tests.unit.prices.shapes import few, shapes

Tensors = list[torch.Tensor]

CASES: dict[str, tuple[Callable[[Tensors], Any], Callable[[torch.Tensor], Any]]] = {
    "add lists": (lambda x: torch._foreach_add(x, x, alpha=0.5), lambda t: torch.add(t, t, alpha=0.5)),
    "add a scalar": (lambda x: torch._foreach_add_(x, 1.5), lambda t: t.add_(1.5)),
    "add scalars": (lambda x: torch._foreach_add(x, [1.5] * len(x)), lambda t: t + 1.5),
    "add a tensor": (
        lambda x: torch._foreach_add_(x, torch.ones(()), alpha=1),
        lambda t: t.add_(torch.ones(())),
    ),
    "mul": (lambda x: torch._foreach_mul(x, x), lambda t: t * t),
    "div by scalars": (lambda x: torch._foreach_div_(x, [3.0] * len(x)), lambda t: t.div_(3.0)),
    "addcmul": (
        lambda x: torch._foreach_addcmul_(x, x, x, value=0.5),
        lambda t: t.addcmul_(t, t, value=0.5),
    ),
    "addcdiv by scalars": (
        lambda x: torch._foreach_addcdiv(x, x, x, [0.5] * len(x)),
        lambda t: t.addcdiv(t, t, value=0.5),
    ),
    "addcdiv by units": (
        lambda x: torch._foreach_addcdiv(x, x, x, [1.0] * len(x)),
        lambda t: t.addcdiv(t, t),
    ),
    "lerp": (lambda x: torch._foreach_lerp_(x, x, 0.3), lambda t: t.lerp_(t, 0.3)),
    "sqrt": (torch._foreach_sqrt, torch.sqrt),
    "sigmoid": (torch._foreach_sigmoid_, torch.sigmoid_),
    "maximum": (lambda x: torch._foreach_maximum_(x, x), lambda t: torch.maximum(t, t)),
    "clamp": (lambda x: torch._foreach_clamp_min_(x, 0.5), lambda t: t.clamp_min_(0.5)),
    "pow": (lambda x: torch._foreach_pow(x, 3), lambda t: t.pow(3)),
    "power of a scalar": (lambda x: torch._foreach_pow(2.5, x), lambda t: torch.pow(2.5, t)),
    "norm": (lambda x: torch._foreach_norm(x, 2), lambda t: torch.linalg.vector_norm(t, 2)),
    "norm of order 3": (lambda x: torch._foreach_norm(x, 3), lambda t: torch.linalg.vector_norm(t, 3)),
    "max": (torch._foreach_max, torch.max),
    "copy": (lambda x: torch._foreach_copy_(x, x), lambda t: t.copy_(t)),
    "zero": (torch._foreach_zero_, torch.zero_),
}


@pytest.mark.parametrize("name", CASES)
@few
@given(sizes=st.lists(shapes(), min_size=1, max_size=3))
def test_lists(name: str, sizes: list[tuple[int, ...]]) -> None:
    listed, single = CASES[name]
    tensors = [torch.rand(size) for size in sizes]
    each = sum(operations(lambda t=t: single(t)) for t in tensors)  # type: ignore[misc]
    assert operations(lambda: listed(tensors)) == each
