"""Attention: the fused CPU kernel takes the shapes of its tensors for granted."""

from haet_eval.counting.signature import TensorMeta
from haet_eval.remote.operators.call import Call
from haet_eval.remote.operators.validators.dtypes import FLOATS
from haet_eval.remote.operators.validators.shapes import has_shape, same_dtype
from haet_eval.remote.operators.validators.table import validator


@validator(
    "_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention_for_cpu_backward"
)
def flash_attention(call: Call) -> None:
    query, key, value = (call.tensor(name) for name in ("query", "key", "value"))
    call.require(all(x.ndim == 4 for x in (query, key, value)), "query, key and value must have 4 dimensions")
    call.require(query.dtype in FLOATS, "query must be floats")
    same_dtype(call, "query", "key", "value", "grad_out", "out")
    batch, heads, length, width = query.shape
    call.require(key.shape == value.shape, "key and value must have one shape")
    call.require(key.shape[0] == batch and key.shape[3] == width, "query and key do not match")
    call.require(min((*query.shape, *key.shape)) > 0, "a tensor is empty")
    call.require(heads % key.shape[1] == 0, "query must have as many heads as key, or a multiple")
    for tensor in (query, key, value):
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
