"""Moving data: views, copies, joining, padding, filling, factories are free.

Some operators look like movement but add, so they have a price: the backward of a padding or of an unfolding
sums the gradients that fall on one element.
"""

from math import prod

from haet_eval.counting.prices.coverage import Axis, union_length
from haet_eval.counting.prices.pointwise import is_complex
from haet_eval.counting.prices.table import overloads, price
from haet_eval.counting.signature import Signature

_FUNCTION = ".default .out"
_IN_PLACE = ".default _.default .out"
_PERIODIC = ".default .out .periodic .periodic_out"

VIEWS = (
    *overloads(
        "_conj _fw_primal _make_dual _neg_view _reshape_alias _sparse_broadcast_to _unsafe_view alias "
        "as_strided as_strided_ detach diagonal expand lift lift_fresh permute slice_inverse "
        "split_with_sizes squeeze t unfold unsqueeze view view_as_complex view_as_real",
        ".default",
    ),
    *overloads("detach_ squeeze_ t_ transpose_ unsqueeze_", ".default"),
    *overloads("squeeze squeeze_", ".dim .dims"),
    *overloads("select transpose unbind", ".int"),
    *overloads("slice split", ".Tensor"),
    *overloads("_unsafe_view lift unsafe_split_with_sizes", ".out"),
    *overloads("unsafe_split", ".Tensor .Tensor_out"),
    "aten.unsafe_split_with_sizes.default",
    "aten.view.dtype",
)

COPIES = (
    *overloads(
        "_copy_from _fw_primal_copy _make_dual_copy _pin_memory _reshape_alias_copy as_strided_copy "
        "_sparse_broadcast_to_copy _to_copy alias_copy clone detach_copy diagonal_copy "
        "expand_copy lift_fresh_copy narrow_copy permute_copy split_with_sizes_copy t_copy unfold_copy "
        "unsqueeze_copy view_as_complex_copy view_as_real_copy",
        _FUNCTION,
    ),
    *overloads("_lazy_clone _reshape_copy", ".default"),
    *overloads("copy", _IN_PLACE),
    *overloads("select_copy transpose_copy unbind_copy", ".int .int_out"),
    *overloads("slice_copy split_copy", ".Tensor .Tensor_out"),
    *overloads("squeeze_copy", ".default .dim .dim_out .dims .dims_out .out"),
    *overloads("view_copy", ".default .dtype .dtype_out .out"),
)

ARRANGEMENTS = (
    *overloads(
        "_chunk_cat _stack as_strided_scatter block_diag cat channel_shuffle complex constant_pad_nd "
        "diag_embed diagonal_backward diagonal_scatter flip im2col pixel_shuffle pixel_unshuffle "
        "reflection_pad1d reflection_pad2d reflection_pad3d repeat replication_pad1d replication_pad2d "
        "replication_pad3d roll rot90 select_backward select_scatter slice_backward slice_scatter stack",
        _FUNCTION,
    ),
    *overloads("tril triu zero resize", _IN_PLACE),
    *overloads("fill", ".Scalar .Scalar_out .Tensor .Tensor_out _.Scalar _.Tensor"),
    *overloads("set", ".default .out _.default .source_Tensor .source_Tensor_out _.source_Tensor"),
)

FACTORIES = (
    *overloads(
        "_efficientzerotensor _new_zeros_with_same_feature_meta empty_like empty_permuted empty_strided full "
        "full_like new_empty new_empty_strided new_full new_ones new_zeros ones ones_like scalar_tensor "
        "tril_indices triu_indices zeros zeros_like",
        _FUNCTION,
    ),
    *overloads("arange", ".default .start .start_step .out .start_out"),
    *overloads("empty", ".memory_format .out"),
    *overloads("eye", ".default .m .m_out .out"),
    *overloads("linspace logspace", _FUNCTION),
    *overloads("range", ".default .out .out_ .step"),
    *overloads("bartlett_window blackman_window hann_window", _PERIODIC),
    *overloads(
        "hamming_window",
        f"{_PERIODIC} .periodic_alpha .periodic_alpha_out .periodic_alpha_beta .periodic_alpha_beta_out",
    ),
    *overloads("kaiser_window", f"{_PERIODIC} .beta .beta_out"),
)

BOOKKEEPING = (
    *overloads(
        "_assert_async _assert_scalar _assert_tensor_metadata _has_same_storage_numel _linalg_check_errors "
        "_local_scalar_dense is_pinned is_same_size is_set_to record_stream",
        ".default",
    ),
    *overloads("_assert_async _functional_assert_async", ".msg"),
)


CREATIONS = frozenset(FACTORIES)
"""They take no number from a tensor, at most its shape and dtype."""

MOVEMENTS = frozenset((*VIEWS, *COPIES, *ARRANGEMENTS, *BOOKKEEPING))


@price(*VIEWS, *COPIES, *ARRANGEMENTS, *FACTORIES, *BOOKKEEPING)
def _free(signature: Signature) -> int:  # noqa: ARG001
    """No operation: the call computes nothing from the data."""
    return 0


@price(*overloads("_conj_copy _neg_view_copy", _FUNCTION))
def _sign_change(signature: Signature) -> int:
    """One negation of each element; none for the conjugate of real numbers."""
    parts = 2 if "_neg_view" in signature.operator and is_complex(signature) else 1
    return signature.out.numel * parts if is_complex(signature) or "_neg_view" in signature.operator else 0


_OF_DATA = (
    ".Scalar_Tensor .Scalar_Tensor_out .Tensor_Scalar .Tensor_Scalar_out .Tensor_Tensor .Tensor_Tensor_out"
)


@price(*overloads("linspace logspace", _OF_DATA))
def _spaced(signature: Signature) -> int:
    """Between ends that are data: start + i · step, and a power for logspace; the step is two more."""
    each = 3 if "logspace" in signature.operator else 2
    return signature.out.numel * each + 2


@price(
    *overloads(
        "reflection_pad1d_backward reflection_pad2d_backward reflection_pad3d_backward "
        "replication_pad1d_backward replication_pad2d_backward replication_pad3d_backward",
        ".default .grad_input",
    )
)
def _pad_backward(signature: Signature) -> int:
    """Sums the gradients of an element and of its images in the padding."""
    padding = signature.integers("padding")
    padded = len(padding) // 2
    axes = reversed(signature.out.shape[-padded:])
    kept = prod(signature.out.shape[:-padded])
    for axis, length in enumerate(axes):
        left, right = padding[2 * axis : 2 * axis + 2]
        kept *= _kept(length, left, right, reflected="reflection" in signature.operator)
    return signature.tensor("grad_output").numel - kept


def _kept(length: int, left: int, right: int, *, reflected: bool) -> int:
    """Positions of an axis that its padding leaves in the result; negative padding crops.

    The result shows the places from −left to length + right − 1 of the axis. One outside of the axis repeats
    its first or last position, or is the mirror image of a place within it. A crop may go beyond the axis and
    leave some of the images only.
    """
    last, end = length - 1, length + right
    if reflected:
        shown = (max(0, -left), min(length, end))
        before = (1 - min(0, end), left + 1)
        behind = (last - right, 2 * last - max(length, -left) + 1)
        return union_length(sorted((shown, before, behind)), length)
    return union_length([(min(last, max(0, -left)), max(1, min(length, end)))], length)


@price("aten.unfold_backward.default", "aten.unfold_backward.out")
def _unfold_backward(signature: Signature) -> int:
    """Sums the gradients of the windows that share an element."""
    sizes, gradient = signature.integers("input_sizes"), signature.tensor("grad_in")
    if not sizes:
        return 0
    (dim,), (size,), (step,) = (signature.integers(name) for name in ("dim", "size", "step"))
    axis = dim % len(sizes)
    touched = Axis(sizes[axis], gradient.shape[axis], size, step).touched()
    return gradient.numel - prod(sizes[:axis]) * prod(sizes[axis + 1 :]) * touched


@price("aten.col2im.default", "aten.col2im.out")
def _col2im(signature: Signature) -> int:
    """Sums the columns' values that fall on one pixel; those that fall on padding are dropped."""
    names = ("output_size", "kernel_size", "stride", "padding", "dilation")
    axes = [_axis(*values) for values in zip(*map(signature.integers, names), strict=True)]
    landed, touched = prod(axis.landed() for axis in axes), prod(axis.touched() for axis in axes)
    columns = signature.tensor("self")
    planes = columns.numel // max(1, prod(signature.integers("kernel_size")) * columns.shape[-1])
    return planes * (landed - touched)


def _axis(length: int, kernel: int, stride: int, padding: int, dilation: int) -> Axis:
    windows = (length + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    return Axis(length, windows, kernel, stride, padding, dilation)
