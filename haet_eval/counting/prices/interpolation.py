"""Resizing by fixed positions: the weights follow from the sizes alone and are literals.

The cost of each output is the blend of its neighbours, one axis after the other.
"""

from math import prod

from haet_eval.counting.prices.integers import ceiling_division
from haet_eval.counting.prices.table import overloads, price
from haet_eval.counting.signature import Signature

_FUNCTION = ".default .out"
_BACKWARD = ".default .grad_input"


@price(
    *overloads(
        "upsample_nearest1d upsample_nearest2d upsample_nearest3d "
        "_upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d",
        _FUNCTION,
    ),
    "aten.upsample_nearest2d.vec_out",
)
def _nearest(_: Signature) -> int:
    """Copies elements: free."""
    return 0


@price(
    *overloads(
        "upsample_nearest1d_backward upsample_nearest2d_backward upsample_nearest3d_backward "
        "_upsample_nearest_exact1d_backward _upsample_nearest_exact2d_backward "
        "_upsample_nearest_exact3d_backward",
        _BACKWARD,
    )
)
def _nearest_backward(s: Signature) -> int:
    """Adds each gradient to its source."""
    return s.tensor("grad_output").numel


BLEND_OPERATIONS = {"linear1d": 3, "bilinear2d": 9, "trilinear3d": 21, "bicubic2d": 35}
"""Per output, k taps an axis: (2k − 1) for each of the blends 1 + k + …"""

SPREAD_OPERATIONS = {"linear1d": 4, "bilinear2d": 10, "trilinear3d": 22, "bicubic2d": 36}
"""Per gradient: k products for each of the partial ones 1 + k + …, and kᵈ additions."""


@price(
    *overloads("upsample_linear1d upsample_bilinear2d upsample_trilinear3d upsample_bicubic2d", _FUNCTION),
    "aten.upsample_bilinear2d.vec_out",
)
def _blend(s: Signature) -> int:
    """3n linear, 9n bilinear, 21n trilinear, 35n bicubic."""
    return s.out.numel * BLEND_OPERATIONS[_method(s)]


@price(
    *overloads(
        "upsample_linear1d_backward upsample_bilinear2d_backward upsample_trilinear3d_backward "
        "upsample_bicubic2d_backward",
        _BACKWARD,
    )
)
def _blend_backward(s: Signature) -> int:
    """4n linear, 10n bilinear, 22n trilinear, 36n bicubic, for n gradients."""
    return s.tensor("grad_output").numel * SPREAD_OPERATIONS[_method(s)]


def _method(s: Signature) -> str:
    return s.operator.removeprefix("aten.upsample_").partition(".")[0].removesuffix("_backward")


_SUPPORT = {"bilinear2d": 1, "bicubic2d": 2, "lanczos2d": 3}


@price(
    *overloads("_upsample_bilinear2d_aa _upsample_bicubic2d_aa _upsample_lanczos2d_aa", _FUNCTION),
)
def _antialiased(s: Signature) -> int:
    """Along the width, then along the height: w products and w − 1 sums, for windows of w."""
    *planes, height, _ = s.tensor("self").shape
    across, down = _taps(s, s.tensor("self").shape)
    narrowed = prod(planes) * height * s.out.shape[-1]
    return narrowed * (2 * across - 1) + s.out.numel * (2 * down - 1)


@price(
    *overloads(
        "_upsample_bilinear2d_aa_backward _upsample_bicubic2d_aa_backward _upsample_lanczos2d_aa_backward",
        _BACKWARD,
    )
)
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
    return max(2 * support, ceiling_division(2 * support * length, max(resized, 1)))
