"""Resizing by fixed positions: the weights follow from the sizes alone and are literals.

The cost of each output is the blend of its neighbours, one axis after the other.

Checks: sizes and scales that belong together.
"""

from math import floor, isfinite, prod

from haet_eval.operators.checking.call import Call
from haet_eval.operators.checking.shapes import fits, has_shape, spread
from haet_eval.operators.pricing.integers import ceiling_division
from haet_eval.operators.signature import Signature
from haet_eval.operators.table import operators

_SCALES = {1: ("scales",), 2: ("scales_h", "scales_w"), 3: ("scales_d", "scales_h", "scales_w")}


def upsample(call: Call) -> None:
    _upsample(call, call.tensor("self").shape)


def upsample_backward(call: Call) -> None:
    shape = call.integers("input_size")
    fits(call, shape)
    has_shape(call, "grad_output", _upsample(call, shape))


def _upsample(call: Call, shape: tuple[int, ...]) -> tuple[int, ...]:
    count = next(count for count in _SCALES if f"{count}d" in call.operator.base)
    call.require(len(shape) == count + 2, "the input has the wrong number of dimensions")
    call.require(all(size > 0 for size in shape[1:]), "the input is empty")
    sizes = spread(call, "output_size", count)
    # `spread` lets one number stand for all dimensions, but the prices take one for each.
    call.require(len(call.integers("output_size")) == count, "output_size must name every dimension")
    call.require(all(size > 0 for size in sizes), "the output is empty")
    for size, result, name in zip(shape[2:], sizes, _SCALES[count], strict=True):
        scale = call.arguments.get(name)
        # With `align_corners` the kernels take the sizes and ignore the scales.
        if scale is not None and not call.arguments.get("align_corners"):
            # A scale that does not belong to the sizes would give wide windows at the price of narrow ones.
            call.require(_belongs(size, result, scale), f"{name} does not belong to these sizes")
    fits(call, (*shape[:2], *sizes))
    return (*shape[:2], *sizes)


def _belongs(size: int, result: int, scale: object) -> bool:
    """Whether scaling `size` gives about `result`: half and double are near enough for the kernels."""
    if not isinstance(scale, int | float) or not isfinite(scale) or not 2**-31 < scale < 2**31:
        return False
    return abs(floor(size * scale) - result) <= 1


@operators(check=upsample, literal="scales scales_d scales_h scales_w")("""
    upsample_nearest1d _upsample_nearest_exact1d(Tensor self, int[1] output_size, float? scales=None) ->
        Tensor
    upsample_nearest2d _upsample_nearest_exact2d(Tensor self, int[2] output_size, float? scales_h=None, float?
        scales_w=None) -> Tensor
    upsample_nearest3d _upsample_nearest_exact3d(Tensor self, int[3] output_size, float? scales_d=None, float?
        scales_h=None, float? scales_w=None) -> Tensor
""")
def _nearest(_: Signature) -> int:
    """Copies elements: free."""
    return 0


@operators(check=upsample_backward, literal="scales scales_d scales_h scales_w")("""
    upsample_nearest1d_backward _upsample_nearest_exact1d_backward(Tensor grad_output, int[1] output_size,
        int[3] input_size, float? scales=None) -> Tensor
    upsample_nearest2d_backward _upsample_nearest_exact2d_backward(Tensor grad_output, int[2] output_size,
        int[4] input_size, float? scales_h=None, float? scales_w=None) -> Tensor
    upsample_nearest3d_backward _upsample_nearest_exact3d_backward(Tensor grad_output, int[3] output_size,
        int[5] input_size, float? scales_d=None, float? scales_h=None, float? scales_w=None) -> Tensor
""")
def _nearest_backward(s: Signature) -> int:
    """Adds each gradient to its source."""
    return s.tensor("grad_output").numel


BLEND_OPERATIONS = {"linear1d": 3, "bilinear2d": 9, "trilinear3d": 21, "bicubic2d": 35}
"""Per output, k taps an axis: (2k − 1) for each of the blends 1 + k + …"""

SPREAD_OPERATIONS = {"linear1d": 4, "bilinear2d": 10, "trilinear3d": 22, "bicubic2d": 36}
"""Per gradient: k products for each of the partial ones 1 + k + …, and kᵈ additions."""


@operators(check=upsample, literal="scales scales_d scales_h scales_w")("""
    upsample_bicubic2d upsample_bilinear2d(Tensor self, int[2] output_size, bool align_corners, float?
        scales_h=None, float? scales_w=None) -> Tensor
    upsample_linear1d(Tensor self, int[1] output_size, bool align_corners, float? scales=None) -> Tensor
    upsample_trilinear3d(Tensor self, int[3] output_size, bool align_corners, float? scales_d=None, float?
        scales_h=None, float? scales_w=None) -> Tensor
""")
def _blend(s: Signature) -> int:
    """3n linear, 9n bilinear, 21n trilinear, 35n bicubic."""
    return s.out.numel * BLEND_OPERATIONS[_method(s)]


@operators(check=upsample_backward, literal="scales scales_d scales_h scales_w")("""
    upsample_bicubic2d_backward upsample_bilinear2d_backward(Tensor grad_output, int[2] output_size, int[4]
        input_size, bool align_corners, float? scales_h=None, float? scales_w=None) -> Tensor
    upsample_linear1d_backward(Tensor grad_output, int[1] output_size, int[3] input_size, bool align_corners,
        float? scales=None) -> Tensor
    upsample_trilinear3d_backward(Tensor grad_output, int[3] output_size, int[5] input_size, bool
        align_corners, float? scales_d=None, float? scales_h=None, float? scales_w=None) -> Tensor
""")
def _blend_backward(s: Signature) -> int:
    """4n linear, 10n bilinear, 22n trilinear, 36n bicubic, for n gradients."""
    return s.tensor("grad_output").numel * SPREAD_OPERATIONS[_method(s)]


def _method(s: Signature) -> str:
    return s.operator.removeprefix("aten.upsample_").partition(".")[0].removesuffix("_backward")


_SUPPORT = {"bilinear2d": 1, "bicubic2d": 2, "lanczos2d": 3}


@operators(check=upsample, literal="scales scales_d scales_h scales_w")("""
    _upsample_bicubic2d_aa _upsample_bilinear2d_aa(Tensor self, int[2] output_size, bool align_corners, float?
        scales_h=None, float? scales_w=None) -> Tensor
""")
def _antialiased(s: Signature) -> int:
    """Along the width, then along the height: w products and w − 1 sums, for windows of w."""
    *planes, height, _ = s.tensor("self").shape
    across, down = _taps(s, s.tensor("self").shape)
    narrowed = prod(planes) * height * s.out.shape[-1]
    return narrowed * (2 * across - 1) + s.out.numel * (2 * down - 1)


@operators(check=upsample_backward, literal="scales scales_d scales_h scales_w")("""
    _upsample_bicubic2d_aa_backward _upsample_bilinear2d_aa_backward(Tensor grad_output, int[2] output_size,
        int[4] input_size, bool align_corners, float? scales_h=None, float? scales_w=None) -> Tensor
""")
def _antialiased_backward(s: Signature) -> int:
    """The transposed passes: a product and an addition for each place of a window."""
    gradient, shape = s.tensor("grad_output"), s.integers("input_size")
    across, down = _taps(s, shape)
    narrowed = prod(shape[:-1]) * gradient.shape[-1]
    return gradient.numel * 2 * down + narrowed * 2 * across


def _taps(s: Signature, shape: tuple[int, ...]) -> tuple[int, int]:
    """Window along width and height: twice the support, stretched by the reduction, rounded up."""
    support = _SUPPORT[s.operator.removeprefix("aten._upsample_").partition("_aa")[0]]
    height, width = s.integers("output_size")
    return _window(support, shape[-1], width), _window(support, shape[-2], height)


def _window(support: int, length: int, resized: int) -> int:
    # A window stretches with the reduction, but it never shrinks below the filter when an image grows.
    return max(2 * support, ceiling_division(2 * support * length, max(resized, 1)))
