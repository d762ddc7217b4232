"""Losses with targets that are class numbers, and the gradients of softmax."""

from dataclasses import replace

from haet_eval.remote.operators.call import Call
from haet_eval.remote.operators.validators.dtypes import FLOATS
from haet_eval.remote.operators.validators.shapes import (
    broadcast,
    has_shape,
    is_contiguous,
    same_dtype,
    same_shape,
)
from haet_eval.remote.operators.validators.table import validator

_NONE = 0


@validator("nll_loss_forward", "nll_loss_backward", "multi_margin_loss", "multi_margin_loss_backward")
def classes(call: Call) -> None:
    scores, target = call.tensor("self"), call.tensor("target")
    call.require(scores.ndim <= 2, "self must have one or two dimensions")
    call.require(target.dtype in {"int64", "uint8"} and target.ndim <= 1, "target must be class numbers")
    rows = scores.shape[0] if scores.ndim == 2 else 1
    call.require(target.numel == rows, "target must have one class for each row")
    count = scores.shape[-1] if scores.ndim else 1
    call.require(count > 0, "there are no classes")
    # For no rows the kernel writes no loss, so its result would be the old contents of the memory.
    call.require(rows > 0 or not call.operator.base.startswith("multi"), "there are no rows")
    _weight(call, count)
    _loss_gradient(call, target.shape if call.operator.base.startswith("multi") else scores.shape[:-1])


@validator("binary_cross_entropy", "binary_cross_entropy_backward")
def probabilities(call: Call) -> None:
    """Shapes that broadcast to fewer elements would make the kernel leave a part of the loss unwritten."""
    scores = call.tensor("self")
    same_shape(call, "self", "target")
    given = [tensor for name in ("self", "weight") if (tensor := call.optional_tensor(name)) is not None]
    call.require(broadcast(call, given) == scores.shape, "weight has another shape")
    _loss_gradient(call, scores.shape)


@validator("nll_loss2d_forward", "nll_loss2d_backward")
def classes_of_pixels(call: Call) -> None:
    scores, target = call.tensor("self"), call.tensor("target")
    call.require(scores.ndim == 4 and scores.shape[1] > 0, "self must have four dimensions")
    call.require(target.dtype in {"int64", "uint8"}, "target must be class numbers")
    has_shape(call, "target", (scores.shape[0], *scores.shape[2:]))
    _weight(call, scores.shape[1])
    _loss_gradient(call, target.shape)


def _weight(call: Call, classes_count: int) -> None:
    weight = call.optional_tensor("weight")
    call.require(weight is None or weight.numel == classes_count, "weight must have one element a class")
    call.require(weight is None or weight.ndim <= 1, "weight must be a vector")
    same_dtype(call, "self", "weight", "grad_output", "total_weight")


def _loss_gradient(call: Call, shape: tuple[int, ...]) -> None:
    gradient = call.optional_tensor("grad_output")
    if gradient is not None:
        reduced = call.integer("reduction") != _NONE
        call.require(
            gradient.numel == 1 if reduced else gradient.shape == shape, "grad_output has another size"
        )
    weight = call.optional_tensor("total_weight")
    call.require(weight is None or weight.numel == 1, "total_weight must have one element")


@validator("multilabel_margin_loss_forward", "multilabel_margin_loss_backward")
def labels(call: Call) -> None:
    scores = call.tensor("self")
    call.require(scores.ndim in {0, 1, 2} and scores.numel > 0, "self must have one or two dimensions")
    same_shape(call, "self", "target", "is_target")
    same_dtype(call, "self", "is_target", "grad_output")
    call.require(call.tensor("target").dtype == "int64", "target must be int64")
    _loss_gradient(call, scores.shape[:-1])


@validator("smooth_l1_loss_backward")
def smooth_loss_of_floats(call: Call) -> None:
    """Its kernel divides by beta as a number of that dtype: as an integer, 0.5 is 0, and the process ends."""
    for name in ("grad_output", "self", "target"):
        call.require(call.tensor(name).dtype in FLOATS, f"{name} must be floats")


@validator("_softmax_backward_data", "_log_softmax_backward_data")
def softmax_backward(call: Call) -> None:
    same_shape(call, "grad_output", "output")
    same_dtype(call, "grad_output", "output")


@validator("log_sigmoid_backward")
def log_sigmoid_backward(call: Call) -> None:
    same_shape(call, "grad_output", "self")
    same_dtype(call, "grad_output", "self")
    buffer = call.tensor("buffer")
    call.require(buffer.numel in {0, call.tensor("self").numel}, "buffer has another size")
    call.require(is_contiguous(buffer), "buffer must be contiguous")


@validator("_cdist_backward")
def cdist_backward(call: Call) -> None:
    one, two = call.tensor("x1"), call.tensor("x2")
    call.require(one.ndim >= 2 and two.ndim >= 2, "x1 and x2 must be matrices")
    call.require(one.dtype in FLOATS, "x1 must be floats")
    call.require(one.shape[-1] == two.shape[-1], "x1 and x2 must have as many columns")
    same_dtype(call, "x1", "x2", "grad_output", "cdist")
    batches = broadcast(call, [replace(tensor, shape=tensor.shape[:-2]) for tensor in (one, two)])
    for name in ("grad_output", "cdist"):
        has_shape(call, name, (*batches, one.shape[-2], two.shape[-2]))


@validator("_pdist_forward", "_pdist_backward")
def pdist(call: Call) -> None:
    rows = call.tensor("self")
    call.require(rows.ndim == 2, "self must be a matrix")
    call.require(rows.shape[0] > 0 or "pdist" not in call.arguments, "self is empty")
    pairs = rows.shape[0] * (rows.shape[0] - 1) // 2
    same_dtype(call, "self", "grad", "grad_output", "pdist")
    for name in ("grad", "grad_output", "pdist"):
        has_shape(call, name, (pairs,))
