"""Complex numbers never come at the price of real ones."""

from dataclasses import replace
from typing import Final

from haet_eval.operators.pricing.evaluate import price_of
from haet_eval.operators.signature import Argument, Signature, TensorMeta, tensors_in
from haet_eval.operators.table import MOVING, kind_of
from tests.unit.prices.sweep import swept

NOT_TWICE: Final = {
    "angle": "one real number comes out",
    "index": "a mask is searched once, whatever it selects",
    "index_put": "a mask is searched once, whatever it selects",
    "masked_scatter": "a mask is searched once, whatever it selects",
    "masked_select": "a mask is searched once, whatever it selects",
    "nonzero": "a test of each element",
    "polar": "two real numbers go in",
    "lu_unpack": "pivots are not numbers of the matrix",
}
PUBLISHED: Final = ("_fft", "linalg", "_linalg")
"""Transforms and factorizations have published counts for complex numbers."""


def of_complex(value: Argument) -> Argument:
    if isinstance(value, TensorMeta):
        return replace(value, dtype="complex64") if value.dtype == "float32" else value
    return tuple(map(of_complex, value)) if isinstance(value, tuple) else value


def test_a_call_on_complex_numbers_costs_twice_that_on_real_ones_or_has_no_price() -> None:
    asked, cheap = 0, {}
    for name, signatures in swept().items():
        if kind_of(name) in {*MOVING, "factory", "draw"}:
            continue
        for signature in signatures:
            metas = [*tensors_in(tuple(signature.arguments.values())), *tensors_in(signature.outputs)]
            if not {"float32"} <= {meta.dtype for meta in metas} <= {"float32", "bool"}:
                continue
            arguments = {key: of_complex(value) for key, value in signature.arguments.items()}
            outputs = tuple(map(of_complex, signature.outputs))
            real, other = price_of(signature), price_of(Signature(name, arguments, outputs))
            if real and other is not None:
                asked += 1
                if other < 2 * real:
                    cheap[name] = (real, other)
    assert asked > 100
    bases = {name.split(".")[1].removesuffix("_") for name in cheap}
    assert {base for base in bases if base not in NOT_TWICE and not base.startswith(PUBLISHED)} == set()
