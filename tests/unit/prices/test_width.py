"""What the dtypes of a call add to its price: casts, the width of integers and floats, bits."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from haet_eval.counting.dtypes import DTYPES, cast_operations, promoted
from haet_eval.counting.standard import under
from tests.oracle.recording import argument, operations

PAGE = Path(__file__).parents[3] / "docs" / "counting-standard.md"
TORCH = {name: getattr(torch, name) for name in DTYPES}
N = 6
Case = tuple[Callable[[], Any], int]


def ones(dtype: torch.dtype, *shape: int) -> torch.Tensor:
    return torch.ones(shape or (N,), dtype=dtype)


# Casts.


@pytest.mark.filterwarnings("ignore:Casting complex values to real")
@pytest.mark.parametrize(("source", "target"), [*product(DTYPES, DTYPES)])
def test_a_cast_is_free_exactly_if_it_keeps_every_value(source: str, target: str) -> None:
    """Asked of torch, with the values at the edges of what the source holds."""
    values = _edges(source)
    kept = values.tolist() == values.to(TORCH[target]).tolist()
    assert (cast_operations(source, target) == 0) == kept


def _edges(name: str) -> torch.Tensor:
    dtype = TORCH[name]
    if name == "bool":
        return torch.tensor([False, True])
    if dtype.is_complex:
        return torch.complex(_edges(_part(name)), _edges(_part(name)))
    if dtype.is_floating_point:
        facts = torch.finfo(dtype)
        return torch.tensor([facts.max, facts.tiny, 1 + facts.eps, -0.5], dtype=torch.float64).to(dtype)
    integers = torch.iinfo(dtype)
    return torch.tensor([integers.min, integers.max - 1, integers.max // 3, 1], dtype=dtype)


def _part(name: str) -> str:
    return "float64" if name == "complex128" else "float32"


def test_the_page_has_the_table_of_casts() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert not [row for row in cast_table() if row not in page]


def cast_table() -> list[str]:
    """The rows of the page: what is cast, and its price to each dtype."""
    head = f"| from \\ to | {' | '.join(f'`{name}`' for name in DTYPES)} |"
    rows = [
        f"| `{source}` | {' | '.join(str(cast_operations(source, target)) for target in DTYPES)} |"
        for source in DTYPES
    ]
    return [head, f"|---{'|---' * len(DTYPES)}|", *rows]


CASTS: dict[str, Case] = {
    "to": (lambda: ones(torch.int64).to(torch.int16), N),
    "to a wider dtype": (lambda: ones(torch.uint8).float(), 0),
    "to truth values": (lambda: ones(torch.float32).bool(), N),
    "copy_": (lambda: ones(torch.float32).copy_(ones(torch.int64)), N),
    "copy_ of a float64": (lambda: ones(torch.float32).copy_(ones(torch.float64)), N),
    "cat": (lambda: torch.cat([ones(torch.float32), ones(torch.int64)]), N),
    "stack": (lambda: torch.stack([ones(torch.float32), ones(torch.int64)]), N),
    "where": (lambda: torch.where(ones(torch.bool), ones(torch.float32), ones(torch.int64)), N + N),
    "masked_fill": (lambda: ones(torch.float32).masked_fill(ones(torch.bool), 0), N),
    "sum(dtype=)": (lambda: ones(torch.float32).sum(dtype=torch.int64), N + 8 * (N - 1)),
    "sum to a narrower dtype": (lambda: ones(torch.int64).sum(dtype=torch.int16), N + 2 * (N - 1)),
    "sum to a wider dtype": (lambda: ones(torch.int8).sum(dtype=torch.int64), N - 1),
    "cumsum(dtype=)": (lambda: ones(torch.float64).cumsum(0, dtype=torch.float32), N + N - 1),
    "index_put": (
        lambda: ones(torch.float32).index_put_(
            (torch.tensor([0, 1]),), torch.tensor(1.0, dtype=torch.float32)
        ),
        2,
    ),
    "foreach copy": (lambda: torch._foreach_copy_([ones(torch.int8)] * 2, [ones(torch.float32)] * 2), 2 * N),
    "in place": (lambda: ones(torch.bfloat16).add_(ones(torch.float32)), N + N),
    "out=": (lambda: torch.add(ones(torch.float64), 1.5, out=ones(torch.float32)), 2 * N + N),
    "view as another kind": (lambda: ones(torch.int64).view(torch.float64), N),
    "view of floats as integers": (lambda: ones(torch.float32).view(torch.int32), N),
    "complex": (lambda: torch.view_as_real(torch.complex(ones(torch.float32), ones(torch.float32))), 0),
    "zeros_like": (lambda: torch.zeros_like(ones(torch.int64), dtype=torch.int8), 0),
}


@pytest.mark.parametrize("name", CASTS)
def test_a_cast_costs_the_same_wherever_it_is(name: str) -> None:
    program, price = CASTS[name]
    assert operations(program) == price


# Integers, truth values, wide floats.


WIDTHS: dict[str, Case] = {
    "sum of int64": (lambda: ones(torch.int64) + ones(torch.int64), 8 * N),
    "sum of int32": (lambda: ones(torch.int32) + ones(torch.int32), 4 * N),
    "sum of int16": (lambda: ones(torch.int16) + ones(torch.int16), 2 * N),
    "sum of bytes": (lambda: ones(torch.uint8) + ones(torch.uint8), N),
    "the widest decides": (lambda: ones(torch.int8) * ones(torch.int32), 4 * N),
    "a single number takes on the width of the others": (lambda: ones(torch.int8) * torch.tensor(3), N),
    "truth values with Python integers": (lambda: ones(torch.bool) * 3, 8 * N),
    "truth values": (lambda: ones(torch.bool) & ones(torch.bool), N),
    "logic of int64": (lambda: ones(torch.int64).logical_not(), 8 * N),
    "comparison": (lambda: ones(torch.int16) == ones(torch.int16), 2 * N),
    "comparison with a Python float": (lambda: ones(torch.int64) > 0.5, N + N),
    "matrix product": (lambda: ones(torch.int64, 2, 3) @ ones(torch.int64, 3, 2), 8 * 4 * 5),
    "reduction": (lambda: ones(torch.int32).sum(), 4 * (N - 1)),
    "reduction of bytes": (lambda: ones(torch.uint8).sum(), N - 1),
    "argmax": (lambda: ones(torch.float32).argmax(), N - 1),
    "sort": (lambda: ones(torch.int64, 8).sort(), 8 * 8 * 3),
    "read of int64": (lambda: ones(torch.int64)[torch.tensor([0, 1])], 8 * 2),
    "read of floats": (lambda: ones(torch.float32)[torch.tensor([0, 1])], 2),
    "one-hot": (lambda: torch.zeros(2, N).scatter_(1, torch.tensor([[0], [1]]), 1.0), 2),
    "scatter_add of int64": (
        lambda: torch.zeros(N, dtype=torch.int64).scatter_add_(0, torch.arange(N), ones(torch.int64)),
        8 * 2 * N,
    ),
    "counts": (lambda: torch.bincount(torch.arange(N)), 2 * N),
    "labels of a loss": (lambda: F.nll_loss(ones(torch.float32, 2, 3), torch.tensor([0, 1])), 2 * 2 + 2),
    "a counter": (lambda: torch.tensor(0).add_(1), 1),
    "another sum of single numbers": (lambda: torch.tensor(0).add_(2), 8),
    "randint": (lambda: torch.randint(9, (N,)), N),
    "randperm": (lambda: torch.randperm(N), N),
    "integers with floats": (lambda: ones(torch.int64) * ones(torch.float32), N + N),
    "bytes with floats": (lambda: ones(torch.uint8) * ones(torch.float32), N),
    "true division": (lambda: ones(torch.int64) / 2, N + N),
    "bits of int64": (lambda: ones(torch.int64) ^ ones(torch.int64), 64 * N),
    "bits of a byte": (lambda: ones(torch.uint8) & 0xF0, 8 * N),
    "not": (lambda: ones(torch.int16).bitwise_not(), 16 * N),
    "shift": (lambda: ones(torch.int32) << 3, 32 * N),
    "float64": (lambda: ones(torch.float64) * ones(torch.float64), 2 * N),
    "complex128": (lambda: ones(torch.complex128) + ones(torch.complex128), 2 * 2 * N),
    "float32 with float64": (lambda: ones(torch.float32) * ones(torch.float64), 2 * N),
    "bfloat16": (lambda: ones(torch.bfloat16) * ones(torch.bfloat16), N),
    "lists": (lambda: torch._foreach_add([ones(torch.int64), ones(torch.float64)], 1.0), 3 * N - N + 2 * N),
}


@pytest.mark.parametrize("name", WIDTHS)
def test_a_price_follows_the_width(name: str) -> None:
    program, price = WIDTHS[name]
    assert operations(program) == price


@pytest.mark.parametrize("name", WIDTHS)
def test_version_1_did_not_look_at_widths(name: str) -> None:
    program, price = WIDTHS[name]
    with under(1):
        assert operations(program) <= price


@pytest.mark.parametrize(("left", "right"), [*product(DTYPES, DTYPES)])
@pytest.mark.parametrize("single", [False, True])
def test_dtypes_are_combined_as_torch_combines_them(left: str, right: str, *, single: bool) -> None:
    one, other = torch.ones(2, dtype=TORCH[left]), torch.ones([] if single else [2], dtype=TORCH[right])
    metas = [argument(one), argument(other)]
    combined = str(torch.result_type(one, other)).removeprefix("torch.")
    if combined in DTYPES:  # complex numbers of 32 bits are not among those that a submission has
        assert promoted(metas) == combined  # type: ignore[arg-type]


# Packing: a computation on several numbers in one costs no less than the plain one.

LANES = 3
SHIFTS = (0, 16, 32)


def pack(*lanes: torch.Tensor) -> torch.Tensor:
    """Several integers of up to 16 bits in one int64."""
    return sum(
        (lane.to(torch.int64) << shift for lane, shift in zip(lanes, SHIFTS, strict=True)), torch.tensor(0)
    )


def unpack(packed: torch.Tensor) -> list[torch.Tensor]:
    """By casts alone: the low 16 bits, the low 32, and all, as floats that lower lanes disturb a little."""
    scales = (1.0, 2.0**-16, 2.0**-32)
    lanes = (packed.to(torch.int16).float(), packed.to(torch.int32).float(), packed.float())
    return [lane * scale for lane, scale in zip(lanes, scales, strict=True)]


def _integers(seed: int, *shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 6, shape))


def _product(n: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    x, parts = _integers(0, n, n), [_integers(one, n, n) for one in range(LANES)]
    packed = pack(*parts)
    return lambda: unpack(x @ packed), lambda: [x.float() @ part.float() for part in parts]


def _sum(n: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    parts = [_integers(one, n, n) for one in range(LANES)]
    packed = pack(*parts)
    floats = [part.float() for part in parts]
    return lambda: unpack(packed.sum(0)), lambda: [part.sum(0) for part in floats]


def _table(n: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    parts, index = [_integers(one, n) for one in range(LANES)], torch.arange(n)
    packed, floats = pack(*parts), [part.float() for part in parts]
    return lambda: unpack(packed[index]), lambda: [part[index] for part in floats]


def _table_seen_as_floats(n: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    parts, index = [_integers(one, n) for one in range(LANES)], torch.arange(n)
    packed, floats = pack(*parts), [part.float() for part in parts]
    return (
        lambda: unpack(packed.view(torch.float64)[index].view(torch.int64)),
        lambda: [part[index] for part in floats],
    )


def _accumulation(n: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    parts, index = [_integers(one, n) for one in range(LANES)], torch.arange(n) % 2
    packed, floats = pack(*parts), [part.float() for part in parts]
    return (
        lambda: unpack(torch.zeros(2, dtype=torch.int64).index_add(0, index, packed)),
        lambda: [torch.zeros(2).index_add(0, index, part) for part in floats],
    )


PACKED = {
    "product": _product,
    "sum": _sum,
    "table": _table,
    "views": _table_seen_as_floats,
    "accumulation": _accumulation,
}


@pytest.mark.parametrize("size", [2, 8, 64])
@pytest.mark.parametrize("name", PACKED)
def test_a_packed_computation_costs_no_less_than_the_plain_one(name: str, size: int) -> None:
    packed, plain = PACKED[name](size)
    for found, right in zip(packed(), plain(), strict=True):
        torch.testing.assert_close(found, right, rtol=0, atol=0.1)
    assert operations(packed) >= operations(plain)


def test_version_1_sold_packed_computations() -> None:
    """What the law has to find."""
    cheaper = set()
    with under(1):
        for name, make in PACKED.items():
            packed, plain = make(64)
            if operations(packed) < operations(plain) + (3 * 64 if name == "table" else 0):
                cheaper.add(name)
    assert {"product", "sum"} <= cheaper


def test_bits_cost_no_less_than_truth_values() -> None:
    bits = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (2, 100, 64)).astype(bool))
    left, right = (bits[one].long() << torch.arange(64) for one in range(2))
    sliced, other = left.sum(1), right.sum(1)
    both = (sliced ^ other)[:, None] >> torch.arange(64) & 1
    assert torch.equal(both.bool(), bits[0] ^ bits[1])
    assert operations(lambda: sliced ^ other) >= operations(lambda: bits[0] ^ bits[1])
    with under(1):
        assert operations(lambda: sliced ^ other) * 64 == operations(lambda: bits[0] ^ bits[1])


def test_a_view_of_an_alias_is_paid_for_once_and_reads_cost_what_wide_floats_cost() -> None:
    """What remains: a table seen as floats is read at 2 for 8 bytes; each number that comes out costs 1."""
    seen = pack(*(_integers(one, N) for one in range(LANES))).view(torch.float64)
    assert operations(lambda: seen[torch.arange(N)]) == 2 * N
    assert operations(lambda: unpack(ones(torch.int64))) >= LANES * N
