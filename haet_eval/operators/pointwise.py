"""Elementwise operators: unary, binary, comparison, logic, selection. n = elements of the output."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Final

from haet_eval.operators.dtypes import is_complex
from haet_eval.operators.pricing.literals import multiplies
from haet_eval.operators.signature import Signature, TensorMeta, tensors_in
from haet_eval.operators.table import BY_KERNEL, NoPrice, Price, operators


def tensors_of(signature: Signature) -> Iterator[TensorMeta]:
    """Every tensor among the arguments and the outputs."""
    yield from tensors_in(tuple(signature.arguments.values()))
    yield from tensors_in(signature.outputs)


def has_complex(signature: Signature) -> bool:
    """Whether a complex tensor goes in or comes out."""
    return any(is_complex(meta.dtype) for meta in tensors_of(signature))


def real_or_complex(signature: Signature, real: int, of_complex: int | None) -> int:
    """The price of a call's arithmetic, which is real or complex.

    Raises:
        NoPrice: the arithmetic is complex, and the standard defines it for real numbers only.
    """
    if not has_complex(signature):
        return real
    if of_complex is None:
        raise NoPrice(signature.operator)
    return of_complex


def broadcast_elements(metas: Sequence[TensorMeta]) -> int:
    """Elements of the shape that tensors broadcast to."""
    dimensions = max((meta.ndim for meta in metas), default=0)
    shapes = [(1,) * (dimensions - meta.ndim) + meta.shape for meta in metas]
    # The first size that is not 1: sizes that differ otherwise cannot have been broadcast, and 0 wins over 1.
    return prod(next((size for size in sizes if size != 1), 1) for sizes in zip(*shapes, strict=True))


def per_element(real: int, of_complex: int | None = None) -> Price:
    """A price of so many operations for each element of the output."""

    def each(signature: Signature) -> int:
        return signature.out.numel * real_or_complex(signature, real, of_complex)

    each.__doc__ = f"{real} per element of the result" + (
        f", {of_complex} if complex." if of_complex else "."
    )
    return each


ELEMENTWISE: Final = {
    # operations for each element of real numbers, and of complex ones
    (1, None): """
        acos[_] acosh[_] asin[_] asinh[_] atan[_] atanh[_] bitwise_not[_] ceil[_] cos[_] cosh[_] deg2rad[_]
            digamma[_] erf[_] erfc[_] erfinv[_] exp2[_] expm1[_] floor[_] frac[_] i0[_] isinf isneginf
            isposinf lgamma[_] log10[_] log1p[_] log2[_] rad2deg[_] relu[_] round[_] rsqrt[_] sign[_] signbit
            sin[_] sinh[_] special_erfcx special_i0e special_i1 special_i1e special_log_ndtr special_ndtri
            tan[_] tanh[_] trunc[_](Tensor self) -> Tensor : pointwise
        atan2[_] bitwise_and[_].Tensor bitwise_left_shift[_].Tensor bitwise_or[_].Tensor
            bitwise_right_shift[_].Tensor bitwise_xor[_].Tensor copysign.Tensor fmax fmin ge.Tensor gt.Tensor
            igamma[_] igammac[_] le.Tensor logical_and[_] logical_or[_] logical_xor[_] __lshift__.Tensor
            lt.Tensor maximum minimum nextafter[_] __rshift__.Tensor special_zeta(Tensor self, Tensor other)
            -> Tensor : pointwise
        __ilshift__.Tensor(Tensor(a!) self, Tensor other) -> Tensor(a!) : pointwise
        bitwise_and[_].Scalar bitwise_left_shift.Tensor_Scalar bitwise_or[_].Scalar
            bitwise_right_shift.Tensor_Scalar bitwise_xor[_].Scalar copysign.Scalar ge.Scalar gt.Scalar
            le.Scalar __lshift__.Scalar lt.Scalar __rshift__.Scalar(Tensor self, Scalar other) -> Tensor :
            pointwise
        __ilshift__.Scalar(Tensor(a!) self, Scalar other) -> Tensor(a!) : pointwise
        clamp_max[_](Tensor self, Scalar max) -> Tensor : pointwise
        clamp_max[_].Tensor(Tensor self, Tensor max) -> Tensor : pointwise
        clamp_min[_](Tensor self, Scalar min) -> Tensor : pointwise
        clamp_min[_].Tensor(Tensor self, Tensor min) -> Tensor : pointwise
        copysign_.Scalar ge_.Scalar gt_.Scalar __irshift__.Scalar le_.Scalar lt_.Scalar(Tensor(a!) self,
            Scalar other) -> Tensor(a!)
        copysign_.Tensor ge_.Tensor gt_.Tensor __irshift__.Tensor le_.Tensor lt_.Tensor(Tensor(a!) self,
            Tensor other) -> Tensor(a!)
        heaviside(Tensor self, Tensor values) -> Tensor : pointwise
        heaviside_(Tensor(a!) self, Tensor values) -> Tensor(a!)
        maximum.out minimum.out(Tensor self, Tensor other, *, Tensor(a!) out) -> Tensor(a!) : pointwise
        polygamma(int n, Tensor self) -> Tensor : pointwise
        pow.Scalar(Scalar self, Tensor exponent) -> Tensor : pointwise
        pow.Tensor_Scalar(Tensor self, Scalar exponent) -> Tensor : pointwise
        pow.Tensor_Scalar_out(Tensor self, Scalar exponent, *, Tensor(a!) out) -> Tensor(a!) : pointwise
        pow.Tensor_Tensor(Tensor self, Tensor exponent) -> Tensor : pointwise
        pow_.Scalar(Tensor(a!) self, Scalar exponent) -> Tensor(a!) : pointwise
        pow_.Tensor(Tensor(a!) self, Tensor exponent) -> Tensor(a!) : pointwise
        round[_].decimals(Tensor self, *, int decimals) -> Tensor : pointwise
    """,
    (1, 1): "angle(Tensor self) -> Tensor : pointwise",
    (1, 2): """
        masked_fill.Scalar(Tensor self, Tensor mask, Scalar value) -> Tensor : pointwise
        masked_fill[_].Tensor(Tensor self, Tensor mask, Tensor value) -> Tensor
        masked_fill_.Scalar(Tensor(a!) self, Tensor mask, Scalar value) -> Tensor(a!)
        neg[_](Tensor self) -> Tensor : pointwise
        where.self(Tensor condition, Tensor self, Tensor other) -> Tensor : pointwise
    """,
    # Of complex numbers: a comparison or test of each part, and their conjunction or disjunction.
    (1, 3): """
        eq.Scalar ne.Scalar(Tensor self, Scalar other) -> Tensor : pointwise
        eq.Tensor ne.Tensor(Tensor self, Tensor other) -> Tensor : pointwise
        eq_.Scalar ne_.Scalar(Tensor(a!) self, Scalar other) -> Tensor(a!)
        eq_.Tensor ne_.Tensor(Tensor(a!) self, Tensor other) -> Tensor(a!)
        isnan logical_not[_](Tensor self) -> Tensor : pointwise
    """,
    # √(x² + y²)
    (1, 4): """
        abs(Tensor self) -> Tensor : pointwise
        abs_(Tensor(a!) self) -> Tensor(a!)
    """,
    # eˣ · cos y and eˣ · sin y
    (1, 5): "exp[_](Tensor self) -> Tensor : pointwise",
    # Complex: log|z| and the angle; 4 products and 2 sums; z / |z|
    (1, 6): """
        log[_] reciprocal[_] sgn[_](Tensor self) -> Tensor : pointwise
        mul[_].Scalar(Tensor self, Scalar other) -> Tensor : pointwise
        mul[_].Tensor(Tensor self, Tensor other) -> Tensor : pointwise
        mul.out(Tensor self, Tensor other, *, Tensor(a!) out) -> Tensor(a!) : pointwise
    """,
    (1, 11): """
        sqrt[_](Tensor self) -> Tensor : pointwise
        sqrt.out(Tensor self, *, Tensor(a!) out) -> Tensor(a!) : pointwise
    """,
    # x · 2ʸ; x · log y
    (2, None): """
        ldexp.Tensor special_xlog1py xlogy[_].Tensor(Tensor self, Tensor other) -> Tensor : pointwise
        ldexp_(Tensor(a!) self, Tensor other) -> Tensor(a!) : pointwise
        xlogy.Scalar_Other(Tensor self, Scalar other) -> Tensor : pointwise
        xlogy.Scalar_Self(Scalar self, Tensor other) -> Tensor : pointwise
        xlogy_.Scalar_Other(Tensor(a!) self, Scalar other) -> Tensor(a!)
    """,
    # three choices; sin(πx) / πx; −x · log x
    (3, None): """
        nan_to_num[_](Tensor self, float? nan=None, float? posinf=None, float? neginf=None) -> Tensor :
            pointwise
        sinc[_] special_entr(Tensor self) -> Tensor : pointwise
    """,
    # √(x² + y²)
    (4, None): "hypot[_](Tensor self, Tensor other) -> Tensor : pointwise",
    # the logsumexp of two
    (8, None): "logaddexp logaddexp2(Tensor self, Tensor other) -> Tensor : pointwise",
}

for (_real, _complex), _schemas in ELEMENTWISE.items():
    operators(check=BY_KERNEL)(_schemas)(per_element(_real, _complex))

# r · cos θ and r · sin θ
operators(check=BY_KERNEL, makes_complex=True)("polar(Tensor abs, Tensor angle) -> Tensor")(per_element(4, 4))
# The least integer has no absolute value.
operators(check=BY_KERNEL, guard="magnitudes")("""
    gcd lcm(Tensor self, Tensor other) -> Tensor : pointwise
    gcd_ lcm_(Tensor(a!) self, Tensor other) -> Tensor(a!)
""")(per_element(1))
# The least integer divided by -1 is a trap of the processor, which ends the process.
operators(check=BY_KERNEL, guard="quotients")("""
    floor_divide(Tensor self, Tensor other) -> Tensor
    floor_divide[_].Scalar(Tensor self, Scalar other) -> Tensor
    floor_divide_.Tensor(Tensor(a!) self, Tensor other) -> Tensor(a!)
    fmod[_].Scalar remainder[_].Scalar(Tensor self, Scalar other) -> Tensor : pointwise
    fmod[_].Tensor remainder[_].Tensor(Tensor self, Tensor other) -> Tensor : pointwise
    remainder.Scalar_Tensor(Scalar self, Tensor other) -> Tensor : pointwise
""")(per_element(1))
operators(check=BY_KERNEL, guard="quotients")("""
    div[_].Scalar(Tensor self, Scalar other) -> Tensor : pointwise
    div[_].Scalar_mode(Tensor self, Scalar other, *, str? rounding_mode) -> Tensor : pointwise
    div[_].Tensor(Tensor self, Tensor other) -> Tensor : pointwise
    div[_].Tensor_mode(Tensor self, Tensor other, *, str? rounding_mode) -> Tensor : pointwise
    div.out(Tensor self, Tensor other, *, Tensor(a!) out) -> Tensor(a!) : pointwise
""")(per_element(1, 11))


@operators(check=BY_KERNEL)("""
    _conj_physical(Tensor self) -> Tensor : pointwise
    conj_physical_(Tensor(a!) self) -> Tensor(a!) : pointwise
""")
def _conjugate(signature: Signature) -> int:
    """One negation, of the imaginary part; nothing for real numbers."""
    return signature.out.numel if has_complex(signature) else 0


@operators(check=BY_KERNEL)("""
    add[_].Scalar rsub.Scalar sub[_].Scalar(Tensor self, Scalar other, Scalar alpha=1) -> Tensor : pointwise
    add[_].Tensor sub[_].Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor : pointwise
    add.out sub.out(Tensor self, Tensor other, *, Scalar alpha=1, Tensor(a!) out) -> Tensor(a!) : pointwise
    rsub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor
""")
def _add(signature: Signature) -> int:
    """self ± alpha · other: n, or 2n when `alpha` is not ±1."""
    scaled = multiplies(signature["alpha"])
    return signature.out.numel * real_or_complex(signature, 1 + scaled, 2 + 6 * scaled)


def add_relu(signature: Signature) -> int:
    """The sum, then its maximum with 0."""
    return _add(signature) + signature.out.numel


@operators(check=BY_KERNEL)("""
    clamp[_](Tensor self, Scalar? min=None, Scalar? max=None) -> Tensor : pointwise
    clamp[_].Tensor(Tensor self, Tensor? min=None, Tensor? max=None) -> Tensor : pointwise
""")
def _clamp(signature: Signature) -> int:
    """n for each bound that is given."""
    bounds = sum(signature[bound] is not None for bound in ("min", "max"))
    return signature.out.numel * real_or_complex(signature, bounds, None)


@operators(check=BY_KERNEL)("""
    addcdiv[_] addcmul[_](Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor :
        pointwise
""")
def _add_product(signature: Signature) -> int:
    """self + value · (tensor1 · tensor2), or of their quotient: 2n, or 3n when `value` is not ±1."""
    scaled = multiplies(signature["value"])
    quotient = "addcdiv" in signature.operator
    of_complex = (11 if quotient else 6) + 6 * scaled + 2
    return signature.out.numel * real_or_complex(signature, 2 + scaled, of_complex)


@operators(check=BY_KERNEL)("""
    lerp[_].Scalar(Tensor self, Tensor end, Scalar weight) -> Tensor : pointwise
    lerp[_].Tensor(Tensor self, Tensor end, Tensor weight) -> Tensor : pointwise
""")
def _lerp(signature: Signature) -> int:
    """self + weight · (end − self): 3n, or 2n for the literal weight ±1."""
    scaled = multiplies(signature["weight"])
    return signature.out.numel * real_or_complex(signature, 2 + scaled, 4 + 6 * scaled)


@operators(check=BY_KERNEL)("""
    logit[_](Tensor self, float? eps=None) -> Tensor : pointwise
""")
def _logit(signature: Signature) -> int:
    """log(x / (1 − x)), with x kept within [eps, 1 − eps] if eps is given."""
    bounds = 0 if signature["eps"] is None else 2
    return signature.out.numel * real_or_complex(signature, 3 + bounds, None)


@operators(check=BY_KERNEL)("mvlgamma(Tensor self, int p) -> Tensor : pointwise")
def _multivariate_log_gamma(signature: Signature) -> int:
    """A constant plus the sum over j < p of lgamma(x − j/2): p lgammas, p − 1 shifts, p additions."""
    (p,) = signature.integers("p")
    return signature.out.numel * (3 * p - 1)
