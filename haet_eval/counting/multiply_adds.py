"""How many multiply-adds a call makes, for those who compare with counts in that convention.

Other counters count a product and the addition that follows it as one, and count nothing but matrix products,
convolutions and attention. A sum of K products is K multiply-adds there and 2K − 1 operations here.
"""

from math import prod
from typing import Final

from haet_eval.operators.pricing.output_mask import output_mask
from haet_eval.operators.signature import Signature
from haet_eval.operators.table import family_of

_LEFT: Final = {
    "baddbmm": "batch1",
    "addmm": "mat1",
    "_addmm_activation": "mat1",
    "addmv": "mat",
    "linear": "input",
}
"""The argument whose last dimension the products are summed over; `self` for all others."""


def multiply_adds(signature: Signature) -> int:
    """Multiply-adds of one call; 0 for what is no matrix product, convolution or attention."""
    family = family_of(signature.operator)
    base = signature.operator.split(".")[1].removesuffix("_")
    if family == "convolution":
        return _convolution(signature, base)
    if family == "attention" and "query" in signature.arguments:
        return _attention(signature, base)
    return _product(signature, base) if family == "matmul" else 0


def _product(signature: Signature, base: str) -> int:
    if base == "addbmm":
        batch, _, inner = signature.tensor("batch1").shape
        return signature.out.numel * batch * inner
    # The family has other operators too, such as the cross product, which other counters leave out.
    if base in ("mm", "bmm", "_int_mm", "mv", "dot", "vdot") or base in _LEFT:
        return signature.out.numel * signature.tensor(_LEFT.get(base, "self")).shape[-1]
    return signature.out.numel if base == "addr" else 0


def _convolution(signature: Signature, base: str) -> int:
    if base == "conv_tbc":
        return signature.out.numel * prod(signature.tensor("weight").shape[:2])
    transposed = bool(signature.arguments.get("transposed")) or "transpose" in base
    data = "input" if "input" in signature.arguments else "self"
    filters = prod(signature.tensor("weight").shape[1:])
    if "backward" not in base:
        return (signature.tensor(data) if transposed else signature.out).numel * filters
    # The gradient of the bias only adds.
    of_input, of_weight, _ = output_mask(signature)
    gathering = signature.tensor(data if transposed else "grad_output")
    return (of_input + of_weight) * gathering.numel * filters


def _attention(signature: Signature, base: str) -> int:
    """Forward QKᵀ and PV; backward QKᵀ again, two gradients of each of the products."""
    query, value = signature.tensor("query"), signature.tensor("value")
    # The width of a head may be 0, and it divides below.
    if not query.numel:
        return 0
    scores = query.numel // query.shape[-1] * signature.tensor("key").shape[-2]
    of_keys, of_values = (3, 2) if "backward" in base else (1, 1)
    return scores * (of_keys * query.shape[-1] + of_values * value.shape[-1])
