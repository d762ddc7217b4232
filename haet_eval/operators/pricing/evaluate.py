"""The price of one call."""

from haet_eval.operators.pricing.complex_numbers import with_parts
from haet_eval.operators.pricing.signs import of_signs
from haet_eval.operators.pricing.width import with_dtypes
from haet_eval.operators.signature import Signature, tensors_in
from haet_eval.operators.standard import current
from haet_eval.operators.table import NoPrice, kind_of, price_function

SIZED_BY_DATA = frozenset(
    {
        *("index", "masked_select", "nonzero", "repeat_interleave"),
        *("_unique", "_unique2", "unique_consecutive", "unique_dim", "unique_dim_consecutive"),
    }
)
"""Operators that search. Their output is empty if they find nothing, but the search is work all the same."""

WITHOUT_DTYPES = ("factory", "draw", "list")
"""Kinds that take no number from a tensor, or whose parts have been priced by their dtypes already."""


def computes_nothing(signature: Signature) -> bool:
    """Whether a call returns tensors and all of them are empty: it costs nothing, whatever its inputs."""
    sizes = [meta.numel for meta in tensors_in(signature.outputs)]
    return bool(sizes) and not any(sizes) and signature.operator.split(".")[1] not in SIZED_BY_DATA


def price_of(signature: Signature) -> int | None:
    """Operations of one call, under the current version of the standard; None if the call has no price.

    The number is never negative.

    Raises:
        TypeError, KeyError: the signature lacks an argument that its overload has, or the price is wrong.
    """
    price, kind = price_function(signature.operator), kind_of(signature.operator)
    if price is None:
        return None
    # Version 1 charged for an empty result what its price gave.
    if current() > 1 and computes_nothing(signature):
        return 0
    try:
        # A list's parts pass `with_parts` one by one, since they may be of several dtypes.
        operations = price(signature) if kind == "list" else with_parts(signature, price)
    except NoPrice:
        return None
    if operations < 0:  # a fault in a price: it would pay back the cost of other calls
        return None
    if kind not in WITHOUT_DTYPES:
        operations = with_dtypes(signature, operations)
    # Signs come last: they are real operations already, and no width multiplies them.
    return operations if current() == 1 else operations + of_signs(signature)
