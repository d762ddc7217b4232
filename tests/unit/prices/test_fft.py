"""Fourier transforms by their published count."""

from math import ceil, log2

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from haet_eval.operators.fft import transform
from tests.oracle.recording import operations
from tests.unit.prices.shapes import extents, few


@given(level=st.integers(0, 40))
def test_five_n_log_n(level: int) -> None:
    assert transform(2**level) == 5 * 2**level * level


@given(length=st.integers(1, 10_000))
def test_other_lengths_round_the_stages_up(length: int) -> None:
    assert transform(length) == 5 * length * ceil(log2(length))


@few
@given(rows=extents, length=st.integers(1, 9))
def test_one_dimension(rows: int, length: int) -> None:
    real = torch.rand(rows, length)
    complexes = real.to(torch.complex64)
    once = rows * transform(length)
    assert operations(lambda: torch.fft.fft(complexes)) == once
    assert operations(lambda: torch.fft.rfft(real)) == rows * ceil(transform(length) / 2)
    assert operations(lambda: torch.fft.ifft(complexes)) == once + 2 * rows * length
    half = torch.fft.rfft(real)
    found = operations(lambda: torch.fft.irfft(half, length))
    assert found == rows * ceil(transform(length) / 2) + rows * length


@few
@given(height=st.integers(1, 6), width=st.integers(1, 6))
def test_two_dimensions_are_rows_and_columns(height: int, width: int) -> None:
    complexes = torch.rand(height, width, dtype=torch.complex64)
    expected = height * transform(width) + width * transform(height)
    assert operations(lambda: torch.fft.fft2(complexes)) == expected


@pytest.mark.parametrize("length", [4, 8, 64])
def test_a_real_transform_costs_half_a_complex_one(length: int) -> None:
    real = torch.rand(length)
    whole = operations(lambda: torch.fft.fft(real.to(torch.complex64)))
    assert 2 * operations(lambda: torch.fft.rfft(real)) == whole
