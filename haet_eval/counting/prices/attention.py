"""Scaled dot-product attention, priced alike on every backend.

Forward: scores QKᵀ, the scale, the mask, the softmax, the dropout, the product with V. Backward: the
scores and the softmax once more, then the gradients of the two products, the softmax and the scale.
"""

from haet_eval.counting.prices.table import overloads, price
from haet_eval.counting.signature import Signature, TensorMeta


@price(
    *overloads(
        "_scaled_dot_product_cudnn_attention _scaled_dot_product_efficient_attention "
        "_scaled_dot_product_flash_attention _scaled_dot_product_flash_attention_for_cpu "
        "_scaled_dot_product_fused_attention_overrideable",
        ".default",
    )
)
def _attention(s: Signature) -> int:
    """n(2E − 1) for n scores, 1n each for scale and mask, 5n − 2R, 3n for dropout, 2nE − |out|."""
    query, value = s.tensor("query"), s.tensor("value")
    scores = _scores(s)
    if not scores:
        return 0
    rows = query.numel // query.shape[-1]
    return _weights(s) + (2 * scores - rows) * value.shape[-1]


@price(
    *overloads(
        "_scaled_dot_product_cudnn_attention_backward _scaled_dot_product_efficient_attention_backward "
        "_scaled_dot_product_flash_attention_backward _scaled_dot_product_flash_attention_for_cpu_backward "
        "_scaled_dot_product_fused_attention_overrideable_backward",
        ".default",
    )
)
def _attention_backward(s: Signature) -> int:
    """Recomputation, then dV = PᵀdO, dP = dO·Vᵀ, dropout, softmax, scale, dQ = dS·K, dK = dSᵀQ."""
    query, key, value = s.tensor("query"), s.tensor("key"), s.tensor("value")
    scores = _scores(s)
    if not scores:
        return 0
    rows = scores // key.shape[-2]
    value_products = 4 * scores * value.shape[-1] - value.numel - scores
    key_products = 4 * scores * query.shape[-1] - query.numel - key.numel
    softmax = 4 * scores - rows
    elementwise = scores * (_scaled(s) + _dropped(s))
    return _weights(s) + value_products + softmax + elementwise + key_products + _bias_gradient(s, scores)


def _scores(s: Signature) -> int:
    """Elements of QKᵀ; heads of the keys that serve several queries are counted for each."""
    query = s.tensor("query")
    return query.numel // max(query.shape[-1], 1) * s.tensor("key").shape[-2]


def _weights(s: Signature) -> int:
    """Operations up to the softmax and the dropout."""
    query, scores = s.tensor("query"), _scores(s)
    rows = query.numel // query.shape[-1]
    softmax = 5 * scores - 2 * rows
    elementwise = _scaled(s) + _masked(s) + bool(s["is_causal"]) + 3 * _dropped(s)
    return scores * (2 * query.shape[-1] - 1) + softmax + scores * elementwise


def _scaled(s: Signature) -> bool:
    return s["scale"] != 1


def _dropped(s: Signature) -> bool:
    return s["dropout_p"] != 0


def _masked(s: Signature) -> bool:
    mask = s.arguments.get("attn_mask", s.arguments.get("attn_bias"))
    return isinstance(mask, TensorMeta) and mask.numel > 0


def _bias_gradient(s: Signature, scores: int) -> int:
    """A gradient for the mask sums the scores' gradients over what the mask was broadcast along."""
    bias = s.outputs[3] if len(s.outputs) > 3 else None
    return max(scores - bias.numel, 0) if isinstance(bias, TensorMeta) and bias.numel else 0


@price("aten._fused_sdp_choice.default")
def _choice_of_backend(_: Signature) -> int:
    """Looks at shapes only: free."""
    return 0
