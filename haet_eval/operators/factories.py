"""New tensors: their sizes must be possible."""

from math import isfinite

from haet_eval.operators.checking.call import MAX_ELEMENTS, Call
from haet_eval.operators.checking.shapes import is_dense, strided
from haet_eval.operators.checking.sizes import of_length, of_sides, of_size, steps
from haet_eval.operators.movement import free
from haet_eval.operators.signature import TensorMeta
from haet_eval.operators.table import BY_KERNEL, OPTIONS, operators


def of_strides(call: Call) -> None:
    sizes, strides = strided(call)
    # Gaps would show what freed memory holds: clearing new memory reaches elements only (decision 0030).
    made = TensorMeta(sizes, strides, 0, "float32")
    call.require(0 in sizes or is_dense(made), "the strides leave gaps or overlap; make a view instead")


def arange(call: Call) -> None:
    start, end, step = (call.arguments.get(name, default) for name, default in _RANGE)
    # The length follows from these numbers, so a complex number or ANY is not accepted.
    numbers = [value for value in (start, end, step) if isinstance(value, int | float)]
    call.require(
        len(numbers) == 3 and all(isfinite(value) for value in numbers), "start, end and step must be finite"
    )
    first, last, stride = numbers
    call.require(stride != 0 and abs(last - first) <= abs(stride) * MAX_ELEMENTS, "the range is too long")


_RANGE = (("start", 0), ("end", None), ("step", 1))


operators(check=arange, literal="end", kind="factory")(f"arange(Scalar end, *, {OPTIONS}) -> Tensor")(free)
operators(check=arange, literal="start end", kind="factory")(f"""
    arange.start(Scalar start, Scalar end, *, {OPTIONS}) -> Tensor
""")(free)
operators(check=arange, literal="start end step", kind="factory")(f"""
    arange.start_step(Scalar start, Scalar end, Scalar step=1, *, {OPTIONS}) -> Tensor
""")(free)
operators(check=of_length, kind="factory")(f"""
    bartlett_window blackman_window hamming_window hann_window(int window_length, *, {OPTIONS}) -> Tensor
    bartlett_window.periodic blackman_window.periodic hamming_window.periodic hann_window.periodic(int
        window_length, bool periodic, *, {OPTIONS}) -> Tensor
    hamming_window.periodic_alpha(int window_length, bool periodic, float alpha, *, {OPTIONS}) -> Tensor
    hamming_window.periodic_alpha_beta(int window_length, bool periodic, float alpha, float beta, *,
        {OPTIONS}) -> Tensor
""")(free)
operators(check=of_size, kind="factory")(f"""
    _efficientzerotensor ones zeros(int[] size, *, {OPTIONS}) -> Tensor
    empty.memory_format(int[] size, *, {OPTIONS}, MemoryFormat? memory_format=None) -> Tensor
    empty_permuted(int[] size, int[] physical_layout, *, {OPTIONS}) -> Tensor
    full(int[] size, Scalar fill_value, *, {OPTIONS}) -> Tensor
    new_empty new_ones new_zeros(Tensor self, int[] size, *, {OPTIONS}) -> Tensor
    new_full(Tensor self, int[] size, Scalar fill_value, *, {OPTIONS}) -> Tensor
""")(free)
# The size is that of a tensor which exists.
operators(check=BY_KERNEL, kind="factory")(f"""
    empty_like ones_like zeros_like(Tensor self, *, {OPTIONS}, MemoryFormat? memory_format=None) -> Tensor
    full_like(Tensor self, Scalar fill_value, *, {OPTIONS}, MemoryFormat? memory_format=None) -> Tensor
    scalar_tensor(Scalar s, *, {OPTIONS}) -> Tensor
""")(free)
operators(check=of_strides, kind="factory")(f"""
    empty_strided(int[] size, int[] stride, *, {OPTIONS}) -> Tensor
    new_empty_strided(Tensor self, int[] size, int[] stride, *, {OPTIONS}) -> Tensor
""")(free)
# `dtype=4` is how PyTorch prints int64.
operators(check=of_sides, kind="factory")(f"""
    eye(int n, *, {OPTIONS}) -> Tensor
    eye.m(int n, int m, *, {OPTIONS}) -> Tensor
    tril_indices triu_indices(int row, int col, int offset=0, *, ScalarType? dtype=4, Layout? layout=None,
        Device? device=None, bool? pin_memory=None) -> Tensor
""")(free)
operators(check=steps, kind="factory")(f"""
    linspace(Scalar start, Scalar end, int steps, *, {OPTIONS}) -> Tensor
    logspace(Scalar start, Scalar end, int steps, float base=10., *, {OPTIONS}) -> Tensor
""")(free)
