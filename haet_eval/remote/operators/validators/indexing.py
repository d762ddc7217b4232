"""Indexing: kernels check most indices themselves; these checks cover the others."""

from haet_eval.remote.operators.call import Call
from haet_eval.remote.operators.validators.dtypes import INDICES
from haet_eval.remote.operators.validators.shapes import fits, has_shape
from haet_eval.remote.operators.validators.table import validator


@validator("embedding_dense_backward")
def embedding_backward(call: Call) -> None:
    gradient, indices = call.tensor("grad_output"), call.tensor("indices")
    call.require(indices.dtype in INDICES, "indices must be int32 or int64")
    call.require(gradient.ndim > 0, "grad_output has no dimensions")
    has_shape(call, "grad_output", (*indices.shape, gradient.shape[-1]))
    fits(call, (call.integer("num_weights"), gradient.shape[-1]))


@validator("embedding")
def embedding(call: Call) -> None:
    weight, indices = call.tensor("weight"), call.tensor("indices")
    call.require(weight.ndim == 2 and indices.dtype in INDICES, "weight must be a matrix, indices int64")
    fits(call, (*indices.shape, weight.shape[1]))


@validator("embedding_renorm_")
def embedding_renorm(call: Call) -> None:
    call.require(call.tensor("self").ndim == 2, "self must be a matrix")
    call.require(call.tensor("indices").dtype in INDICES, "indices must be int64")
