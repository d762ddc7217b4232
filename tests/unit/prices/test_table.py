"""The table itself: its names exist, and bind once."""

import pytest
import torch

from haet_eval.operators.pricing.evaluate import price_of
from haet_eval.operators.signature import Signature
from haet_eval.operators.table import BY_KERNEL, formula, operators, price_function, priced_operators


def test_every_priced_overload_exists_in_torch() -> None:
    missing = [name for name in priced_operators() if not exists(name)]
    assert not missing


def exists(name: str) -> bool:
    _, operator, overload = name.split(".")
    return overload in getattr(torch.ops.aten, operator).overloads()


def test_an_overload_is_priced_once() -> None:
    with pytest.raises(ValueError, match=r"aten\.mm\.default is in the table already"):
        operators(check=BY_KERNEL)("mm(Tensor self, Tensor mat2) -> Tensor")(lambda signature: 0)


def test_an_unknown_operator_has_no_price() -> None:
    assert price_of(Signature("aten.unheard_of.default", {}, ())) is None


def test_a_price_belongs_to_the_family_it_is_written_in() -> None:
    for operator, family in {
        "sigmoid": "activations",
        "mul.Tensor": "pointwise",
        "_foreach_abs": "foreach",
    }.items():
        bound = price_function(f"aten.{operator}" if "." in operator else f"aten.{operator}.default")
        assert bound is not None
        assert bound.__module__.endswith(f".{family}")


def test_every_price_is_put_into_words() -> None:
    assert not [operator for operator in priced_operators() if not formula(operator)]
    assert formula("aten.mm.default") == "n(2K − 1): n sums of K products."
    assert formula("aten.mul.Tensor") == "1 per element of the result, 6 if complex."
    assert formula("aten._foreach_add.List") == (
        "For each tensor of the list: self ± alpha · other: n, or 2n when `alpha` is not ±1."
    )
    assert formula("aten.unheard_of.default") is None


def test_a_broken_signature_is_not_taken_for_an_unknown_operator() -> None:
    with pytest.raises(TypeError, match="argument 'self' is no tensor"):
        price_of(Signature("aten.sum.default", {}, ()))
