"""Operators on lists of tensors: the sum over the list of the operator on one tensor."""

from collections.abc import Iterator, Mapping

from haet_eval.operators.checking.call import Call
from haet_eval.operators.pricing.complex_numbers import with_parts
from haet_eval.operators.pricing.width import with_dtypes
from haet_eval.operators.reductions import norm_operations
from haet_eval.operators.signature import Argument, Signature, tensors_in
from haet_eval.operators.table import each, formula, operators, present_price, price_function


def lists_match(call: Call) -> None:
    """All lists are as long as the first."""
    parameters = [parameter.name for parameter in call.operator.parameters if parameter.is_list]
    lengths = {len(value) for name in parameters if isinstance(value := call[name], tuple)}
    call.require(len(lengths) == 1 and lengths != {0}, "its lists must be of one length, and not empty")


class OverList:
    """The price of an operator on lists: that of `single` for each tensor of the list.

    `names` are those of its arguments that `single` has other names for. `__doc__` of an object is the price
    in words.
    """

    def __init__(self, single: str, names: Mapping[str, str]) -> None:
        self._single = single
        self._names = names

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        return f"For each tensor of the list: {formula(self._single)}"

    def __call__(self, signature: Signature) -> int:
        return sum(operations for _, operations in parts_of(signature))

    def singles(self, signature: Signature) -> Iterator[Signature]:
        """The operator on one tensor, for each tensor of the list; numbers that are no list are repeated."""
        # The forms in place return nothing.
        results = tuple(tensors_in(signature.outputs)) or signature.tensors("self")
        for position, result in enumerate(results):
            # Some operators on lists have no `alpha`, but those on one tensor have one.
            arguments: dict[str, Argument] = {"alpha": 1} | {
                self._names.get(name, name): value[position] if isinstance(value, tuple) else value
                for name, value in signature.arguments.items()
            }
            yield Signature(self._single, arguments, (result,))


def singles_of(signature: Signature) -> Iterator[Signature]:
    """The operator on each tensor of a list; nothing for operators on no list."""
    price = present_price(signature.operator)
    if isinstance(price, OverList):
        yield from price.singles(signature)


def parts_of(signature: Signature) -> Iterator[tuple[Signature, int]]:
    """The same with the operations of each.

    Raises:
        NoPrice: one of them has no price, as some have none for complex numbers.
    """
    for one in singles_of(signature):
        single = price_function(one.operator)
        assert single is not None
        yield one, with_dtypes(one, with_parts(one, single))


def _lists(single: str, schemas: str, **names: str) -> None:
    """Enter operators on lists. `{}` in `single` stands for what follows `_foreach_` in their names."""
    for name, schema in each(schemas):
        base = name.split(".")[1].removeprefix("_foreach_").removesuffix("_")
        enter = operators(check=lists_match, kind="list")(schema.removeprefix("aten::"))
        enter(OverList(single.format(base), names))


_lists(
    "aten.{}.default",
    """
    _foreach_abs[_] _foreach_acos[_] _foreach_asin[_] _foreach_atan[_] _foreach_ceil[_] _foreach_cos[_]
        _foreach_cosh[_] _foreach_erf[_] _foreach_erfc[_] _foreach_exp[_] _foreach_expm1[_] _foreach_floor[_]
        _foreach_frac[_] _foreach_lgamma[_] _foreach_log[_] _foreach_log10[_] _foreach_log1p[_]
        _foreach_log2[_] _foreach_max _foreach_neg[_] _foreach_reciprocal[_] _foreach_round[_]
        _foreach_rsqrt[_] _foreach_sigmoid[_] _foreach_sign[_] _foreach_sin[_] _foreach_sinh[_]
        _foreach_sqrt[_] _foreach_tan[_] _foreach_tanh[_] _foreach_trunc[_](Tensor[] self) -> Tensor[]
    _foreach_zero_(Tensor(a!)[] self) -> ()
    _foreach_clamp_max[_].List _foreach_clamp_min[_].List _foreach_maximum[_].List
        _foreach_minimum[_].List(Tensor[] self, Tensor[] other) -> Tensor[]
    _foreach_clone(Tensor[] self, *, MemoryFormat? memory_format=None) -> Tensor[]
    _foreach_copy(Tensor[] self, Tensor[] src, bool non_blocking=False) -> Tensor[] self_out
    _foreach_copy_(Tensor(a!)[] self, Tensor[] src, bool non_blocking=False) -> ()
    _foreach_mm(Tensor[] self, Tensor[] mat2) -> Tensor[]
    _foreach_addcdiv[_].Scalar _foreach_addcmul[_].Scalar(Tensor[] self, Tensor[] tensor1, Tensor[] tensor2,
        Scalar value=1) -> Tensor[]
    """,
)
_lists(
    "aten.{}.default",
    """
    _foreach_clamp_max[_].Scalar _foreach_clamp_min[_].Scalar _foreach_maximum[_].Scalar
        _foreach_minimum[_].Scalar(Tensor[] self, Scalar scalar) -> Tensor[]
    _foreach_clamp_max[_].ScalarList _foreach_clamp_min[_].ScalarList _foreach_maximum[_].ScalarList
        _foreach_minimum[_].ScalarList(Tensor[] self, Scalar[] scalars) -> Tensor[]
    """,
    scalar="other",
    scalars="other",
)
_lists(
    "aten.{}.default",
    """
    _foreach_addcdiv[_].ScalarList _foreach_addcmul[_].ScalarList(Tensor[] self, Tensor[] tensor1, Tensor[]
        tensor2, Scalar[] scalars) -> Tensor[]
    _foreach_addcdiv[_].Tensor _foreach_addcmul[_].Tensor(Tensor[] self, Tensor[] tensor1, Tensor[] tensor2,
        Tensor scalars) -> Tensor[]
    """,
    scalars="value",
)
_lists(
    "aten.{}.Tensor",
    """
    _foreach_add[_].List _foreach_sub[_].List(Tensor[] self, Tensor[] other, *, Scalar alpha=1) -> Tensor[]
    _foreach_add[_].Tensor(Tensor[] self, Tensor other, *, Scalar alpha=1) -> Tensor[]
    _foreach_div[_].List _foreach_mul[_].List(Tensor[] self, Tensor[] other) -> Tensor[]
    _foreach_div[_].Tensor _foreach_mul[_].Tensor(Tensor[] self, Tensor other) -> Tensor[]
    """,
)
_lists(
    "aten.{}.Scalar",
    """
    _foreach_add[_].Scalar _foreach_div[_].Scalar _foreach_mul[_].Scalar _foreach_sub[_].Scalar(Tensor[] self,
        Scalar scalar) -> Tensor[]
    _foreach_add[_].ScalarList _foreach_div[_].ScalarList _foreach_mul[_].ScalarList
        _foreach_sub[_].ScalarList(Tensor[] self, Scalar[] scalars) -> Tensor[]
    """,
    scalar="other",
    scalars="other",
)
_lists(
    "aten.pow.Tensor_Tensor",
    """
    _foreach_pow[_].List(Tensor[] self, Tensor[] exponent) -> Tensor[]
    """,
)
_lists(
    "aten.pow.Tensor_Scalar",
    """
    _foreach_pow[_].Scalar(Tensor[] self, Scalar exponent) -> Tensor[]
    _foreach_pow[_].ScalarList(Tensor[] self, Scalar[] exponent) -> Tensor[]
    """,
)
_lists(
    "aten.lerp.Tensor",
    """
    _foreach_lerp[_].List(Tensor[] self, Tensor[] tensors1, Tensor[] weights) -> Tensor[]
    """,
    tensors1="end",
    weights="weight",
)
_lists(
    "aten.lerp.Scalar",
    """
    _foreach_lerp[_].Scalar(Tensor[] self, Tensor[] tensors1, Scalar weight) -> Tensor[]
    _foreach_lerp[_].ScalarList(Tensor[] self, Tensor[] tensors1, Scalar[] weight) -> Tensor[]
    """,
    tensors1="end",
)


@operators(check=lists_match)("_foreach_pow.ScalarAndTensor(Scalar self, Tensor[] exponent) -> Tensor[]")
def _power(signature: Signature) -> int:
    """One power for each element of each tensor."""
    return sum(meta.numel for meta in signature.tensors("exponent"))


@operators(check=lists_match)("""
    _foreach_norm.Scalar(Tensor[] self, Scalar ord=2, ScalarType? dtype=None) -> Tensor[]
""")
def _norm(signature: Signature) -> int:
    """The sum over the list of the norm of each tensor."""
    return sum(norm_operations(meta.numel, 1, signature["ord"]) for meta in signature.tensors("self"))


def sum_of_powers(signature: Signature) -> int:
    """Σ|x|ᵖ: a norm without its root."""
    order = signature["ord"]
    rooted = order not in (0, 1, float("inf"), float("-inf"))
    return sum(norm_operations(meta.numel, 1, order) - rooted for meta in signature.tensors("self"))
