"""The part of a price for lazy bits: to read or write an element changes its sign, to make a view does not.

A lazily negated or conjugated tensor is a view of other memory. If the view paid for the signs, the memory
could be written again and again, and each later read would change the signs at no cost.
"""

from collections.abc import Iterator
from typing import Final

from haet_eval.operators.dtypes import INTEGERS, is_complex, is_double, width
from haet_eval.operators.signature import CONJUGATE, NEGATIVE, Argument, Signature, TensorMeta, tensors_in
from haet_eval.operators.table import MOVING, kind_of, overloads

FLAGGING: Final = ("aten._conj.default", "aten._neg_view.default")
"""Operators that set or clear a bit, and touch no element."""

VIEWS: Final = frozenset(
    (
        *overloads(
            "_fw_primal _make_dual _reshape_alias _sparse_broadcast_to alias as_strided detach diagonal "
            "expand lift_fresh permute slice_inverse split_with_sizes t unfold unsqueeze view "
            "view_as_complex view_as_real as_strided_ detach_ squeeze_ t_ transpose_ unsqueeze_",
            ".default",
        ),
        *overloads("squeeze", ".default .dim .dims"),
        *overloads("squeeze_", ".dim .dims"),
        *overloads("select transpose unbind", ".int"),
        *overloads("slice split", ".Tensor"),
        "aten.view.dtype",
    )
)
"""Operators that hand on the bits of their input with its memory, by PyTorch's schemas."""

STATES: Final = frozenset(
    {
        *("grads", "exp_avgs", "exp_avg_sqs", "max_exp_avg_sqs", "momentum_buffer_list", "state_sums"),
        *("state_steps", "running_mean", "running_var", "found_inf", "growth_tracker"),
    }
)
"""Arguments besides `self` that an operator may read and then write, by PyTorch's schemas."""


def of_signs(signature: Signature) -> int:
    """Operations for the elements that a call reads or writes through a lazy bit."""
    # `set_` shows another memory and reads none.
    if signature.operator in FLAGGING or signature.operator.startswith("aten.set_."):
        return 0
    # `ones_like` of a conjugate reads nothing of it.
    if kind_of(signature.operator) == "factory":
        return sum(map(flips, _outputs_given(signature)))
    # The result has the same bits, so whoever reads it pays. Without them the kernel has made a copy, which
    # reads.
    if signature.operator in VIEWS and _handed_on(signature):
        return 0
    return sum(flips(meta) * _times(signature, name) for name, meta in signature.given())


def flips(meta: TensorMeta) -> int:
    """Sign changes between a tensor and its memory: one for a conjugate, one for each part of a negative."""
    parts = 2 if is_complex(meta.dtype) else 1
    changes = (meta.bits & CONJUGATE > 0) + parts * (meta.bits & NEGATIVE > 0)
    # What `with_dtypes` charges for a negation of this tensor.
    wide = width(meta.dtype) if meta.dtype in INTEGERS else 1 + is_double(meta.dtype)
    return meta.numel * changes * wide


def _outputs_given(signature: Signature) -> Iterator[TensorMeta]:
    """The tensors that a factory fills; it takes shape and dtype from the others."""
    value: Argument = signature.arguments.get("out")
    yield from tensors_in(value)


def _handed_on(signature: Signature) -> bool:
    """Whether the outputs have the bits of the input: some kernels copy a tensor that has a bit."""
    bits = {meta.bits for _, meta in signature.given()}
    return all(meta.bits in bits for meta in tensors_in(signature.outputs)) and len(bits) == 1


def _times(signature: Signature, name: str) -> int:
    """An argument that is written in place is read before, unless the call only fills it."""
    fills = kind_of(signature.operator) in (*MOVING, "draw")
    in_place = name == "self" and signature.operator.split(".")[1].endswith("_")
    return 2 if (in_place and not fills) or name in STATES else 1
