"""Dropout: draw, mask, scale."""

from haet_eval.counting.prices.literals import multiplies
from haet_eval.counting.prices.table import overloads, price
from haet_eval.counting.signature import Signature

_FUNCTION = ".default .out"


@price(*overloads("native_dropout", _FUNCTION))
def _dropout(signature: Signature) -> int:
    """3n: a draw, the scaling of the mask, the product; nothing out of training."""
    return 0 if signature["train"] is False else 3 * signature.out.numel


@price(*overloads("_fused_dropout", _FUNCTION))
def _fused_dropout(signature: Signature) -> int:
    """3n: a draw, the scaling of the mask, the product."""
    return 3 * signature.out.numel


@price(*overloads("native_dropout_backward _masked_scale", _FUNCTION))
def _backward(signature: Signature) -> int:
    """A product with the mask, and one with the scale unless that is 1."""
    return signature.out.numel * (1 + multiplies(signature["scale"]))
