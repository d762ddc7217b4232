"""Sampling at positions that are data. Positions cost once per location, values once per channel.

P locations per image, C channels, D axes. The constants are counts of the definition (Jaderberg et al.
2015, Spatial Transformer Networks; cubic convolution: Keys 1981), axis by axis.

Checks: sizes that belong together, and coordinates that their dtype can hold.
"""

from math import prod

from haet_eval.operators.checking.call import Call
from haet_eval.operators.checking.dtypes import FLOATS
from haet_eval.operators.checking.shapes import fits, has_shape, same_dtype
from haet_eval.operators.signature import Signature, TensorMeta
from haet_eval.operators.table import operators

_BILINEAR, _NEAREST, _BICUBIC = 0, 1, 2
_ZEROS, _BORDER, _REFLECTION = 0, 1, 2

_BOUNDS = 3  # at least 0, below the length, both
_CLIP = 2  # a maximum, a minimum
_CUBIC_COEFFICIENTS = 25  # two polynomials of 5 and two of 6 operations, three shifted arguments
_CUBIC_DERIVATIVES = 14  # two polynomials of 3 and two of 4
_CUBIC_BLEND = 7  # four products, three sums


MAX_HALF_SIZE = 128
"""Coordinates in half precision are exact up to here; beyond, the kernel rounds them out of the image."""


def grid_sampler(call: Call) -> None:
    count = 3 if "3d" in call.operator.base else 2
    shown, grid = call.tensor("input"), call.tensor("grid")
    call.require(shown.ndim == grid.ndim == count + 2, "input and grid have the wrong number of dimensions")
    call.require(grid.shape[0] == shown.shape[0] and grid.shape[-1] == count, "grid does not match input")
    call.require(all(size > 0 for size in shown.shape[1:]), "input is empty")
    call.require(shown.dtype in FLOATS, "input must be floats")
    same_dtype(call, "input", "grid", "grad_output")
    exact = shown.dtype in {"float32", "float64"} or max(shown.shape[2:]) <= MAX_HALF_SIZE
    call.require(exact, f"beyond {MAX_HALF_SIZE} pixels a side its kernel needs float32")
    call.require(
        0 <= call.integer("interpolation_mode") <= (2 if count == 2 else 1), "an unknown interpolation"
    )
    call.require(0 <= call.integer("padding_mode") <= 2, "an unknown padding")
    shape = (*shown.shape[:2], *grid.shape[1:-1])
    fits(call, shape)
    has_shape(call, "grad_output", shape)


def affine_grid(call: Call) -> None:
    fits(call, call.integers("size"))


@operators(check=affine_grid)("""
    affine_grid_generator(Tensor theta, int[] size, bool align_corners) -> Tensor
""")
def _affine_grid(s: Signature) -> int:
    """A product with a D × (D + 1) matrix for each location."""
    return s.out.numel * (2 * s.tensor("theta").shape[-1] - 1)


def affine_grid_backward(s: Signature) -> int:
    """The transposed product: sums over all locations."""
    locations = prod(s.tensor("grad").shape[1:-1])
    return s.out.numel * max(2 * locations - 1, 0)


@operators(check=grid_sampler)("""
    grid_sampler_2d grid_sampler_3d(Tensor input, Tensor grid, int interpolation_mode, int padding_mode, bool
        align_corners) -> Tensor
""")
def _grid_sample(s: Signature) -> int:
    """Per location its position, neighbours and weights; per channel the reads and the blend."""
    axes = _axes(s)
    locations = prod(s.tensor("grid").shape[:-1])
    return locations * _position(s, axes) + s.out.numel * _value(s, axes)


@operators(check=grid_sampler, guard="grid")("""
    grid_sampler_2d_backward grid_sampler_3d_backward(Tensor grad_output, Tensor input, Tensor grid, int
        interpolation_mode, int padding_mode, bool align_corners, bool[2] output_mask) -> (Tensor, Tensor)
""")
def _grid_sample_backward(s: Signature) -> int:
    """The positions again; then the gradients of the input and of the grid, those that were asked for."""
    grid, gradient = s.tensor("grid"), s.tensor("grad_output")
    axes, locations = _axes(s), prod(grid.shape[:-1])
    for_input, for_grid = _wanted(s)
    price = locations * _position(s, axes)
    if for_input:
        price += locations * _spread_weights(s) + gradient.numel * _spread(s, axes)
    if for_grid and _mode(s) != _NEAREST:
        price += _slopes(s, grid, gradient)
    return price


def _axes(s: Signature) -> int:
    """In a plane or in space: the neighbours of a location are 2 to this power.

    Raises:
        ValueError: the grid has another number of axes, for which there is no operator.
    """
    axes = s.tensor("grid").shape[-1]
    # A price must not depend exponentially on a size that a submission chooses.
    if axes not in (2, 3):
        raise ValueError(f"{s.operator}: the places of the grid have {axes} axes; only 2 or 3 can be sampled")
    return axes


def _wanted(s: Signature) -> tuple[bool, bool]:
    mask = s.arguments.get("output_mask")
    # cuDNN's backward has no mask and gives both.
    return (bool(mask[0]), bool(mask[1])) if isinstance(mask, tuple) else (True, True)


def _mode(s: Signature) -> int:
    """The interpolation; cuDNN's overloads know the bilinear one only."""
    return _integer(s, "interpolation_mode", _BILINEAR)


def _padding(s: Signature) -> int:
    return _integer(s, "padding_mode", _ZEROS)


def _integer(s: Signature, name: str, absent: int) -> int:
    return s.integers(name)[0] if name in s.arguments else absent


def _zeros(s: Signature) -> bool:
    return _padding(s) == _ZEROS


def _aligned(s: Signature) -> bool:
    return bool(s.arguments.get("align_corners", True))


def _position(s: Signature, axes: int) -> int:
    """Operations per location: from −1…1 to elements, padding, neighbours, weights, validity."""
    unnormalized = 2 if _aligned(s) else 4
    match _mode(s):
        case 1:  # nearest: round; validity of one element
            valid = axes * _BOUNDS + axes - 1 if _zeros(s) else 0
            return axes * (unnormalized + _padded(s) + 1) + valid
        case 2:  # bicubic: floor, offset, coefficients, three more neighbours, each padded by itself
            per_tap = _BOUNDS if _zeros(s) else _padded(s)
            per_axis = unnormalized + 2 + _CUBIC_COEFFICIENTS + 3 + 4 * per_tap
            return axes * per_axis + (16 if _zeros(s) else 0)
        case _:  # bilinear: floor, next, offset and its complement, products of weights, validity
            neighbours = 2 * _BOUNDS if _zeros(s) else 1
            corners = _corner_products(axes)
            valid = corners + (1 << axes) if _zeros(s) else 0
            return axes * (unnormalized + _padded(s) + 4 + neighbours) + corners + valid


def _corner_products(axes: int) -> int:
    """Products of one weight per axis for all corners: 4 in a plane, 4 + 8 in space."""
    return sum(1 << axis for axis in range(2, axes + 1))


def _padded(s: Signature) -> int:
    """Keep a coordinate in range: clip; or reflect about the border and clip."""
    match _padding(s):
        case 1:
            return _CLIP
        case 2:
            return _CLIP + (7 if _aligned(s) else 9)
        case _:
            return 0


def _value(s: Signature, axes: int) -> int:
    """Operations per output: the reads and the blend."""
    match _mode(s):
        case 1:
            return 2 if _zeros(s) else 1
        case 2:
            return _read_taps(s) + 5 * _CUBIC_BLEND
        case _:
            return 3 * (1 << axes) - 1


def _read_taps(s: Signature) -> int:
    return 32 if _zeros(s) else 16


def _spread_weights(s: Signature) -> int:
    """The products of coefficients that a blend by rows does not need."""
    return 16 if _mode(s) == _BICUBIC else 0


def _spread(s: Signature, axes: int) -> int:
    """Operations per gradient: weigh it for each neighbour and accumulate there."""
    match _mode(s):
        case 1:
            return 3 if _zeros(s) else 2
        case 2:
            return 16 * (4 if _zeros(s) else 3)
        case _:
            return 3 * (1 << axes)


def _slopes(s: Signature, grid: TensorMeta, gradient: TensorMeta) -> int:
    """The grid's gradient: per channel the slope along each axis, summed over channels, rescaled.

    A clipped coordinate has slope zero (one selection), a reflected one may change its sign (one more).
    """
    axes, locations = _axes(s), prod(grid.shape[:-1])
    if _mode(s) == _BICUBIC:
        once, per_channel = axes * _CUBIC_DERIVATIVES, _read_taps(s) + 2 * (5 * _CUBIC_BLEND + 1)
    else:
        corners = 1 << axes
        # In space the slope along one axis has the product of two other weights, and in a plane one weight as
        # it is.
        products = axes * 4 if axes == 3 else 0
        slope = corners // 2 + (corners - 1) + 1
        once, per_channel = products, corners * (2 if _zeros(s) else 1) + axes * slope
    gates = {_BORDER: 1, _REFLECTION: 2}.get(_padding(s), 0) if _mode(s) == _BILINEAR else 0
    summed = max(gradient.numel - locations, 0) * axes
    return locations * (once + axes * (1 + gates)) + gradient.numel * per_channel + summed
