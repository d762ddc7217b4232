"""Data-dependent reads and writes."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812

from tests.oracle import indexing as oracle
from tests.oracle.counted import count
from tests.oracle.recording import operations
from tests.unit.prices.shapes import extents, few

aten = torch.ops.aten


def reads(number: int) -> int:
    return count(lambda tally: oracle.reads(tally, number))


def writes(number: int) -> int:
    return count(lambda tally: oracle.writes(tally, number))


def accumulations(number: int) -> int:
    return count(lambda tally: oracle.accumulations(tally, number))


def searched(number: int) -> int:
    return count(lambda tally: oracle.mask(tally, number))


@few
@given(rows=extents, width=extents, picked=extents)
def test_every_way_of_reading_costs_the_elements_read(rows: int, width: int, picked: int) -> None:
    table, index = torch.rand(rows, width), torch.zeros(picked, dtype=torch.int64)
    expected = reads(picked * width)
    assert operations(lambda: table[index]) == expected
    assert operations(lambda: table.index_select(0, index)) == expected
    assert operations(lambda: F.embedding(index, table)) == expected
    assert operations(lambda: table.gather(0, index[:, None].expand(picked, width))) == expected
    assert operations(lambda: table.take(index)) == reads(picked)


def test_a_complex_element_is_two_numbers() -> None:
    table, index = torch.rand(3, dtype=torch.complex64), torch.tensor([0, 2])
    assert operations(lambda: table[index]) == reads(4)
    assert operations(lambda: torch.view_as_real(table)[index]) == reads(4)


@few
@given(rows=extents, width=extents)
def test_masks_are_searched_and_then_read(rows: int, width: int) -> None:
    table = torch.rand(rows, width)
    mask, row_mask = table > 0.5, torch.ones(rows, dtype=torch.bool)
    chosen = int(mask.sum())
    assert operations(lambda: table[mask]) == searched(rows * width) + reads(chosen)
    assert operations(lambda: table.masked_select(mask)) == searched(rows * width) + reads(chosen)
    assert operations(lambda: table[row_mask]) == searched(rows) + reads(rows * width)
    assert operations(lambda: mask.nonzero()) == searched(rows * width)


@few
@given(rows=extents, width=extents)
def test_filling_by_a_mask_is_masked_fill(rows: int, width: int) -> None:
    table = torch.rand(rows, width)
    mask, zero = table > 0.5, torch.tensor(0.0)
    filled = operations(lambda: table.masked_fill(mask, 0.0))
    assert operations(lambda: table.index_put((mask,), zero)) == filled
    found = operations(lambda: table.index_put((mask,), zero, accumulate=True))
    assert found == searched(rows * width) + accumulations(rows * width)


@few
@given(rows=extents, width=extents, picked=extents)
def test_every_way_of_writing_costs_the_elements_written(rows: int, width: int, picked: int) -> None:
    table, index = torch.rand(rows, width), torch.zeros(picked, dtype=torch.int64)
    source = torch.rand(picked, width)
    places = torch.zeros(picked, width, dtype=torch.int64)
    places = places[:rows]
    expected = writes(picked * width)
    assert operations(lambda: table.index_put((index,), source)) == expected
    assert operations(lambda: table.index_put((index,), torch.tensor(1.0))) == expected
    assert operations(lambda: table.index_copy(0, index[:1], source[:1])) == writes(width)
    assert operations(lambda: table.index_fill(0, index, 1.0)) == expected
    assert operations(lambda: table.scatter(0, places, 1.0)) == writes(places.numel())
    assert operations(lambda: table.scatter(0, places, source)) == writes(places.numel())
    assert operations(lambda: table.put(index, source[:, 0])) == writes(picked)


@few
@given(rows=extents, width=extents, picked=extents)
def test_accumulating_costs_two(rows: int, width: int, picked: int) -> None:
    table, index = torch.rand(rows, width), torch.zeros(picked, dtype=torch.int64)
    source = torch.rand(picked, width)
    places = torch.zeros(min(rows, picked), width, dtype=torch.int64)
    expected = accumulations(picked * width)
    assert operations(lambda: table.index_put((index,), source, accumulate=True)) == expected
    assert operations(lambda: table.index_add(0, index, source)) == expected
    scaled = count(lambda tally: oracle.accumulations(tally, picked * width, scaled=True))
    assert operations(lambda: table.index_add(0, index, source, alpha=0.5)) == scaled
    assert operations(lambda: aten.embedding_dense_backward(source, index, rows, -1, False)) == expected
    assert operations(lambda: table.scatter_add(0, places, source)) == accumulations(places.numel())
    assert operations(lambda: table.put(index, source[:, 0], accumulate=True)) == accumulations(picked)
    assert operations(lambda: torch.bincount(index)) == accumulations(picked)


@pytest.mark.parametrize("include_self", [False, True])
@few
@given(rows=extents, picked=extents)
def test_reducing_at_places(include_self: bool, rows: int, picked: int) -> None:
    table, index = torch.rand(rows), torch.zeros(picked, dtype=torch.int64)
    source = torch.rand(picked)
    cleared = 0 if include_self else writes(picked)
    means = count(lambda tally: oracle.means(tally, rows, picked))
    for reduce, expected in (("amax", accumulations(picked)), ("mean", means)):
        found = operations(
            lambda reduce=reduce: table.scatter_reduce(0, index, source, reduce, include_self=include_self)  # type: ignore[misc]
        )
        assert found == expected + cleared


@few
@given(rows=extents, width=extents, picked=extents)
def test_several_indices_address_single_elements(rows: int, width: int, picked: int) -> None:
    table, index = torch.rand(rows, 2, width), torch.zeros(picked, dtype=torch.int64)
    value = torch.tensor(1.0)
    # A place by two indices is one times its stride, and the sum of both.
    assert operations(lambda: table.index_put((index, index), value)) == writes(picked * width) + 2 * picked
    assert operations(lambda: aten.index_put(table, [None, index], value)) == writes(rows * picked * width)
    found = operations(lambda: aten.index_put(table, [index, None, index[:1]], value))
    assert found == writes(picked * 2) + 1 + picked


@few
@given(numbers=st.integers(2, 6), picked=extents)
def test_a_place_by_several_indices_costs_the_weighted_sum_that_it_is(numbers: int, picked: int) -> None:
    """In a table of 0, 1, 2, … each element is its place."""
    strides = torch.tensor([3**power for power in reversed(range(numbers))])
    table = torch.arange(3**numbers).reshape([3] * numbers)
    digits = torch.randint(0, 3, (picked, numbers))
    read = table.float()
    assert torch.equal(read[tuple(digits.T)].long(), (digits * strides).sum(1))
    indices = tuple(digits.T)
    products, sums = (numbers - 1) * picked, (numbers - 1) * picked
    assert operations(lambda: read[indices]) == picked + products + sums


@few
@given(rows=extents, width=extents)
def test_numbers_and_a_mask_address_every_pair_of_them(rows: int, width: int) -> None:
    table, mask = torch.rand(rows, width), torch.ones(width, dtype=torch.bool)
    places = torch.zeros(rows, 1, dtype=torch.int64)
    found = operations(lambda: table.index_put((places, mask), table, accumulate=True))
    assert found == searched(width) + accumulations(rows * width)
    found = operations(lambda: table.index_put((places, mask), table[0, 0]))
    assert found == writes(rows * width)


@few
@given(rows=extents, width=extents)
def test_masked_scatter(rows: int, width: int) -> None:
    table = torch.rand(rows, width)
    found = operations(lambda: aten.masked_scatter(table, torch.ones_like(table, dtype=torch.bool), table))
    free = operations(lambda: torch.ones_like(table, dtype=torch.bool))
    assert found - free == count(lambda tally: oracle.masked_scatter(tally, rows * width))


@few
@given(rows=extents, width=extents, picked=extents)
def test_scaling_by_frequency(rows: int, width: int, picked: int) -> None:
    gradient, index = torch.rand(picked, width), torch.zeros(picked, dtype=torch.int64)
    found = operations(lambda: aten.embedding_dense_backward(gradient, index, rows, -1, True))
    scaled = count(lambda tally: oracle.frequencies(tally, picked, width))
    assert found == accumulations(picked * width) + scaled


@pytest.mark.parametrize("order", [1.0, 2.0, 3.0])
@few
@given(width=extents, picked=extents)
def test_renormalizing_an_embedding(order: float, width: int, picked: int) -> None:
    table, index = torch.rand(3, width), torch.zeros(picked, dtype=torch.int64)
    found = operations(lambda: aten.embedding_renorm_(table, index, 1.0, order))
    assert found == count(lambda tally: oracle.renorm(tally, picked, width, order))


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@few
@given(width=extents, picked=extents)
def test_bags(mode: str, width: int, picked: int) -> None:
    table, index = torch.rand(3, width), torch.zeros(picked, dtype=torch.int64)
    offsets = torch.tensor([0])
    found = operations(
        lambda: aten._embedding_bag(table, index, offsets, False, ["sum", "mean", "max"].index(mode))
    )
    divided = width if mode == "mean" else 0
    assert found == count(lambda tally: oracle.bags(tally, picked, width, divided=divided))


@few
@given(width=extents, picked=extents)
def test_weighted_bags(width: int, picked: int) -> None:
    table, index = torch.rand(3, width), torch.zeros(picked, dtype=torch.int64)
    weights = torch.rand(picked)
    found = operations(lambda: aten._embedding_bag(table, index, torch.tensor([0]), False, 0, False, weights))
    assert found == count(lambda tally: oracle.bags(tally, picked, width, weighted=True))


@few
@given(repeats=extents)
def test_repeating_by_data(repeats: int) -> None:
    numbers = torch.full((repeats,), 2)
    found = operations(lambda: torch.repeat_interleave(numbers))
    assert found == count(lambda tally: oracle.running_positions(tally, repeats, 2 * repeats))


@few
@given(length=extents)
def test_histograms(length: int) -> None:
    values = torch.rand(length)
    given_range = count(lambda tally: oracle.histogram(tally, length, automatic=False))
    automatic = count(lambda tally: oracle.histogram(tally, length, automatic=True))
    assert operations(lambda: torch.histc(values, 3, 0, 2)) == given_range
    assert operations(lambda: torch.histc(values, 3)) == automatic
    assert operations(lambda: torch.histogram(values, 3, range=(0.0, 2.0))) == given_range


@settings(max_examples=80, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=2, max_size=3),
    kinds=st.lists(st.sampled_from(["mask", "number", "one", "none"]), min_size=1, max_size=3),
)
def test_accumulating_costs_two_for_each_element_that_the_indices_reach(
    sizes: list[int], kinds: list[str]
) -> None:
    """All masks are full; one of a single element is repeated for what the others find."""
    table = torch.zeros(sizes)
    made: dict[str, Callable[[int], torch.Tensor | None]] = {
        "mask": lambda size: torch.ones(size, dtype=torch.bool),
        "number": lambda _: torch.zeros(2, 1, dtype=torch.long),
        "one": lambda _: torch.zeros((), dtype=torch.long),
        "none": lambda _: None,
    }
    indices = [made[kind](size) for kind, size in zip(kinds, sizes, strict=False)]
    assume(any(index is not None for index in indices))
    try:
        reached = torch.ops.aten.index.Tensor(table, indices)
    except (IndexError, RuntimeError):
        assume(False)  # masks that find different numbers of elements
    values = torch.ones_like(reached)
    price = operations(lambda: torch.ops.aten.index_put(table, indices, values, True))
    assert price >= 2 * reached.numel()


def test_a_mask_of_one_element_is_repeated_for_what_another_finds() -> None:
    one, many = torch.ones(1, dtype=torch.bool), torch.ones(50, dtype=torch.bool)
    table, values = torch.zeros(1, 50, 7), torch.ones(50, 7)
    price = operations(lambda: torch.ops.aten.index_put(table, [one, many], values, True))
    assert price >= 2 * 50 * 7
