"""What stands in for the CPU's fused attention on other devices."""

from typing import Any

import pytest
import torch

from haet_eval.remote.executor.attention import attention, attention_backward

FUSED = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default
FUSED_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward.default
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "causal": {"is_causal": True},
    "scaled": {"scale": 0.7},
    "mask of floats": {"attn_mask": torch.linspace(-1, 1, 20).reshape(4, 5)},
    "mask for each head": {"attn_mask": torch.linspace(-1, 1, 80).reshape(1, 4, 4, 5)},
    "shared heads": {"shared": True},
    "bfloat16": {"dtype": torch.bfloat16},
    "float64": {"dtype": torch.float64},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_gives_what_the_fused_operator_gives(name: str) -> None:
    options = dict(OPTIONS[name])
    shared, dtype = options.pop("shared", False), options.pop("dtype", torch.float32)
    causal = options.pop("is_causal", False)
    torch.manual_seed(0)
    query, grad = (torch.randn(2, 4, 4, 8).to(dtype) for _ in range(2))
    key, value = (torch.randn(2, 2 if shared else 4, 5, 8).to(dtype) for _ in range(2))
    out, logsumexp = FUSED(query, key, value, 0.0, causal, **options)
    saved = (grad, query, key, value, out, logsumexp, 0.0, causal)
    _close((out, logsumexp), attention(query, key, value, 0.0, causal, **options))
    if not shared:  # the fused kernel's backward takes as many keys as queries
        _close(FUSED_BACKWARD(*saved, **options), attention_backward(*saved, **options))


def test_the_gradient_of_shared_heads_is_that_of_the_heads_together() -> None:
    torch.manual_seed(0)
    query, grad = torch.randn(2, 4, 3, 8), torch.randn(2, 4, 3, 8)
    key, value = (torch.randn(2, 2, 5, 8, requires_grad=True) for _ in range(2))
    out, logsumexp = attention(query, key, value)
    expected = torch.autograd.grad(out, (key, value), grad)
    with torch.no_grad():
        found = attention_backward(grad, query, key, value, out, logsumexp, 0.0, False)
    _close(expected, found[1:])


def _close(expected: Any, found: Any) -> None:
    for one, other in zip(expected, found, strict=True):
        rounding = 2e-2 if one.dtype is torch.bfloat16 else 1e-5
        torch.testing.assert_close(other, one, rtol=rounding, atol=rounding)
