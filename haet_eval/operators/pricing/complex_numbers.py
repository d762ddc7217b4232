"""Complex numbers cost at least what their two parts cost."""

from dataclasses import replace

from haet_eval.operators.dtypes import part
from haet_eval.operators.pointwise import has_complex
from haet_eval.operators.signature import Argument, Signature, TensorMeta
from haet_eval.operators.standard import current
from haet_eval.operators.table import NoPrice, Price

OF_COMPLEX_NUMBERS = frozenset(
    {
        *("angle", "polar", "lu_unpack", "masked_scatter", "masked_select", "index", "index_put", "nonzero"),
        *("_unsafe_index", "_unsafe_index_put", "_index_put_impl"),
    }
)
"""Operators that rightly cost less than twice as much on complex numbers: only a part goes in or comes out,
or a search costs the same. So do transforms and factorizations (`fft`, `linalg`), counted as published."""

SUMS_OF_PARTS = frozenset(
    {
        *(f"{kind}_pad{n}d_backward" for kind in ("reflection", "replication") for n in (1, 2, 3)),
        *("unfold_backward", "col2im", "linspace", "logspace"),
    }
)
"""Operators that only add: a sum of complex numbers is two."""


def with_parts(signature: Signature, price: Price) -> int:
    """The price of a call, which on complex numbers is at least twice that of the same call on real ones.

    Raises:
        NoPrice: the price is lower than that, so it was not made for complex numbers.
    """
    operations = price(signature)
    # Records of version 1 were priced without this law.
    if current() == 1 or not has_complex(signature):
        return operations
    base = signature.operator.split(".")[1].removesuffix("_")
    operations *= 2 if base in SUMS_OF_PARTS else 1
    # A complex number holds two real ones. Thirteen prices did not distinguish them, and an attacker bought
    # complex products for the price of real ones.
    if not _knows_complex(base) and operations < 2 * price(_of_real(signature)):
        raise NoPrice
    return operations


def _knows_complex(base: str) -> bool:
    return base in OF_COMPLEX_NUMBERS or base.startswith(("_fft", "linalg", "_linalg"))


def _of_real(signature: Signature) -> Signature:
    arguments = {name: _real(value) for name, value in signature.arguments.items()}
    return Signature(signature.operator, arguments, tuple(map(_real, signature.outputs)))


def _real(value: Argument) -> Argument:
    if isinstance(value, TensorMeta):
        return replace(value, dtype=part(value.dtype))
    return tuple(map(_real, value)) if isinstance(value, tuple) else value
