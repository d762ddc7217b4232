"""Fourier transforms, by the published count of the radix-2 algorithm (Cooley and Tukey 1965).

A complex transform of length N is 5N⌈log₂N⌉ real operations (N/2·log₂N butterflies of ten), a real
one half of that. If N is not a power of two, the number of stages is rounded up.
"""

from haet_eval.counting.prices.integers import ceiling_division, ceiling_log2, real_scalars
from haet_eval.counting.prices.table import overloads, price
from haet_eval.counting.signature import Signature, TensorMeta


def transform(length: int) -> int:
    """Real operations of one complex transform."""
    return 5 * length * ceiling_log2(length)


@price(*overloads("_fft_c2c", ".default .out"))
def _complex_to_complex(s: Signature) -> int:
    """One transform per row and dimension, and the normalization."""
    return _complex_rows(s.tensor("self"), s.integers("dim")) + _normalization(s)


@price(*overloads("_fft_r2c", ".default .out"))
def _real_to_complex(s: Signature) -> int:
    """Real rows along the last dimension of the input; along the others, complex rows of the output."""
    *others, last = s.integers("dim")
    values = s.tensor("self")
    return _real_rows(values, last) + _complex_rows(s.out, tuple(others)) + _normalization(s)


@price(*overloads("_fft_c2r", ".default .out"))
def _complex_to_real(s: Signature) -> int:
    """Complex rows along all dimensions but the last, real ones along the last."""
    *others, last = s.integers("dim")
    return _complex_rows(s.tensor("self"), tuple(others)) + _real_rows(s.out, last) + _normalization(s)


def _complex_rows(values: TensorMeta, dims: tuple[int, ...]) -> int:
    return sum(_row_count(values, dim) * transform(values.shape[dim]) for dim in dims)


def _real_rows(values: TensorMeta, dim: int) -> int:
    return _row_count(values, dim) * ceiling_division(transform(values.shape[dim]), 2)


def _row_count(values: TensorMeta, dim: int) -> int:
    return values.numel // max(values.shape[dim], 1)


def _normalization(s: Signature) -> int:
    """A real factor for each number returned, unless the mode is 0 (none)."""
    return real_scalars(s.out) if s["normalization"] else 0


@price(*overloads("fft_fftfreq fft_rfftfreq", ".default .out"))
def _frequencies(_: Signature) -> int:
    """Constants that follow from the length: free, as every factory."""
    return 0
