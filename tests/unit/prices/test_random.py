"""Random numbers."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from haet_eval.operators.sorting import search_comparisons, selection_comparisons
from tests.oracle.counted import Tally, count, total
from tests.oracle.recording import operations
from tests.unit.prices.shapes import extents, few, shapes

DRAWS: dict[str, Callable[[tuple[int, ...]], object]] = {
    "rand": torch.rand,
    "randn": torch.randn,
    "randint": lambda shape: torch.randint(0, 9, shape),
    "rand_like": lambda shape: torch.rand_like(torch.empty(shape)),
    "normal_": lambda shape: torch.empty(shape).normal_(1, 3),
    "uniform_": lambda shape: torch.empty(shape).uniform_(-1, 1),
    "exponential_": lambda shape: torch.empty(shape).exponential_(),
    "bernoulli_": lambda shape: torch.empty(shape).bernoulli_(0.5),
    "bernoulli": lambda shape: torch.bernoulli(torch.zeros(shape), 0.5),
    "normal": lambda shape: torch.normal(0.0, 2.0, shape),
    "random_": lambda shape: torch.empty(shape).random_(0, 5),
}


def draw(tally: Tally, number: int) -> None:
    for _ in range(number):
        tally.draw()


@pytest.mark.parametrize("name", DRAWS)
@few
@given(shape=shapes())
def test_one_per_number_drawn(name: str, shape: tuple[int, ...]) -> None:
    expected = count(lambda tally: draw(tally, torch.Size(shape).numel()))
    assert operations(lambda: DRAWS[name](shape)) == expected


@few
@given(shape=shapes())
def test_a_normal_distribution_of_data_costs_its_arithmetic(shape: tuple[int, ...]) -> None:
    """If mean or deviation are tensors: z drawn, scaled, moved, as it is when written out."""
    mean, std = torch.zeros(shape), torch.ones(shape)
    assert operations(lambda: torch.normal(mean, std)) == operations(lambda: torch.randn(shape) * std + mean)
    assert operations(lambda: torch.normal(0.0, std)) == operations(lambda: torch.randn(shape) * std)
    assert operations(lambda: torch.normal(3.0, std)) == operations(lambda: torch.randn(shape) * std + 3.0)
    assert operations(lambda: torch.normal(mean, 2.0)) == operations(
        lambda: torch.normal(0.0, 2.0, shape) + mean
    )


@few
@given(shape=shapes())
def test_a_bernoulli_draw_of_data_compares(shape: tuple[int, ...]) -> None:
    chances = torch.full(shape, 0.5)
    written_out = operations(lambda: torch.rand(shape) < chances)
    assert operations(lambda: torch.bernoulli(chances)) == written_out
    assert operations(lambda: torch.empty(shape).bernoulli_(chances)) == written_out


def test_no_draw_by_data_is_cheaper_than_that_of_bernoulli() -> None:
    """One trial of a binomial distribution is a Bernoulli draw."""
    chances, ones = torch.full((5,), 0.5), torch.ones(5)
    assert operations(lambda: torch.bernoulli(chances)) == 10
    assert operations(lambda: torch.binomial(ones, chances)) == 15
    assert operations(lambda: torch.poisson(chances)) == operations(lambda: torch._standard_gamma(ones)) == 10


@few
@given(rows=extents, length=st.integers(1, 5))
def test_a_dirichlet_distribution_draws_and_normalises(rows: int, length: int) -> None:
    weights = torch.ones(rows, length)
    draws = torch._standard_gamma(weights)
    parts = operations(lambda: torch._standard_gamma(weights)) + operations(
        lambda: draws / draws.sum(-1, keepdim=True)
    )
    assert operations(lambda: torch._sample_dirichlet(weights)) == parts


def test_a_permutation_draws_each_of_its_numbers() -> None:
    assert operations(lambda: torch.randperm(7)) == 7


def test_a_complex_number_is_two() -> None:
    assert operations(lambda: torch.randn(5, dtype=torch.complex64)) == 10


def inversion(tally: Tally, length: int, samples: int) -> None:
    """Accumulate the weights; scale each draw; find it by as many comparisons as a search takes."""
    whole = total(tally.tensor([length]))
    for _ in range(samples):
        found = tally.draw() * whole
        for _ in range(search_comparisons(length - 1)):
            found.greater(0.5)


@few
@given(rows=extents, length=st.integers(1, 9), samples=st.integers(1, 5))
def test_drawing_with_replacement_is_inversion(rows: int, length: int, samples: int) -> None:
    weights = torch.ones(rows, length)
    found = operations(lambda: torch.multinomial(weights, samples, replacement=True))
    assert found == rows * count(lambda tally: inversion(tally, length, samples))


@few
@given(rows=extents, length=st.integers(1, 9), samples=st.integers(1, 5))
def test_drawing_without_replacement_is_a_race(rows: int, length: int, samples: int) -> None:
    weights, samples = torch.ones(rows, length), min(samples, length)
    found = operations(lambda: torch.multinomial(weights, samples))
    assert found == rows * (2 * length + selection_comparisons(length, samples))


@given(length=st.integers(2, 60))
def test_a_draw_is_no_cheap_maximum(length: int) -> None:
    weights = torch.ones(length)
    maximum = operations(lambda: weights.argmax())
    assert operations(lambda: torch.multinomial(weights, 1)) > maximum
    assert operations(lambda: torch.multinomial(weights, 1, replacement=True)) > maximum
