"""Lazy bits that were paid when a view was made, and not when it was read."""

from haet_eval.counting.prices.pointwise import is_complex
from haet_eval.counting.prices.table import overloads, superseded
from haet_eval.counting.signature import CONJUGATE, NEGATIVE, Signature, TensorMeta

_FUNCTION = ".default .out"
_SET = "aten.set_.source_Tensor"


@superseded(1, "aten._conj.default", "aten._neg_view.default")
def _sign_change(signature: Signature) -> int:
    """One negation of each element, however late it happens; none for the conjugate of real numbers."""
    parts = 2 if "_neg_view" in signature.operator and is_complex(signature) else 1
    return signature.out.numel * parts if is_complex(signature) or "_neg_view" in signature.operator else 0


@superseded(
    1,
    *overloads("as_strided", ".default _.default"),
    *overloads("as_strided_copy as_strided_scatter", _FUNCTION),
    _SET,
)
def _reaching_view(signature: Signature) -> int:
    """Free, but for the lazy bits of a tensor that comes to show memory for which they were not paid.

    `as_strided` shows any element of the memory, `set_` another memory: each of them would be negated or
    conjugated for nothing.
    """
    bits = signature.tensor("self").bits
    if signature.operator == _SET:
        bits ^= signature.tensor("source").bits
    return _flips(bits, signature.out)


def _flips(bits: int, meta: TensorMeta) -> int:
    """One sign change for each element that a lazy bit conjugates, two for a complex one that it negates."""
    parts = 2 if meta.dtype.startswith("complex") else 1
    return meta.numel * ((bits & CONJUGATE > 0) + parts * (bits & NEGATIVE > 0))
