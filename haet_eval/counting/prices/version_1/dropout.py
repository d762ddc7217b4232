"""The backward of dropout, without the scaling of its mask."""

from haet_eval.counting.prices.table import overloads, superseded
from haet_eval.counting.signature import Signature


@superseded(1, *overloads("native_dropout_backward _masked_scale", ".default .out"))
def _backward(signature: Signature) -> int:
    """A product with the scaled mask."""
    return signature.out.numel
