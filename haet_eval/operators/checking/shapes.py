"""Arithmetic on shapes that the validators share."""

from collections.abc import Sequence
from math import prod

from haet_eval.operators.checking.call import MAX_ELEMENTS, Call
from haet_eval.operators.signature import TensorMeta

MAX_EXTENT = 2**40
"""Larger than any honest padding, offset or window: sums of a few of these stay within int64."""


def broadcast(call: Call, tensors: Sequence[TensorMeta]) -> tuple[int, ...]:
    """The shape that these tensors broadcast to.

    Raises:
        Refused: they do not broadcast, or the result has too many elements.
    """
    rank = max((tensor.ndim for tensor in tensors), default=0)
    result = [1] * rank
    for tensor in tensors:
        for place, size in enumerate(tensor.shape, rank - tensor.ndim):
            if size != 1:
                call.require(result[place] in {1, size}, "its tensors do not broadcast to one shape")
                result[place] = size
    fits(call, result)
    return tuple(result)


def fits(call: Call, shape: Sequence[int]) -> None:
    """Refuse a shape with a negative size or with more than MAX_ELEMENTS elements."""
    call.require(all(size >= 0 for size in shape), "a size is negative")
    most = f"the limit of {MAX_ELEMENTS:,}"
    longest = max(shape, default=0)
    call.require(longest <= MAX_ELEMENTS, f"the result is {_count(longest)} elements long, above {most}")
    # PyTorch takes a size of 0 for 1 when it computes strides, so the other sizes of an empty tensor must fit
    # as well.
    nonzero = prod(max(size, 1) for size in shape)
    call.require(nonzero <= MAX_ELEMENTS, f"the result has {_count(nonzero)} elements, above {most}")


def strided(call: Call) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Sizes and strides that a tensor can have."""
    sizes, strides = call.integers("size"), call.integers("stride")
    call.require(len(sizes) == len(strides), "size and stride must have as many entries")
    fits(call, sizes)
    call.require(all(stride >= 0 for stride in strides), "a stride is negative")
    return sizes, strides


def _count(elements: int) -> str:
    """The number for a message, or only its magnitude if it has too many digits to read."""
    return f"{elements:,}" if elements < 10**15 else f"about 2^{elements.bit_length()}"


def dimension(call: Call, value: int, rank: int) -> int:
    """A dimension counted from the front; a tensor without dimensions counts as one with one."""
    rank = max(rank, 1)
    call.require(-rank <= value < rank, "a dimension is out of range")
    return value % rank


def dimensions(call: Call, values: Sequence[int], rank: int) -> tuple[int, ...]:
    """Several of them, each at most once."""
    wrapped = tuple(dimension(call, value, rank) for value in values)
    call.require(len(set(wrapped)) == len(wrapped), "a dimension is named twice")
    return wrapped


def same_shape(call: Call, *names: str) -> None:
    """Refuse unless the tensors of these names, as far as given, have one shape."""
    shapes = {tensor.shape for name in names if (tensor := call.optional_tensor(name)) is not None}
    call.require(len(shapes) <= 1, f"{' and '.join(names)} must have one shape")


def same_dtype(call: Call, *names: str) -> None:
    """Refuse unless the tensors of these names, as far as given, have one dtype."""
    dtypes = {tensor.dtype for name in names if (tensor := call.optional_tensor(name)) is not None}
    call.require(len(dtypes) <= 1, f"{' and '.join(names)} must have one dtype")


def has_shape(call: Call, name: str, shape: Sequence[int]) -> None:
    """Refuse unless the tensor of that name is absent or has exactly this shape."""
    tensor = call.optional_tensor(name)
    call.require(tensor is None or tensor.shape == tuple(shape), f"{name} must have shape {list(shape)}")


def spread(call: Call, name: str, count: int, default: Sequence[int] = ()) -> tuple[int, ...]:
    """A list of integers of which one stands for `count` equal ones; an empty one means `default`."""
    values = call.integers(name) or tuple(default)
    if len(values) == 1:
        values *= count
    call.require(len(values) == count, f"{name} must have {count} entries")
    call.require(all(abs(value) <= MAX_EXTENT for value in values), f"{name} is out of range")
    return values


def is_dense(tensor: TensorMeta) -> bool:
    """Whether its elements fill their memory without gaps and without overlap, in any order."""
    expected = 1
    for stride, size in sorted(zip(tensor.stride, tensor.shape, strict=True)):
        # A dimension of one element is never stepped along, so its stride may be anything.
        if size == 1:
            continue
        if stride != expected:
            return False
        expected *= size
    return True


def is_contiguous(tensor: TensorMeta) -> bool:
    """Whether its elements fill their memory in order."""
    expected = 1
    for stride, size in zip(reversed(tensor.stride), reversed(tensor.shape), strict=True):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True


def overlaps_itself(tensor: TensorMeta) -> bool:
    """Whether a stride of zero shows one element in several places."""
    return any(stride == 0 and size > 1 for stride, size in zip(tensor.stride, tensor.shape, strict=True))


def shrunk(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """How many windows of a kernel lie in a padded dimension of this size."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
