"""A price takes time and memory in the number of its arguments and dimensions, and not in their sizes.

The meter prices the calls of untrusted code, so a price that walks over sizes would be a way to stop it.
Whatever a signature says (sizes up to 2⁴⁰, lists of thousands, shapes that fit nothing), its price is there
after a bounded number of instructions, or an exception that the meter expects. Nothing here is timed.
"""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any, Final

import pytest
import torch

from haet_eval.operators.pricing.evaluate import price_of
from haet_eval.operators.signature import ANY, SPECIAL_FLOATS, Argument, Signature, TensorMeta
from haet_eval.operators.standard import VERSIONS, under
from haet_eval.operators.table import Price, former_prices, price_function, priced_operators
from tests.unit.prices.effort import TooMuch, effort, size_of
from tests.unit.prices.sweep import swept

INSTRUCTIONS_AT_LEAST: Final = 20_000
"""Euclid's algorithm takes up to sixty steps for numbers of 40 bits, some of them for each axis."""
INSTRUCTIONS_EACH: Final = 1_000
"""An item of a list is priced like a call of its own, and twice if it is complex."""
BYTES_AT_LEAST: Final = 16 << 10
BYTES_EACH: Final = 200
DIGITS_EACH: Final = 200
"""Bits of a price for each argument and dimension: it is a polynomial in sizes of 40 bits."""

EXPECTED_OF_NONSENSE: Final = (ArithmeticError, LookupError, TypeError, ValueError)
"""What the meter takes as the answer that a signature makes no sense (`price_told`)."""

_SMALL: Final = (0, 1, 2, 3, 4, 7, 64, 1000)
_LARGE: Final = (2**20, 2**31 - 1, 2**40 - 87, 2**40)
_FIBONACCI: Final = (591_286_729_879, 956_722_026_041)
SIZES: Final = (*_SMALL, *_LARGE, *_FIBONACCI)
"""Small ones, so that shapes fit; powers of two; primes; the pair that is hardest for Euclid's algorithm."""
DTYPES: Final = ("float32", "int64", "bool", "uint8", "complex64")
WORDS: Final = ("sum", "mean", "prod", "amax", "reduced", "complete", "r", "none", "tanh", "gels", "gelsd")


def bounded(signature: Signature, price: Callable[[Signature], int | None] = price_of) -> int | None:
    """The price, which was found within the bound; None without one."""
    found: list[int | None] = [None]

    def run() -> None:
        try:
            found[0] = price(signature)
        except EXPECTED_OF_NONSENSE:
            found[0] = None

    size = size_of(signature)
    most = INSTRUCTIONS_AT_LEAST + INSTRUCTIONS_EACH * size
    try:
        spent = effort(run, most)
    except TooMuch as reason:
        pytest.fail(f"{reason}: {signature}")
    assert spent.peak_bytes <= BYTES_AT_LEAST + BYTES_EACH * size, signature
    assert (found[0] or 0).bit_length() <= DIGITS_EACH * (1 + size), signature
    return found[0]


# Calls as torch made them, with other sizes in the place of theirs.


def enlarged(signature: Signature, chance: Random) -> Signature:
    """The call with every size that it names replaced, equal sizes by equal ones."""
    sizes: dict[int, int] = {}
    numbers_too = chance.random() < 0.5

    def size(value: int) -> int:
        return sizes.setdefault(value, chance.choice(SIZES))

    def other(value: Argument) -> Argument:
        if isinstance(value, TensorMeta):
            return replace(value, shape=tuple(map(size, value.shape)))
        if isinstance(value, tuple):
            return tuple(map(other, value))
        if isinstance(value, int) and not isinstance(value, bool) and value > 0 and numbers_too:
            return size(value)
        return value

    arguments = {name: other(value) for name, value in signature.arguments.items()}
    return Signature(signature.operator, arguments, tuple(map(other, signature.outputs)))


@pytest.mark.parametrize("seed", range(4))
def test_real_calls_with_huge_sizes_are_priced_within_the_bound(seed: int) -> None:
    chance = Random(seed)
    for name, signatures in swept().items():
        if price_function(name) is not None:
            for signature in chance.sample(signatures, min(3, len(signatures))):
                bounded(enlarged(signature, chance))


# Calls made up from the schema: their sizes do not fit together.


def schema_of(operator: str) -> Any:
    _, base, overload = operator.split(".")
    return getattr(getattr(torch.ops.aten, base), overload)._schema


def made_up(operator: str, chance: Random, longest: int | None = None) -> Signature:
    """Any arguments and outputs of the types that PyTorch's schema names."""
    schema = schema_of(operator)
    longest = longest or chance.choice((1, 2, 3, 40))
    dimensions = chance.choice((2, 3, 4, 5, 64) if longest < LONG else (2, 3))

    def value(kind: str) -> Argument:
        return _value(kind, chance, longest, dimensions)

    arguments = {one.name: value(str(one.type)) for one in schema.arguments}
    return Signature(operator, arguments, tuple(value(str(one.type)) for one in schema.returns))


def _value(kind: str, chance: Random, longest: int, dimensions: int) -> Argument:
    outer, _, inner = kind.removesuffix("]").partition("[")
    match outer:
        case "Optional":
            return None if chance.random() < 0.3 else _value(inner, chance, longest, dimensions)
        case "List":
            return tuple(_value(inner, chance, longest, dimensions) for _ in range(longest))
        case "Tensor":
            return _tensor(chance, dimensions)
        case "int":
            return chance.choice((*SIZES, -1, -2, -(2**40)))
        case "float" | "number":
            return chance.choice((*SPECIAL_FLOATS, ANY))
        case "bool":
            return chance.random() < 0.5
        case _:
            return chance.choice(WORDS)


def _tensor(chance: Random, dimensions: int) -> TensorMeta:
    shape = tuple(chance.choice(SIZES) for _ in range(chance.choice((dimensions, dimensions, 1, 0))))
    return TensorMeta(shape, (0,) * len(shape), 0, chance.choice(DTYPES))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_former_prices_stay_within_the_bound_too(version: int) -> None:
    chance = Random(version)
    with under(version):
        for name, last in former_prices():
            for _ in range(10 if last >= version else 0):
                bounded(made_up(name, chance))


LONG: Final = 300
"""Tensors in a list: a price that compares all pairs of them is far above the bound."""


@pytest.mark.slow
def test_the_price_of_a_long_list_grows_with_its_length_only() -> None:
    chance = Random(0)
    with_lists = {
        price_function(name): name
        for name in sorted(priced_operators())
        if any("List[" in str(one.type) for one in schema_of(name).arguments)
    }
    assert len(with_lists) > 50
    for name in with_lists.values():
        bounded(made_up(name, chance, LONG))


ATTEMPTS_EACH = 3
ATTEMPTS_MOST = 400


def test_every_price_function_stays_within_the_bound_whatever_it_is_asked() -> None:
    """All overloads with a few calls each; of every function at least one call that has a price."""
    chance = Random(0)
    overloads_of: dict[Price, str] = {}
    answered: set[Price] = set()
    for name in sorted(priced_operators()):
        price = price_function(name)
        assert price is not None
        overloads_of.setdefault(price, name)
        for _ in range(ATTEMPTS_EACH):
            if bounded(made_up(name, chance)) is not None:
                answered.add(price)
    for price, name in overloads_of.items():
        for _ in range(ATTEMPTS_MOST):
            if price in answered:
                break
            if bounded(made_up(name, chance)) is not None:
                answered.add(price)
    assert not sorted(name for price, name in overloads_of.items() if price not in answered)


# The bound itself: what it must find, and the case that it was made for.


def _loops(signature: Signature) -> int:
    return sum(1 for _ in range(signature.out.shape[0]))


def _lists(signature: Signature) -> int:
    return len([0] * signature.out.shape[0])


def _compares_all_pairs(signature: Signature) -> int:
    metas = signature.tensors("tensors")
    return sum(left is right for left in metas for right in metas)


@pytest.mark.parametrize("price", [_loops, _lists, _compares_all_pairs])
def test_a_price_that_loops_over_sizes_or_pairs_is_found(price: Price) -> None:
    meta = TensorMeta((2**20,), (1,), 0, "float32")
    signature = Signature("aten.cat.default", {"tensors": (meta,) * 1000}, (meta,))
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        bounded(signature, price)


def test_a_transposed_convolution_of_no_images_with_a_huge_kernel_costs_nothing() -> None:
    size = 2**40
    images = TensorMeta((0, 1, size), (0, 0, 0), 0, "float32")
    weight = TensorMeta((1, 1, size), (0, 0, 0), 0, "float32")
    out = TensorMeta((0, 1, 2 * size - 1), (0, 0, 1), 0, "float32")
    arguments: dict[str, Argument] = {
        "input": images,
        "weight": weight,
        "bias": None,
        "stride": (1,),
        "padding": (0,),
        "dilation": (1,),
        "transposed": True,
        "output_padding": (0,),
        "groups": 1,
    }
    assert bounded(Signature("aten.convolution.default", arguments, (out,))) == 0
    one = replace(images, shape=(1, 1, size))
    whole = replace(out, shape=(1, 1, 2 * size - 1))
    found = bounded(Signature("aten.convolution.default", arguments | {"input": one}, (whole,)))
    assert found == 2 * size**2 - (2 * size - 1)


def test_a_grid_of_a_huge_number_of_axes_has_no_price() -> None:
    """Its locations would have two neighbours to that power."""
    (signature, *_) = swept()["aten.grid_sampler_2d.default"]
    places = TensorMeta((1, 1, 1, 2**40), (1, 1, 1, 1), 0, "float32")
    many = Signature(signature.operator, {**signature.arguments, "grid": places}, signature.outputs)
    assert bounded(many) is None
    with pytest.raises(ValueError, match="only 2 or 3"):
        price_of(many)
