"""Dropout: draw, mask, scale."""

from haet_eval.operators.pricing.literals import multiplies
from haet_eval.operators.signature import Signature
from haet_eval.operators.table import BY_KERNEL, operators


@operators(check=BY_KERNEL)("""
    native_dropout(Tensor input, float p, bool? train) -> (Tensor, Tensor) : random
""")
def _dropout(signature: Signature) -> int:
    """3n: a draw, the scaling of the mask, the product; nothing out of training."""
    return 0 if signature["train"] is False else 3 * signature.out.numel


def fused_dropout(signature: Signature) -> int:
    """3n: a draw, the scaling of the mask, the product."""
    return 3 * signature.out.numel


@operators(check=BY_KERNEL)("""
    native_dropout_backward(Tensor grad_output, Tensor mask, float scale) -> Tensor : pointwise
""")
def _backward(signature: Signature) -> int:
    """A product with the mask, and one with the scale unless that is 1."""
    return signature.out.numel * (1 + multiplies(signature["scale"]))
