"""Fourier transforms, by the published count of the radix-2 algorithm (Cooley and Tukey 1965).

A complex transform of length N is 5N⌈log₂N⌉ real operations (N/2·log₂N butterflies of ten), a real
one half of that. If N is not a power of two, the number of stages is rounded up.

Checks: dimensions in range, each once, and as many coefficients as the real side needs.
"""

from haet_eval.operators.checking.call import Call
from haet_eval.operators.checking.shapes import dimensions, fits
from haet_eval.operators.checking.sizes import of_length
from haet_eval.operators.pricing.integers import ceiling_division, ceiling_log2, real_scalars
from haet_eval.operators.signature import Signature, TensorMeta
from haet_eval.operators.table import OPTIONS, operators


def fourier(call: Call) -> None:
    shown = call.tensor("self")
    dims = dimensions(call, call.integers("dim"), shown.ndim)
    call.require(
        min(call.integers("dim"), default=0) >= 0, "its kernel counts dimensions from the front only"
    )
    call.require(shown.ndim > 0 and bool(dims), "there is no dimension to transform")
    call.require(all(shown.shape[dim] > 0 for dim in dims), "a dimension to transform is empty")
    call.require(0 <= call.integer("normalization") <= 2, "an unknown normalization")
    kinds = {"float32", "float64"} if call.operator.base == "_fft_r2c" else {"complex64", "complex128"}
    call.require(shown.dtype in kinds, f"self must be one of {sorted(kinds)}")
    if "last_dim_size" in call.arguments:
        # The real side of length n has n // 2 + 1 coefficients. More would be read behind the end of the
        # input.
        last = call.integer("last_dim_size")
        call.require(last > 0 and last // 2 + 1 == shown.shape[dims[-1]], "last_dim_size does not fit")
        fits(call, [last if place == dims[-1] else size for place, size in enumerate(shown.shape)])


def transform(length: int) -> int:
    """Real operations of one complex transform."""
    return 5 * length * ceiling_log2(length)


@operators(check=fourier)("_fft_c2c(Tensor self, int[] dim, int normalization, bool forward) -> Tensor")
def _complex_to_complex(s: Signature) -> int:
    """One transform per row and dimension, and the normalization."""
    return _complex_rows(s.tensor("self"), s.integers("dim")) + _normalization(s)


@operators(check=fourier)("_fft_r2c(Tensor self, int[] dim, int normalization, bool onesided) -> Tensor")
def _real_to_complex(s: Signature) -> int:
    """Real rows along the last dimension of the input; along the others, complex rows of the output."""
    *others, last = s.integers("dim")
    values = s.tensor("self")
    return _real_rows(values, last) + _complex_rows(s.out, tuple(others)) + _normalization(s)


@operators(check=fourier)("""
    _fft_c2r(Tensor self, int[] dim, int normalization, int last_dim_size) -> Tensor
""")
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


@operators(check=of_length)(f"fft_fftfreq fft_rfftfreq(int n, float d=1., *, {OPTIONS}) -> Tensor")
def _frequencies(_: Signature) -> int:
    """Constants that follow from the length: free, as every factory."""
    return 0
