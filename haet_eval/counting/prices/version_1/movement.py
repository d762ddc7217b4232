"""The prices of version 1 for lazy bits: the call that makes a view pays, and the reads are free."""

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
    """Free, unless the tensor has lazy bits: then it shows new elements, and the bits of these have a price.

    `as_strided` shows any element of the memory, and `set_` shows another memory. Otherwise these elements
    would be negated or conjugated at no cost.
    """
    bits = signature.tensor("self").bits
    if signature.operator == _SET:
        bits ^= signature.tensor("source").bits
    return _flips(bits, signature.out)


def _flips(bits: int, meta: TensorMeta) -> int:
    """One sign change for each element that a lazy bit conjugates, two for a complex one that it negates."""
    parts = 2 if meta.dtype.startswith("complex") else 1
    return meta.numel * ((bits & CONJUGATE > 0) + parts * (bits & NEGATIVE > 0))
