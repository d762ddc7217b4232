"""Scaled dot-product attention, priced alike on every backend.

Forward: scores QKᵀ, the scale, the mask, the softmax, the dropout, the product with V. Backward: the
scores and the softmax once more, then the gradients of the two products, the softmax and the scale.

Checks: the fused CPU kernel takes the shapes of its tensors for granted.
"""

from haet_eval.operators.checking.call import Call
from haet_eval.operators.checking.dtypes import FLOATS
from haet_eval.operators.checking.shapes import has_shape, same_dtype
from haet_eval.operators.signature import Signature, TensorMeta
from haet_eval.operators.table import operators


def flash_attention(call: Call) -> None:
    query, key, value = (call.tensor(name) for name in ("query", "key", "value"))
    call.require(all(x.ndim == 4 for x in (query, key, value)), "query, key and value must have 4 dimensions")
    call.require(query.dtype in FLOATS, "query must be floats")
    same_dtype(call, "query", "key", "value", "grad_out", "out")
    batch, heads, length, width = query.shape
    call.require(key.shape == value.shape, "key and value must have one shape")
    call.require(key.shape[0] == batch and key.shape[3] == width, "query and key do not match")
    call.require(min((*query.shape, *key.shape)) > 0, "a tensor is empty")
    # Grouped queries: several heads of the queries share one head of the keys.
    call.require(heads % key.shape[1] == 0, "query must have as many heads as key, or a multiple")
    for tensor in (query, key, value):
        # The kernel steps through a row by one element, whatever the stride is.
        call.require(tensor.stride[3] == 1 or width == 1, "the last dimension must be contiguous")
    has_shape(call, "out", query.shape)
    out = call.optional_tensor("out")
    call.require(out is None or width == 1 or out.stride[3] == 1, "out must be contiguous at the end")
    has_shape(call, "grad_out", query.shape)
    has_shape(call, "logsumexp", (batch, heads, length))
    _logsumexp(call.optional_tensor("logsumexp"), call)
    _mask(call, query, key)


def _logsumexp(tensor: TensorMeta | None, call: Call) -> None:
    wanted = "float64" if call.tensor("query").dtype == "float64" else "float32"
    call.require(tensor is None or tensor.dtype == wanted, f"logsumexp must be {wanted}")


def _mask(call: Call, query: TensorMeta, key: TensorMeta) -> None:
    mask = call.optional_tensor("attn_mask")
    if mask is None:
        return
    batch, heads, length, _ = query.shape
    full = (batch, heads, length, key.shape[2])
    call.require(mask.ndim in {2, 4}, "attn_mask must have 2 or 4 dimensions")
    call.require(mask.dtype in {"bool", "float32", query.dtype}, "attn_mask must be bool or of query's dtype")
    sizes = zip(mask.shape, full[-mask.ndim :], strict=True)
    call.require(all(size in {1, whole} for size, whole in sizes), "attn_mask does not broadcast")


@operators(check=flash_attention)("""
    _scaled_dot_product_flash_attention_for_cpu(Tensor query, Tensor key, Tensor value, float dropout_p=0.,
        bool is_causal=False, *, Tensor? attn_mask=None, float? scale=None) -> (Tensor output, Tensor
        logsumexp) : random
""")
def _attention(s: Signature) -> int:
    """n(2E − 1) for n scores, 1n each for scale and mask, 5n − 2R, 3n for dropout, 2nE − |out|."""
    query, value = s.tensor("query"), s.tensor("value")
    scores = _scores(s)
    # Without scores the width may be 0, by which the rows are divided below.
    if not scores:
        return 0
    rows = query.numel // query.shape[-1]
    return _weights(s) + (2 * scores - rows) * value.shape[-1]


@operators(check=flash_attention)("""
    _scaled_dot_product_flash_attention_for_cpu_backward(Tensor grad_out, Tensor query, Tensor key, Tensor
        value, Tensor out, Tensor logsumexp, float dropout_p, bool is_causal, *, Tensor? attn_mask=None,
        float? scale=None) -> (Tensor grad_query, Tensor grad_key, Tensor grad_value)
""")
def _attention_backward(s: Signature) -> int:
    """Recomputation, then dV = PᵀdO, dP = dO·Vᵀ, dropout, softmax, scale, dQ = dS·K, dK = dSᵀQ."""
    # Fused attention keeps no scores: its definition computes them again in the backward (decision 0024).
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
    # The kernels of other backends call it `attn_bias`.
    mask = s.arguments.get("attn_mask", s.arguments.get("attn_bias"))
    return isinstance(mask, TensorMeta) and mask.numel > 0


def _bias_gradient(s: Signature, scores: int) -> int:
    """A gradient for the mask sums the scores' gradients over what the mask was broadcast along."""
    # The kernel for CPUs returns no gradient of the mask; those of other backends do.
    bias = s.outputs[3] if len(s.outputs) > 3 else None
    return max(scores - bias.numel, 0) if isinstance(bias, TensorMeta) and bias.numel else 0


def choice_of_backend(_: Signature) -> int:
    """Looks at shapes only: free."""
    return 0
