"""New tensors: their sizes must be possible."""

from math import isfinite

from haet_eval.counting.signature import TensorMeta
from haet_eval.remote.operators.call import MAX_ELEMENTS, Call
from haet_eval.remote.operators.validators.shapes import fits, is_dense
from haet_eval.remote.operators.validators.table import validator


@validator(
    "empty",
    "empty_permuted",
    "full",
    "ones",
    "zeros",
    "rand",
    "randn",
    "randint",
    "new_empty",
    "new_full",
    "new_ones",
    "new_zeros",
    "_efficientzerotensor",
    "normal",
)
def of_size(call: Call) -> None:
    fits(call, call.integers("size"))


@validator("empty_strided", "new_empty_strided")
def of_strides(call: Call) -> None:
    sizes, strides = call.integers("size"), call.integers("stride")
    call.require(len(sizes) == len(strides), "size and stride must have as many entries")
    fits(call, sizes)
    call.require(all(stride >= 0 for stride in strides), "a stride is negative")
    made = TensorMeta(sizes, strides, 0, "float32")
    call.require(0 in sizes or is_dense(made), "the strides leave gaps or overlap; make a view instead")


@validator("eye", "randperm", "tril_indices", "triu_indices")
def of_sides(call: Call) -> None:
    sides = [call.integer(name) for name in ("n", "m", "row", "col") if name in call.arguments]
    if call.operator.name == "aten.eye.default":
        sides *= 2
    fits(call, sides)
    if "offset" in call.arguments:
        call.require(abs(call.integer("offset")) <= MAX_ELEMENTS, "the offset is out of range")


@validator("arange")
def arange(call: Call) -> None:
    start, end, step = (call.arguments.get(name, default) for name, default in _RANGE)
    numbers = [value for value in (start, end, step) if isinstance(value, int | float)]
    call.require(
        len(numbers) == 3 and all(isfinite(value) for value in numbers), "start, end and step must be finite"
    )
    first, last, stride = numbers
    call.require(stride != 0 and abs(last - first) <= abs(stride) * MAX_ELEMENTS, "the range is too long")


_RANGE = (("start", 0), ("end", None), ("step", 1))


@validator("linspace", "logspace")
def steps(call: Call) -> None:
    fits(call, (call.integer("steps"),))


@validator("multinomial", "nonzero_static", "bincount", "histc")
def counted(call: Call) -> None:
    for name in ("num_samples", "size", "minlength", "bins"):
        if name in call.arguments:
            fits(call, (call.integer(name),))


@validator("multinomial")
def draws_no_more_than_there_are(call: Call) -> None:
    """The kernel checks this itself, but `haet-eval check` does not run it and would not find the error."""
    weights, samples = call.tensor("self"), call.integer("num_samples")
    if not call.integer("replacement") and weights.ndim:
        call.require(
            samples <= weights.shape[-1],
            f"cannot draw {samples} of {weights.shape[-1]} without replacement",
        )


@validator(
    "hann_window", "hamming_window", "blackman_window", "bartlett_window", "fft_fftfreq", "fft_rfftfreq"
)
def of_length(call: Call) -> None:
    name = "n" if "n" in call.arguments else "window_length"
    fits(call, (call.integer(name),))


@validator("narrow_copy")
def narrow(call: Call) -> None:
    fits(call, (call.integer("length"),))
