"""Fourier transforms: dimensions in range, each once, and as many coefficients as the real side needs."""

from haet_eval.remote.operators.call import Call
from haet_eval.remote.operators.validators.shapes import dimensions, fits
from haet_eval.remote.operators.validators.table import validator


@validator("_fft_c2c", "_fft_c2r", "_fft_r2c")
def transform(call: Call) -> None:
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
        last = call.integer("last_dim_size")
        call.require(last > 0 and last // 2 + 1 == shown.shape[dims[-1]], "last_dim_size does not fit")
        fits(call, [last if place == dims[-1] else size for place, size in enumerate(shown.shape)])
