"""The price of one call."""

from dataclasses import replace

from haet_eval.counting.dtypes import part
from haet_eval.counting.prices.foreach import BY_PART
from haet_eval.counting.prices.movement import CREATIONS
from haet_eval.counting.prices.pointwise import is_complex as of_complex
from haet_eval.counting.prices.random import DRAWS
from haet_eval.counting.prices.table import NoPrice, lookup
from haet_eval.counting.prices.width import with_dtypes
from haet_eval.counting.signature import Argument, Signature, TensorMeta, tensors_in
from haet_eval.counting.standard import current

SIZED_BY_DATA = frozenset(
    {
        *("index", "masked_select", "nonzero", "repeat_interleave"),
        *("_unique", "_unique2", "unique_consecutive", "unique_dim", "unique_dim_consecutive"),
    }
)
"""Operators that search, and whose output is empty if they find nothing: the search is work."""

WITHOUT_DTYPES = CREATIONS | DRAWS | BY_PART
"""Operators that take no number from a tensor, or whose parts have been priced by their dtypes already."""

OF_COMPLEX_NUMBERS = frozenset(
    {
        *("angle", "polar", "lu_unpack", "masked_scatter", "masked_select", "index", "index_put", "nonzero"),
        *("_unsafe_index", "_unsafe_index_put", "_index_put_impl"),
    }
)
"""Operators on complex numbers that honestly cost less than twice as much: a part goes in or comes out, or a
search costs the same. So do transforms and factorizations (`fft`, `linalg`), counted as published."""

SUMS_OF_PARTS = frozenset(
    {
        *(f"{kind}_pad{n}d_backward" for kind in ("reflection", "replication") for n in (1, 2, 3)),
        *("unfold_backward", "col2im", "linspace", "logspace"),
    }
)
"""Operators that only add: a sum of complex numbers is two."""


def computes_nothing(signature: Signature) -> bool:
    """Whether a call gives tensors, and all of them are empty: it costs nothing, whatever goes into it."""
    sizes = [meta.numel for meta in tensors_in(signature.outputs)]
    return bool(sizes) and not any(sizes) and signature.operator.split(".")[1] not in SIZED_BY_DATA


def price_of(signature: Signature) -> int | None:
    """Operations of one call, under the current version of the standard; None if that has no price for it.

    Never negative.

    Raises:
        TypeError, KeyError: the signature lacks an argument that its overload has, or the price is wrong.
    """
    price = lookup(signature.operator)
    if price is None:
        return None
    if current() > 1 and computes_nothing(signature):
        return 0
    try:
        operations = price(signature)
    except NoPrice:
        return None
    if operations < 0:  # a fault in a price: nothing may pay back what other calls have cost
        return None
    if current() > 1 and of_complex(signature):
        base = signature.operator.split(".")[1].removesuffix("_")
        operations *= 2 if base in SUMS_OF_PARTS else 1
        if not _knows_complex(base) and operations < 2 * price(_of_real(signature)):
            return None
    return operations if signature.operator in WITHOUT_DTYPES else with_dtypes(signature, operations)


def _knows_complex(base: str) -> bool:
    return base in OF_COMPLEX_NUMBERS or base.startswith(("_fft", "linalg", "_linalg"))


def _of_real(signature: Signature) -> Signature:
    """The same call on real numbers: a price that does not tell them apart was not made for complex ones."""
    arguments = {name: _real(value) for name, value in signature.arguments.items()}
    return Signature(signature.operator, arguments, tuple(map(_real, signature.outputs)))


def _real(value: Argument) -> Argument:
    if isinstance(value, TensorMeta):
        return replace(value, dtype=part(value.dtype))
    return tuple(map(_real, value)) if isinstance(value, tuple) else value
