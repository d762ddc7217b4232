"""The price of one call."""

from haet_eval.counting.prices.table import NoPrice, lookup
from haet_eval.counting.signature import Signature


def price_of(signature: Signature) -> int | None:
    """Operations of one call with this signature; None where the standard has no price for it.

    Raises:
        TypeError, KeyError: the signature lacks an argument that its overload has, or the price is wrong.
    """
    price = lookup(signature.operator)
    if price is None:
        return None
    try:
        return price(signature)
    except NoPrice:
        return None
