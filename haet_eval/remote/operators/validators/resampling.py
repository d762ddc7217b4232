"""Upsampling, grid sampling and padding: sizes and scales that belong together."""

from math import floor, isfinite

from haet_eval.remote.operators.call import Call
from haet_eval.remote.operators.validators.dtypes import FLOATS
from haet_eval.remote.operators.validators.shapes import fits, has_shape, same_dtype, spread
from haet_eval.remote.operators.validators.table import validator

MAX_HALF_SIZE = 128
"""Coordinates in half precision are exact up to here; beyond, the kernel rounds them out of the image."""

_UPSAMPLED = {
    "upsample_nearest1d": 1,
    "upsample_nearest2d": 2,
    "upsample_nearest3d": 3,
    "_upsample_nearest_exact1d": 1,
    "_upsample_nearest_exact2d": 2,
    "_upsample_nearest_exact3d": 3,
    "upsample_linear1d": 1,
    "upsample_bilinear2d": 2,
    "upsample_trilinear3d": 3,
    "upsample_bicubic2d": 2,
    "_upsample_bilinear2d_aa": 2,
    "_upsample_bicubic2d_aa": 2,
}
_SCALES = {1: ("scales",), 2: ("scales_h", "scales_w"), 3: ("scales_d", "scales_h", "scales_w")}


@validator(*_UPSAMPLED)
def upsample(call: Call) -> None:
    count = _UPSAMPLED[call.operator.base]
    _upsample(call, count, call.tensor("self").shape)


@validator(*(f"{name}_backward" for name in _UPSAMPLED))
def upsample_backward(call: Call) -> None:
    count = _UPSAMPLED[call.operator.base.removesuffix("_backward")]
    shape = call.integers("input_size")
    fits(call, shape)
    has_shape(call, "grad_output", _upsample(call, count, shape))


def _upsample(call: Call, count: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    call.require(len(shape) == count + 2, "the input has the wrong number of dimensions")
    call.require(all(size > 0 for size in shape[1:]), "the input is empty")
    sizes = spread(call, "output_size", count)
    call.require(len(call.integers("output_size")) == count, "output_size must name every dimension")
    call.require(all(size > 0 for size in sizes), "the output is empty")
    for size, result, name in zip(shape[2:], sizes, _SCALES[count], strict=True):
        scale = call.arguments.get(name)
        if scale is not None and not call.arguments.get("align_corners"):
            call.require(_belongs(size, result, scale), f"{name} does not belong to these sizes")
    fits(call, (*shape[:2], *sizes))
    return (*shape[:2], *sizes)


def _belongs(size: int, result: int, scale: object) -> bool:
    """Whether scaling `size` gives about `result`: half and double are near enough for the kernels."""
    if not isinstance(scale, int | float) or not isfinite(scale) or not 2**-31 < scale < 2**31:
        return False
    return abs(floor(size * scale) - result) <= 1


@validator("grid_sampler_2d", "grid_sampler_3d", "grid_sampler_2d_backward", "grid_sampler_3d_backward")
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


@validator("affine_grid_generator")
def affine_grid(call: Call) -> None:
    fits(call, call.integers("size"))


@validator("constant_pad_nd")
def constant_pad(call: Call) -> None:
    shown, pad = call.tensor("self"), call.integers("pad")
    call.require(len(pad) % 2 == 0 and len(pad) // 2 <= shown.ndim, "pad has the wrong number of entries")
    _padded(call, shown.shape, pad)


def _padded(call: Call, shape: tuple[int, ...], pad: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with `pad` added in pairs, the last dimension first."""
    sizes = list(shape)
    for place in range(len(pad) // 2):
        sizes[-1 - place] += pad[2 * place] + pad[2 * place + 1]
    call.require(all(abs(amount) < 2**33 for amount in pad), "pad is out of range")
    fits(call, sizes)
    return tuple(sizes)


_PADS = [f"{kind}_pad{count}d" for kind in ("reflection", "replication") for count in (1, 2, 3)]


@validator(*_PADS, *(f"{name}_backward" for name in _PADS))
def border_pad(call: Call) -> None:
    count = int(call.operator.base.partition("_pad")[2][0])
    shown, pad = call.tensor("self"), call.integers("padding")
    call.require(shown.ndim in {count + 1, count + 2}, "self has the wrong number of dimensions")
    call.require(len(pad) == 2 * count, f"padding must have {2 * count} entries")
    call.require(all(size > 0 for size in shown.shape[1:]), "self is empty")
    call.require(shown.ndim == count + 2 or shown.numel > 0, "self is empty")
    shape = _padded(call, shown.shape, pad)
    call.require(all(size > 0 for size in shape[1:]), "nothing would be left")
    if call.operator.base.startswith("reflection"):
        pairs = zip(reversed(shown.shape), pad[::2], pad[1::2], strict=False)
        call.require(
            all(max(before, after) < size for size, before, after in pairs), "padding exceeds the size"
        )
    has_shape(call, "grad_output", shape)
    same_dtype(call, "self", "grad_output")


@validator("pixel_shuffle", "pixel_unshuffle")
def pixel_shuffle(call: Call) -> None:
    factor = call.integer("upscale_factor" if "upscale_factor" in call.arguments else "downscale_factor")
    call.require(0 < factor < 2**16, "the factor is out of range")


@validator("channel_shuffle")
def channel_shuffle(call: Call) -> None:
    shown, groups = call.tensor("self"), call.integer("groups")
    call.require(shown.ndim >= 3 and shown.numel > 0, "self must have channels and pixels")
    call.require(groups > 0 and shown.shape[1] % groups == 0, "groups must divide the channels")
