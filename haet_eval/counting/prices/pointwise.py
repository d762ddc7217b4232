"""Elementwise operators: unary, binary, comparison, logic, selection. n = elements of the output."""

from collections.abc import Iterator, Sequence
from math import prod

from haet_eval.counting.prices.literals import multiplies
from haet_eval.counting.prices.table import NoPrice, Price, overloads, price
from haet_eval.counting.signature import Signature, TensorMeta, tensors_in


def tensors_of(signature: Signature) -> Iterator[TensorMeta]:
    """Every tensor among the arguments and the outputs."""
    yield from tensors_in(tuple(signature.arguments.values()))
    yield from tensors_in(signature.outputs)


def is_complex(signature: Signature) -> bool:
    """Whether a complex tensor goes in or comes out."""
    return any(meta.dtype.startswith("complex") for meta in tensors_of(signature))


def real_or_complex(signature: Signature, real: int, of_complex: int | None) -> int:
    """The price of a call's arithmetic, which is real or complex.

    Raises:
        NoPrice: the arithmetic is complex, and the standard defines it for real numbers only.
    """
    if not is_complex(signature):
        return real
    if of_complex is None:
        raise NoPrice(signature.operator)
    return of_complex


def broadcast_elements(metas: Sequence[TensorMeta]) -> int:
    """Elements of the shape that tensors broadcast to."""
    dimensions = max((meta.ndim for meta in metas), default=0)
    shapes = [(1,) * (dimensions - meta.ndim) + meta.shape for meta in metas]
    return prod(next((size for size in sizes if size != 1), 1) for sizes in zip(*shapes, strict=True))


def per_element(real: int, of_complex: int | None = None) -> Price:
    """A price of so many operations for each element of the output."""

    def each(signature: Signature) -> int:
        return signature.out.numel * real_or_complex(signature, real, of_complex)

    each.__doc__ = f"{real} per element of the result" + (
        f", {of_complex} if complex." if of_complex else "."
    )
    return each


_UNARY = ".default _.default .out"
_FUNCTION = ".default .out"
_COMPARISON = ".Scalar .Scalar_out .Tensor .Tensor_out _.Scalar _.Tensor"
_ARITHMETIC = ".Scalar .Scalar_out .Tensor .out _.Scalar _.Tensor"
_SCALAR_TENSOR = f"{_COMPARISON} .Scalar_Tensor .Scalar_Tensor_out"
_SHIFT = (
    ".Tensor .Tensor_out _.Tensor .Scalar_Tensor .Scalar_Tensor_out .Tensor_Scalar .Tensor_Scalar_out "
    "_.Tensor_Scalar"
)
_REAL_FUNCTIONS = (
    "acos acosh asin asinh atan atanh bitwise_not ceil cos cosh deg2rad digamma erf erfc erfinv exp2 "
    "expm1 floor frac i0 lgamma log10 log1p log2 polygamma rad2deg relu rsqrt sign sin sinh tan "
    "tanh trunc"
)
_SPECIAL_FUNCTIONS = (
    "special_airy_ai special_bessel_j0 special_bessel_j1 special_bessel_y0 special_bessel_y1 "
    "special_erfcx special_i0e special_i1 special_i1e special_log_ndtr "
    "special_modified_bessel_i0 special_modified_bessel_i1 special_modified_bessel_k0 "
    "special_modified_bessel_k1 special_ndtri special_scaled_modified_bessel_k0 "
    "special_scaled_modified_bessel_k1 special_spherical_bessel_j0"
)
_DIVISION = (
    ".Scalar .Scalar_out .Tensor .out _.Scalar _.Tensor .Scalar_mode .Scalar_mode_out .Tensor_mode "
    ".out_mode _.Scalar_mode _.Tensor_mode"
)
_POWER = (
    ".Scalar .Scalar_out .Tensor_Scalar .Tensor_Scalar_out .Tensor_Tensor .Tensor_Tensor_out "
    "_.Scalar _.Tensor"
)
_X_LOG_Y = (
    ".OutScalar_Other .OutScalar_Self .OutTensor .Scalar_Other .Scalar_Self .Tensor _.Scalar_Other _.Tensor"
)

ELEMENTWISE: tuple[tuple[int, int | None, str, str], ...] = (
    # operations per element of real numbers, of complex numbers, suffixes, operators
    (
        1,
        None,
        _UNARY,
        _REAL_FUNCTIONS,
    ),
    (1, 2, _UNARY, "neg"),
    (1, 4, _UNARY, "abs"),
    (1, 5, _UNARY, "exp"),
    (1, 6, _UNARY, "log reciprocal sgn"),
    (1, 11, _UNARY, "sqrt"),
    (1, 3, _UNARY, "logical_not"),
    (1, 1, ".default .out", "angle"),
    (1, 3, ".default .out", "isnan"),
    (1, None, ".default .out", "isinf isneginf isposinf signbit"),
    (1, None, ".default .out _.default .decimals .decimals_out _.decimals", "round"),
    (3, None, _UNARY, "nan_to_num"),
    (2, None, ".Tensor .Tensor_out", "frexp"),
    (
        1,
        None,
        _FUNCTION,
        _SPECIAL_FUNCTIONS,
    ),
    (1, 6, _ARITHMETIC, "mul"),
    (1, None, _ARITHMETIC, "copysign"),
    (
        1,
        11,
        _DIVISION,
        "div",
    ),
    (1, None, ".Scalar .Scalar_out .default .out _.Scalar _.Tensor", "floor_divide"),
    (
        1,
        None,
        _POWER,
        "pow",
    ),
    (1, 3, _COMPARISON, "eq ne"),
    (1, None, _COMPARISON, "fmod ge gt le lt"),
    (1, 2, _COMPARISON, "masked_fill"),
    (1, 2, ".self .self_out", "where"),
    (1, None, _SCALAR_TENSOR, "bitwise_and bitwise_or bitwise_xor remainder"),
    (1, None, _SHIFT, "bitwise_left_shift bitwise_right_shift"),
    (1, None, ".Scalar .Scalar_out .Tensor .Tensor_out", "__lshift__ __rshift__"),
    (1, None, ".Scalar .Tensor", "__ilshift__ __irshift__"),
    (
        1,
        None,
        _UNARY,
        "atan2 gcd heaviside igamma igammac lcm logical_and logical_or logical_xor nextafter",
    ),
    (1, None, _FUNCTION, "fmax fmin maximum minimum"),
    (4, None, _UNARY, "hypot"),
    (3, None, _UNARY, "sinc"),
    (3, None, _FUNCTION, "special_entr"),
    (8, None, _FUNCTION, "logaddexp logaddexp2"),
    (2, None, ".Tensor .out _.default", "ldexp"),
    (4, 4, _FUNCTION, "polar"),
    (
        2,
        None,
        _X_LOG_Y,
        "xlogy",
    ),
    (
        2,
        None,
        ".default .other_scalar .other_scalar_out .out .self_scalar .self_scalar_out",
        "special_xlog1py",
    ),
    (1, None, ".default .other_scalar .other_scalar_out .out .self_scalar .self_scalar_out", "special_zeta"),
    (1, None, ".Tensor .Tensor_out _.Tensor .default .out _.default", "clamp_max clamp_min"),
)

for _real, _complex, _suffixes, _operators in ELEMENTWISE:
    price(*overloads(_operators, _suffixes))(per_element(_real, _complex))


@price("aten.conj_physical.out", "aten.conj_physical_.default", *overloads("_conj_physical", _FUNCTION))
def _conjugate(signature: Signature) -> int:
    """One negation, of the imaginary part; nothing for real numbers."""
    return signature.out.numel if is_complex(signature) else 0


@price(*overloads("add sub", _ARITHMETIC), *overloads("rsub", ".Scalar .Scalar_out .Tensor .Tensor_out"))
def _add(signature: Signature) -> int:
    """self ± alpha · other: n, or 2n when `alpha` is not ±1."""
    scaled = multiplies(signature["alpha"])
    return signature.out.numel * real_or_complex(signature, 1 + scaled, 2 + 6 * scaled)


@price(*overloads("_add_relu", _ARITHMETIC))
def _add_relu(signature: Signature) -> int:
    """The sum, then its maximum with 0."""
    return _add(signature) + signature.out.numel


@price(*overloads("clamp", ".Tensor .Tensor_out _.Tensor .default .out _.default"))
def _clamp(signature: Signature) -> int:
    """n for each bound that is given."""
    bounds = sum(signature[bound] is not None for bound in ("min", "max"))
    return signature.out.numel * real_or_complex(signature, bounds, None)


@price(*overloads("addcmul addcdiv", _UNARY))
def _add_product(signature: Signature) -> int:
    """self + value · (tensor1 · tensor2), or of their quotient: 2n, or 3n when `value` is not ±1."""
    scaled = multiplies(signature["value"])
    quotient = "addcdiv" in signature.operator
    of_complex = (11 if quotient else 6) + 6 * scaled + 2
    return signature.out.numel * real_or_complex(signature, 2 + scaled, of_complex)


@price(*overloads("lerp", _COMPARISON))
def _lerp(signature: Signature) -> int:
    """self + weight · (end − self): 3n, or 2n for the literal weight ±1."""
    scaled = multiplies(signature["weight"])
    return signature.out.numel * real_or_complex(signature, 2 + scaled, 4 + 6 * scaled)


@price(*overloads("logit", _UNARY))
def _logit(signature: Signature) -> int:
    """log(x / (1 − x)), with x kept within [eps, 1 − eps] if eps is given."""
    bounds = 0 if signature["eps"] is None else 2
    return signature.out.numel * real_or_complex(signature, 3 + bounds, None)


@price(*overloads("mvlgamma", _UNARY))
def _multivariate_log_gamma(signature: Signature) -> int:
    """A constant plus the sum over j < p of lgamma(x − j/2): p lgammas, p − 1 shifts, p additions."""
    (p,) = signature.integers("p")
    return signature.out.numel * (3 * p - 1)
