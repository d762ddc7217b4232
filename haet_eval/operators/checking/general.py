"""Checks of every operator: dimensions in range, a reduction that exists, no pinned memory."""

from haet_eval.operators.checking.call import Call
from haet_eval.operators.checking.dtypes import COMPLEX
from haet_eval.operators.checking.shapes import broadcast, dimension, has_shape
from haet_eval.operators.signature import tensors_in


def dimensions_exist(call: Call) -> None:
    """Parameters named dim, dims, dim0, dim1 and dimension."""
    counted = call.operator.facts.dims
    rank = None if counted == "others" else _rank(call)
    if rank is None:
        return
    # `stack` and `unsqueeze` name a place among the dimensions of their result.
    rank += counted == "more"
    for name in ("dim", "dims", "dim0", "dim1", "dim2", "dimension"):
        value = call.arguments.get(name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, int) and call.operator.parameter(name).type == "int":
                dimension(call, item, rank)


def _rank(call: Call) -> int | None:
    for parameter in call.operator.parameters:
        if parameter.type != "Tensor":
            continue
        if not parameter.is_list:
            return call.tensor(parameter.name).ndim
        return max((tensor.ndim for tensor in call.tensors(parameter.name)), default=None)
    return None


def reduction_exists(call: Call) -> None:
    """0, 1 and 2 stand for none, mean and sum."""
    value = call.arguments.get("reduction")
    call.require(not isinstance(value, int) or 0 <= value <= 2, "an unknown reduction")


def complex_halves_do_not_exist(call: Call) -> None:
    """A float16 and a complex number would make PyTorch's complex32, a dtype that the wire does not have."""
    tensors = [meta for value in call.arguments.values() for meta in tensors_in(value)]
    kinds = {tensor.dtype for tensor in tensors}
    mixed = bool(kinds & COMPLEX) or any(isinstance(value, complex) for value in call.arguments.values())
    mixed = mixed or call.operator.facts.makes_complex or call.arguments.get("dtype") in COMPLEX
    call.require(not (mixed and "float16" in kinds), "there is no complex number of float16; use float32")


def memory_is_ordinary(call: Call) -> None:
    """Pinned memory is a resource of the whole machine, so one run must not take it."""
    call.require(call.arguments.get("pin_memory") is not True, "pinned memory is not allowed")


def broadcasts(call: Call) -> None:
    """The check of every operator that PyTorch tags as pointwise, and that takes no lists."""
    # PyTorch would resize an `out` of another shape, and its memory would no longer be what the meter has in
    # its books.
    single = [meta for name in call.arguments if (meta := call.optional_tensor(name)) and name != "out"]
    lists = any(isinstance(value, tuple) and any(tensors_in(value)) for value in call.arguments.values())
    if lists or not single:
        return
    shape = broadcast(call, single)
    written = [parameter.name for parameter in call.operator.parameters if parameter.written]
    for name in written:
        has_shape(call, name, shape)
