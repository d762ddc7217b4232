"""Sorting, selection, search: published bounds, and what follows them counted."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from haet_eval.operators.sorting import (
    rank_comparisons,
    search_comparisons,
    selection_comparisons,
    sort_comparisons,
)
from tests.oracle import sorting as oracle
from tests.oracle.counted import Tally, count
from tests.oracle.recording import operations
from tests.unit.prices.shapes import extents, few

lengths = st.integers(1, 9)


@given(length=st.integers(0, 3000))
def test_sorting_is_length_times_the_levels(length: int) -> None:
    expected = length * math.ceil(math.log2(length)) if length > 1 else 0
    assert sort_comparisons(length) == expected


@given(length=st.integers(1, 40), seed=st.integers(0, 99))
def test_merge_sort_stays_within_the_price(length: int, seed: int) -> None:
    tally = Tally(seed)
    ordered = oracle.merge_sort(tally.tensor([length]))
    assert [x.value for x in ordered] == sorted(x.value for x in ordered)
    assert tally.operations <= sort_comparisons(length)


@given(length=st.integers(0, 70))
def test_the_longest_binary_search_is_the_price(length: int) -> None:
    def search(value: float) -> int:
        tally = Tally()
        boundaries = [tally.scalar(place) for place in range(length)]
        assert oracle.binary_search(boundaries, value) == min(max(math.ceil(value), 0), length)
        return tally.operations

    assert search_comparisons(length) == max(search(place - 0.5) for place in range(length + 1))


@given(length=st.integers(1, 100))
def test_selecting_all_is_sorting_and_selecting_one_is_a_maximum(length: int) -> None:
    assert selection_comparisons(length, 1) == length - 1
    if length > 1:
        assert selection_comparisons(length, length) == sort_comparisons(length)
    kept = [selection_comparisons(length, k) for k in range(1, length + 1)]
    assert kept == sorted(kept)


@given(length=st.integers(1, 100), data=st.data())
def test_selection_by_rank_costs_as_much_from_either_end(length: int, data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, length))
    found = rank_comparisons(length, rank)
    assert found == rank_comparisons(length, length + 1 - rank)
    assert length - 1 == rank_comparisons(length, 1) <= found <= 1.5 * length


def test_the_median_of_three_takes_three_comparisons() -> None:
    """a against b, the larger of them against c; and the smaller, if c is below."""
    assert rank_comparisons(3, 2) == 3


@few
@given(rows=extents, length=lengths, kept=st.integers(1, 3))
def test_every_row_costs_alike(rows: int, length: int, kept: int) -> None:
    values = torch.rand(rows, length)
    kept = min(kept, length)
    assert operations(lambda: values.sort()) == rows * sort_comparisons(length)
    assert operations(lambda: values.t().argsort(stable=True, dim=0)) == rows * sort_comparisons(length)
    assert operations(lambda: values.topk(kept)) == rows * selection_comparisons(length, kept)
    assert operations(lambda: values.kthvalue(1)) == rows * (length - 1)
    assert operations(lambda: values.kthvalue(length)) == rows * (length - 1)
    middle, all_of_them = (length + 1) // 2, rows * length
    assert operations(lambda: values.median(1)) == rows * rank_comparisons(length, middle)
    assert operations(lambda: values.median(1)) == operations(lambda: values.kthvalue(middle))
    median = rank_comparisons(all_of_them, (all_of_them + 1) // 2)
    assert operations(lambda: values.median()) == median
    assert operations(lambda: values.nanmedian(1)) == rows * (length + rank_comparisons(length, middle))
    assert operations(lambda: values.nanmedian()) == all_of_them + median


@few
@given(rows=extents, length=lengths)
def test_mode(rows: int, length: int) -> None:
    runs = count(lambda tally: oracle.longest_run(tally, length))
    found = operations(lambda: torch.rand(rows, length).mode())
    assert found == rows * (length + sort_comparisons(length) + runs)


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("counts", [False, True])
@few
@given(length=lengths, width=extents)
def test_distinct_values(inverse: bool, counts: bool, length: int, width: int) -> None:
    def runs(elements: int) -> int:
        return count(lambda tally: oracle.runs(tally, length, elements, ranks=inverse, lengths=counts))

    values = torch.zeros(length, width)
    written = length if inverse else 0
    row = values[:, 0]
    found = operations(lambda: torch.unique_consecutive(row, inverse, counts))
    assert found == runs(1)
    found = operations(lambda: torch.unique(row, return_inverse=inverse, return_counts=counts))
    assert found == sort_comparisons(length) + written + runs(1)
    found = operations(lambda: torch.unique(values, return_inverse=inverse, return_counts=counts, dim=0))
    assert found == sort_comparisons(length) * width + written + runs(width)


@few
@given(queries=extents, length=st.integers(0, 9))
def test_search(queries: int, length: int) -> None:
    values, boundaries = torch.rand(queries), torch.arange(float(length))
    found = operations(lambda: torch.bucketize(values, boundaries))
    assert found == queries * search_comparisons(length)
    order = torch.arange(length)
    found = operations(lambda: torch.searchsorted(boundaries, values, sorter=order))
    assert found == queries * 2 * search_comparisons(length)


@few
@given(elements=extents, others=extents)
def test_membership(elements: int, others: int) -> None:
    found = operations(lambda: torch.isin(torch.zeros(elements), torch.zeros(others)))
    assert found == elements * count(lambda tally: oracle.contains(tally, others))
