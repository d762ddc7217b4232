"""What dtypes add to a price: casts, the width of integers, bits, and floats of 64 bits."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Final

import pytest
import torch

from haet_eval.operators.dtypes import RANGES, may_change
from haet_eval.operators.pricing.evaluate import price_of
from haet_eval.operators.signature import Argument, Signature, TensorMeta, tensors_in
from haet_eval.operators.standard import under
from haet_eval.operators.table import MOVING, kind_of
from tests.oracle.recording import operations, record
from tests.unit.prices.casts import table
from tests.unit.prices.sweep import swept

# Casts.


def numbers(dtype: torch.dtype) -> torch.Tensor:
    """Numbers of a dtype: all of them up to 16 bits, the extremes and many between of the others."""
    name = str(dtype).removeprefix("torch.")
    if dtype is torch.bool:
        return torch.tensor([False, True])
    if RANGES[name].bytes == 1:
        found = torch.arange(256, dtype=torch.uint8).view(dtype)
    elif RANGES[name].bytes == 2:
        found = torch.arange(-(2**15), 2**15, dtype=torch.int16).view(dtype)
    elif RANGES[name].is_integer:
        powers = torch.tensor([2**power for power in range(min(RANGES[name].digits, 63))], dtype=torch.int64)
        found = torch.cat([powers - 1, powers, powers + 1, powers * 2 - 1, -powers]).to(dtype)
    else:
        tiny, huge = torch.finfo(dtype).smallest_normal, torch.finfo(dtype).max
        found = torch.tensor([1 / 3, 1e-40, tiny, huge, -huge, 1 + torch.finfo(dtype).eps], dtype=dtype)
    return found if RANGES[name].is_integer else found[found.double().isfinite()]


def survives(source: torch.dtype, target: torch.dtype) -> bool:
    """Whether each number comes back from the target as it was, and has the same value there."""
    given = numbers(source)
    cast = given.to(target)
    if not torch.equal(cast.to(source), given):
        return False
    return cast.dtype is torch.bool or torch.equal(cast.double() < 0, given.double() < 0)


REAL: Final = [getattr(torch, name) for name in RANGES]


@pytest.mark.parametrize(("source", "target"), [pair for pair in product(REAL, REAL) if pair[0] != pair[1]])
def test_a_cast_is_free_if_and_only_if_pytorch_keeps_every_value(
    source: torch.dtype, target: torch.dtype
) -> None:
    names = (str(dtype).removeprefix("torch.") for dtype in (source, target))
    assert may_change(*names) == (not survives(source, target))


X: Final = torch.rand(3, 4)
PIXELS: Final = torch.randint(0, 256, (3, 4), dtype=torch.uint8)
COUNTS: Final = torch.arange(12).reshape(3, 4)

CASTS: Final[dict[str, tuple[Callable[[], object], int]]] = {
    "pixels to float32": (lambda: PIXELS.float(), 0),
    "pixels to bfloat16": (lambda: PIXELS.bfloat16(), 0),
    "float32 to bfloat16": (lambda: X.bfloat16(), 12),
    "float32 to bool": (lambda: X.bool(), 12),
    "float32 to int64": (lambda: X.long(), 12),
    "int64 to int16": (lambda: COUNTS.short(), 12),
    "int64 to int32": (lambda: COUNTS.int(), 12),
    "copy_ into a narrower dtype": (lambda: torch.zeros(3, 4, dtype=torch.int16).copy_(X), 12),
    "copy_ into a wider dtype": (lambda: torch.zeros(3, 4).copy_(PIXELS), 0),
    "cat of int64 and float32": (lambda: torch.cat([COUNTS, X]), 12),
    "where of int64 and float32": (lambda: torch.where(X > 0, COUNTS, X), 12 + 12 + 12),
    "a sum in a narrower dtype": (lambda: X.sum(dtype=torch.bfloat16), 12 + 11),
    "a sum in a wider dtype": (lambda: PIXELS.sum(dtype=torch.int64), 11),
    "foreach copies": (
        lambda: torch._foreach_copy_([torch.zeros(3, 4).half(), torch.zeros(3, 4)], [X, X]),
        12 + 12,  # the factory's own .half() costs 12
    ),
    "pixels times a number": (lambda: PIXELS * 0.5, 12),
    "int64 times float32": (lambda: COUNTS * X, 12 + 12),
    "zeros_like of another dtype": (lambda: torch.zeros_like(COUNTS, dtype=torch.bool), 0),
    "the parts of complex numbers": (lambda: torch.view_as_real(torch.zeros(3, dtype=torch.complex64)), 0),
}


@pytest.mark.parametrize("name", CASTS)
def test_a_cast_that_may_change_a_value_is_an_operation(name: str) -> None:
    program, price = CASTS[name]
    assert operations(program) == price


# Integers.

FREE_OF_WIDTH: Final = {"aten.bincount": "its self says where to count"}
"""Operators on integers that they do not compute with, each with the reason."""


def with_dtype(value: Argument, dtype: str) -> Argument:
    """The integers of 64 bits in an argument as ones of another width."""
    if isinstance(value, TensorMeta):
        return replace(value, dtype=dtype) if value.dtype == "int64" else value
    return tuple(with_dtype(item, dtype) for item in value) if isinstance(value, tuple) else value


def narrowed(signature: Signature) -> Signature:
    arguments = {name: with_dtype(value, "int8") for name, value in signature.arguments.items()}
    outputs = tuple(with_dtype(value, "int8") for value in signature.outputs)
    return Signature(signature.operator, arguments, outputs)


def of_integers_only(signature: Signature) -> bool:
    """Whether a call computes with int64: an index alone says where, not what."""
    given = [item for name, item in signature.arguments.items() if name not in {"index", "indices"}]
    every = [*tensors_in(tuple(given)), *tensors_in(signature.outputs)]
    wide = any(meta.dtype == "int64" for meta in tensors_in(tuple(given)))
    return wide and all(meta.dtype in {"int64", "bool"} for meta in every)


def test_an_operator_on_int64_costs_at_least_eight_times_that_on_int8() -> None:
    """All calls of PyTorch's own samples on integers, but for movement, creation and draws."""
    asked, cheap = 0, set()
    for name, signatures in swept().items():
        if kind_of(name) in {*MOVING, "factory", "draw"}:
            continue
        for signature in filter(of_integers_only, signatures):
            wide, narrow = price_of(signature), price_of(narrowed(signature))
            if wide is not None and narrow is not None and narrow > 0:
                asked += 1
                if wide < 8 * narrow:
                    cheap.add(name)
    assert asked > 150
    assert {name for name in cheap if name.rpartition(".")[0] not in FREE_OF_WIDTH} == set()


def test_indices_labels_draws_and_counters_do_not_pay_for_their_width() -> None:
    logits, labels = torch.rand(8, 10), torch.arange(8)
    table = torch.rand(10, 4)
    assert operations(lambda: table[labels]) == 8 * 4
    assert operations(lambda: torch.nn.functional.nll_loss(logits, labels, reduction="none")) == 16
    assert operations(lambda: torch.randint(0, 10, (7,))) == 7
    assert operations(lambda: torch.randperm(7)) == 7
    assert operations(lambda: logits.argmax(1)) == 8 * 9
    assert operations(lambda: COUNTS.reshape(-1)[labels]) == 8 * 8


def test_a_list_pays_for_each_of_its_tensors() -> None:
    assert operations(lambda: torch._foreach_add([COUNTS, X[:1]], [COUNTS, X[:1]])) == 12 * 8 + 4


def test_bits_are_counted_one_by_one() -> None:
    assert operations(lambda: COUNTS ^ COUNTS) == 12 * 64
    assert operations(lambda: PIXELS >> 2) == 12 * 8
    assert operations(lambda: (X > 0) & (X < 1)) == 12 * 3


def test_doubles_cost_twice() -> None:
    x, z = X.double(), torch.zeros(3, 4, dtype=torch.complex128)
    assert operations(lambda: x * x) == 24
    assert operations(lambda: z * z) == 2 * 6 * 12
    assert operations(lambda: x @ x.T) == 2 * 9 * 7
    assert operations(lambda: X * torch.tensor(2.0, dtype=torch.float64)) == 12


def test_version_1_knows_no_widths() -> None:
    with under(1):
        assert operations(lambda: COUNTS * COUNTS) == 12
        assert operations(lambda: X.half()) == 0


# Packing: nothing that holds several numbers in one is a cheaper way to the same.

N: Final = 16


def digits(seed: int, bound: int = 4) -> torch.Tensor:
    return torch.randint(0, bound, (N, N), generator=torch.Generator().manual_seed(seed))


def packed(*parts: torch.Tensor, bits: int = 16) -> torch.Tensor:
    return sum((part << bits * place for place, part in enumerate(parts)), torch.zeros_like(parts[0]))


A, B, C, D = (digits(seed) for seed in range(4))
PACK: Final = packed(A, B, C)
FOUR: Final = packed(A, B, C, D)
ROWS: Final = digits(9, N).reshape(-1)


def unpacked(pack: torch.Tensor, count: int) -> list[torch.Tensor]:
    """As many casts as it has digits; further ones would need shifts as well."""
    return [pack.to(torch.int16) for _ in range(count)]


PACKINGS: Final[dict[str, tuple[Callable[[], object], Callable[[], object]]]] = {
    "three products in one of int64": (
        lambda: unpacked(D @ PACK, 3),
        lambda: [D.float() @ part.float() for part in (A, B, C)],
    ),
    "four sums in one of int64": (
        lambda: FOUR + FOUR,
        lambda: [part.float() + part.float() for part in (A, B, C, D)],
    ),
    "four entries of a table in one of int64": (
        lambda: FOUR[ROWS],
        lambda: [part.float()[ROWS] for part in (A, B, C, D)],
    ),
    "64 exclusive ors in one of int64": (
        lambda: FOUR ^ FOUR,
        lambda: [torch.ones(N, N, dtype=torch.bool) ^ torch.ones(N, N, dtype=torch.bool) for _ in range(64)],
    ),
    "a table of int64 read as float64": (
        lambda: FOUR.view(torch.float64)[ROWS].view(torch.int64),
        lambda: [part.float()[ROWS] for part in (A, B, C, D)],
    ),
    "a sum over a scatter of packs": (
        lambda: torch.zeros(N, N, dtype=torch.int64).index_add(0, ROWS[:N], FOUR),
        lambda: [torch.zeros(N, N).index_add(0, ROWS[:N], part.float()) for part in (A, B, C, D)],
    ),
}


@pytest.mark.parametrize("name", PACKINGS)
def test_packing_integers_costs_no_less(name: str) -> None:
    by_packs, plainly = PACKINGS[name]
    assert operations(by_packs) >= _without_casts(plainly)


def _without_casts(program: Callable[[], object]) -> int:
    """What it costs if its numbers were floats from the beginning."""
    return sum(price_of(one) or 0 for one in record(program) if one.operator != "aten._to_copy.default")


def test_the_products_of_a_pack_are_those_of_its_parts() -> None:
    """What makes packing tempting: it is exact."""
    product = D @ PACK
    for place, part in enumerate((A, B, C)):
        assert torch.equal(product >> 16 * place & 0xFFFF, D @ part)


def test_the_page_has_the_table_of_free_casts() -> None:
    page = (Path(__file__).parents[3] / "docs" / "counting-standard.md").read_text("utf-8")
    assert "\n".join(table()) in page
