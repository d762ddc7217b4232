"""The CPU's fused attention, written out in operators that every device has.

The outputs have the shapes and dtypes of the fused operator's.
"""

import torch

Tensor = torch.Tensor


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    dropout_p: float = 0.0,  # noqa: ARG001 PyTorch takes the fused operator without dropout only
    is_causal: bool = False,
    *,
    attn_mask: Tensor | None = None,
    scale: float | None = None,
) -> tuple[Tensor, Tensor]:
    """As `aten._scaled_dot_product_flash_attention_for_cpu`: output [B, H, L, E] and logsumexp [B, H, L]."""
    key, value = (_for_each_head(tensor, query) for tensor in (key, value))
    scores = _scores(query, key, is_causal, attn_mask, scale)
    logsumexp = scores.logsumexp(-1)
    weights = (scores - logsumexp.unsqueeze(-1)).exp()
    return (weights @ value.to(weights.dtype)).to(query.dtype), logsumexp


def attention_backward(
    grad_out: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    out: Tensor,
    logsumexp: Tensor,
    dropout_p: float,  # noqa: ARG001
    is_causal: bool,
    *,
    attn_mask: Tensor | None = None,
    scale: float | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """As `aten._scaled_dot_product_flash_attention_for_cpu_backward`: gradients of query, key and value."""
    wide = logsumexp.dtype
    keys, values = (_for_each_head(tensor, query) for tensor in (key, value))
    grad = grad_out.to(wide)
    weights = (_scores(query, keys, is_causal, attn_mask, scale) - logsumexp.unsqueeze(-1)).exp()
    # Equal to the row sum of the weights times their gradient, which the backward of a softmax needs.
    # FlashAttention takes it from the output in the same way.
    kept = (grad * out.to(wide)).sum(-1, keepdim=True)
    grad_scores = weights * (grad @ values.to(wide).mT - kept) * _factor(query, scale)
    grads = (grad_scores @ keys.to(wide), grad_scores.mT @ query.to(wide), weights.mT @ grad)
    return (
        grads[0].to(query.dtype),
        _sum_of_heads(grads[1], key).to(key.dtype),
        _sum_of_heads(grads[2], value).to(value.dtype),
    )


def _scores(query: Tensor, key: Tensor, is_causal: bool, mask: Tensor | None, scale: float | None) -> Tensor:
    wide = torch.float64 if query.dtype is torch.float64 else torch.float32
    scores = query.to(wide) @ key.to(wide).mT * _factor(query, scale)
    if is_causal:
        # The mask begins at the upper left corner, also if there are more keys than queries.
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(later, -torch.inf)
    return scores if mask is None else scores + mask


def _factor(query: Tensor, scale: float | None) -> float:
    return float(query.shape[-1] ** -0.5 if scale is None else scale)


def _for_each_head(tensor: Tensor, query: Tensor) -> Tensor:
    """Keys and values that several heads share, once for each of them."""
    times = query.shape[1] // tensor.shape[1]
    return tensor if times == 1 else tensor.repeat_interleave(times, 1)


def _sum_of_heads(grad: Tensor, shared: Tensor) -> Tensor:
    if grad.shape[1] == shared.shape[1]:
        return grad
    return grad.reshape(shared.shape[0], shared.shape[1], -1, *shared.shape[2:]).sum(2)
