"""Whole transformer layers that torch runs as one operator if no gradient is asked for.

They cost the sum of their parts: linear maps 2nK with their bias, attention, 7|in| + 2R for a layer norm.
"""

from haet_eval.operators.signature import Signature

_GELU, _RELU = 5, 1


def multi_head_attention(s: Signature) -> int:
    """Project query, key and value; attend; project; average the weights of the heads if they are wanted."""
    query, key = s.tensor("query"), s.tensor("key")
    batch, rows, _ = query.shape
    averaged = bool(s["need_weights"]) and bool(s["average_attn_weights"])
    return _attention_block(s, batch, rows, key.shape[1], averaged=averaged)


def encoder_layer(s: Signature) -> int:
    """Attention and a feed-forward part, each with a layer norm and the sum with its input."""
    source = s.tensor("src")
    batch, rows, width = source.shape
    hidden = s.tensor("ffn_weight_1").shape[0]
    activated = batch * rows * hidden * (_GELU if s["use_gelu"] else _RELU)
    feed_forward = 4 * batch * rows * width * hidden + activated
    norms = 2 * (7 * source.numel + 2 * batch * rows)
    return _attention_block(s, batch, rows, rows, averaged=False) + feed_forward + norms + 2 * source.numel


def _attention_block(s: Signature, batch: int, rows: int, columns: int, *, averaged: bool) -> int:
    (width,) = s.integers("embed_dim")
    (heads,) = s.integers("num_head" if "num_head" in s.arguments else "num_heads")
    scores = batch * heads * rows * columns
    projections = 2 * batch * width**2 * (2 * rows + 2 * columns)
    products = scores * (2 * (width // heads) - 1) + batch * rows * width * (2 * columns - 1)
    softmax = 5 * scores - 2 * batch * heads * rows
    masked = s["mask"] is not None
    return projections + products + softmax + scores * (1 + masked + averaged)
