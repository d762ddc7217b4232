"""Operators that go element by element: broadcasting gives a possible shape, and outputs have it."""

from haet_eval.counting.signature import tensors_in
from haet_eval.remote.operators.call import Call
from haet_eval.remote.operators.validators.shapes import (
    broadcast,
    dimensions,
    has_shape,
    is_contiguous,
    same_dtype,
    same_shape,
)
from haet_eval.remote.operators.validators.table import validator


def broadcasts(call: Call) -> None:
    """The check of every operator that PyTorch tags as pointwise, and that takes no lists."""
    single = [meta for name in call.arguments if (meta := call.optional_tensor(name)) and name != "out"]
    lists = any(isinstance(value, tuple) and any(tensors_in(value)) for value in call.arguments.values())
    if lists or not single:
        return
    shape = broadcast(call, single)
    written = [parameter.name for parameter in call.operator.parameters if parameter.written]
    for name in written:
        has_shape(call, name, shape)


@validator(
    "elu_backward",
    "gelu_backward",
    "hardshrink_backward",
    "hardsigmoid_backward",
    "hardswish_backward",
    "hardtanh_backward",
    "leaky_relu_backward",
    "logit_backward",
    "mish_backward",
    "sigmoid_backward",
    "silu_backward",
    "softplus_backward",
    "softshrink_backward",
    "tanh_backward",
    "threshold_backward",
)
def backward(call: Call) -> None:
    others = [p.name for p in call.operator.parameters if p.type == "Tensor"]
    broadcast(call, [meta for name in others if (meta := call.optional_tensor(name)) is not None])
    same_dtype(call, *others)


@validator("gelu_backward")
def gelu_backward(call: Call) -> None:
    """In bfloat16 it goes to oneDNN, which does not broadcast."""
    same_shape(call, "grad_output", "self")


@validator("rrelu_with_noise", "rrelu_with_noise_", "rrelu_with_noise_backward")
def noise(call: Call) -> None:
    same_shape(call, "self", "noise", "grad_output")
    same_dtype(call, "self", "noise", "grad_output")
    call.require(is_contiguous(call.tensor("noise")), "noise must be contiguous")


@validator("_trilinear")
def factors_have_one_rank(call: Call) -> None:
    """Its kernel counts dimensions from the front, and would align other ranks at their ends."""
    ranks = {call.tensor(f"i{i}").ndim + len(call.integers(f"expand{i}")) for i in (1, 2, 3)}
    call.require(len(ranks) == 1, "its factors must have one rank")
    for name in ("expand1", "expand2", "expand3", "sumdim"):
        dimensions(call, call.integers(name), *ranks)


@validator("mm", "bmm", "addmm")
def out_of_product(call: Call) -> None:
    """`out` must have the shape of the product: it would be resized otherwise."""
    if "out" in call.arguments:
        one, two = (
            call.tensor(name) for name in (("mat1", "mat2") if "mat1" in call.arguments else ("self", "mat2"))
        )
        call.require(one.ndim >= 2 and two.ndim == one.ndim, "it needs matrices")
        has_shape(call, "out", (*one.shape[:-1], two.shape[-1]))
        same_dtype(call, "out", "mat2")
