"""A lazy bit saves nothing: each read or write through it pays for the signs, as `neg` does."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final, TypeAlias

import pytest
import torch

from haet_eval.operators.pricing.evaluate import computes_nothing, price_of
from haet_eval.operators.pricing.signs import FLAGGING, STATES, VIEWS, flips
from haet_eval.operators.signature import CONJUGATE, NEGATIVE, Argument, Signature, TensorMeta, tensors_in
from haet_eval.operators.standard import under
from haet_eval.operators.table import of_kind, priced_operators
from tests.oracle.recording import operations
from tests.unit.prices.sweep import swept

aten = torch.ops.aten
BITS: Final = (CONJUGATE, NEGATIVE, CONJUGATE | NEGATIVE)


def overload(name: str) -> Any:
    _, base, variant = name.split(".")
    return getattr(getattr(aten, base), variant)


def written(name: str) -> set[str]:
    return {a.name for a in overload(name)._schema.arguments if a.alias_info and a.alias_info.is_write}


def views(name: str) -> bool:
    """Whether PyTorch's schema says that the result is a view, or that only metadata change."""
    shown = any(r.alias_info and not r.alias_info.is_write for r in overload(name)._schema.returns)
    return shown or torch.Tag.inplace_view in overload(name).tags


def test_views_are_those_of_the_schemas() -> None:
    setting = {"aten.resize_.default"}  # it may fill what it adds
    found = {name for name in priced_operators() if views(name)} - setting
    assert found == {*VIEWS, *FLAGGING} | {name for name in found if name.startswith("aten.set_.")}


def test_arguments_that_are_read_and_written_are_those_of_the_schemas() -> None:
    """Arguments for results are only written; `noise` and the helpers of a scan are results as well."""
    results = {"noise", "values", "indices"}
    unknown = set()
    for name in priced_operators():
        given = {a.name for a in overload(name)._schema.arguments if a.is_out}
        unknown |= {(name, one) for one in written(name) - given - STATES - results if one != "self"}
        if "self" in written(name) and not name.split(".")[1].endswith("_"):
            unknown.add((name, "self"))
    assert unknown == {("aten.record_stream.default", "self")}


def negated(value: Argument, bits: int) -> Argument:
    if isinstance(value, TensorMeta):
        return replace(value, bits=bits) if value.dtype != "bool" else value
    return tuple(negated(item, bits) for item in value) if isinstance(value, tuple) else value


def without_bits(signature: Signature) -> bool:
    return not any(meta.bits for meta in tensors_in(tuple(signature.arguments.values())))


def lazy_calls() -> Iterator[tuple[Signature, Signature, int, int]]:
    """PyTorch's own samples, and the same with one lazy argument; its signs; how often they change."""
    for name, signatures in swept().items():
        if name in {*VIEWS, *FLAGGING, *of_kind("factory")} or name.startswith("aten.set_."):
            continue
        for signature in filter(without_bits, signatures):
            for argument, value in signature.arguments.items():
                for bits in BITS:
                    lazy = negated(value, bits)
                    signs = sum(map(flips, tensors_in(lazy)))
                    arguments = {**signature.arguments, argument: lazy}
                    times = 1 + (argument == "self" and argument in written(name))
                    yield signature, Signature(name, arguments, signature.outputs), signs, times


FILLS: Final = frozenset(
    {
        *("copy_", "fill_", "zero_", "resize_", "tril_", "triu_", "normal_", "uniform_", "random_"),
        *("bernoulli_", "cauchy_", "exponential_", "geometric_", "log_normal_"),
    }
)
"""In-place operators that do not read what they write over, or move it only."""


def test_reading_a_lazy_tensor_costs_as_much_as_its_signs_written_out() -> None:
    asked, cheap = 0, set()
    for plain, lazy, signs, times in lazy_calls():
        price, dearer = price_of(plain), price_of(lazy)
        if price is None or dearer is None or not signs or computes_nothing(plain):
            continue
        asked += 1
        fills = plain.operator.split(".")[1].removeprefix("_foreach_") in FILLS
        if dearer < price + signs * (1 if fills else times):
            cheap.add(plain.operator)
    assert asked > 1000
    assert cheap == set()


def neg_of(x: torch.Tensor) -> torch.Tensor:
    return torch._neg_view(x)


Program: TypeAlias = Callable[[torch.Tensor], torch.Tensor]
SIGNS: Final[dict[str, tuple[Program, Program, torch.dtype]]] = {
    "negative of float32": (neg_of, torch.neg, torch.float32),
    "negative of float64": (neg_of, torch.neg, torch.float64),
    "negative of int64": (neg_of, torch.neg, torch.int64),
    "negative of complex64": (neg_of, torch.neg, torch.complex64),
    "negative of complex128": (neg_of, torch.neg, torch.complex128),
    "conjugate of complex64": (torch.conj, torch.conj_physical, torch.complex64),
    "conjugate of complex128": (torch.conj, torch.conj_physical, torch.complex128),
}


@pytest.mark.parametrize("name", SIGNS)
def test_a_lazy_sign_read_once_costs_what_the_operator_costs(name: str) -> None:
    lazily, at_once, dtype = SIGNS[name]
    x = torch.ones(5, 7, dtype=dtype)
    price = operations(lambda: at_once(x))
    assert operations(lambda: lazily(x)) == 0
    assert operations(lambda: lazily(x).clone()) == price
    assert operations(lambda: lazily(x)[:2].t().clone()) == price * 2 // 5


def test_a_view_that_is_made_once_and_read_often_pays_each_time() -> None:
    base, rows = torch.zeros(100), torch.rand(50, 100)

    def attack() -> None:
        view = torch._neg_view(base)
        for row in rows:
            base.copy_(row)
            view.clone()

    assert operations(attack) == operations(lambda: [row.neg() for row in rows]) == 5000


def test_writing_through_a_view_pays_each_time() -> None:
    base, rows = torch.zeros(100), torch.rand(50, 100)

    def attack() -> None:
        view = torch._neg_view(base)
        for row in rows:
            view.copy_(row)

    assert operations(attack) == 5000


def test_wide_view_of_a_narrow_lazy_tensor_pays_for_all_that_is_read() -> None:
    base = torch.ones(100)
    assert operations(lambda: torch._neg_view(base[:1]).as_strided((100,), (1,)).clone()) == 100


def test_conjugates_in_a_transform_are_paid_when_they_are_read() -> None:
    """Convolution by FFT with a conjugate kernel: 6 for each product and 1 for each conjugate."""
    x, kernel = torch.rand(4, 9, dtype=torch.complex64), torch.rand(9, dtype=torch.complex64)
    product = operations(lambda: x * kernel)
    assert operations(lambda: x * kernel.conj()) == product + 9
    resolved = kernel.conj().resolve_conj()
    assert operations(lambda: x * resolved) == product


def test_the_double_conjugate_and_the_real_part_are_free() -> None:
    z = torch.rand(9, dtype=torch.complex64)
    assert operations(lambda: z.conj().conj().clone()) == 0
    assert operations(lambda: z.conj().real.clone()) == 0
    assert operations(lambda: z.conj().imag.clone()) == 9


def test_a_view_operator_that_copies_has_read() -> None:
    """Some kernels return new memory, without the bit, for a tensor that has one."""
    lazy, plain = TensorMeta((4,), (1,), 0, "float32", NEGATIVE), TensorMeta((4,), (1,), 0, "float32")
    assert price_of(Signature("aten.view.default", {"self": lazy, "size": (4,)}, (lazy,))) == 0
    assert price_of(Signature("aten.view.default", {"self": lazy, "size": (4,)}, (plain,))) == 4
    assert price_of(Signature("aten.unsafe_split.Tensor", {"self": lazy, "split_size": 4}, ((plain,),))) == 4


def test_version_1_pays_for_the_view() -> None:
    x = torch.ones(5)
    with under(1):
        assert operations(lambda: torch._neg_view(x)) == 5
        assert operations(lambda: torch._neg_view(x).clone()) == 5
