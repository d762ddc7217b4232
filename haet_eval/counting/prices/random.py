"""Random numbers: one operation for each number drawn, whatever the distribution.

Drawing indices by given weights is more than a draw; see docs/decisions/0020-multinomial.md.
"""

from haet_eval.counting.prices.integers import ceiling_log2, real_scalars, row_length, rows
from haet_eval.counting.prices.sorting import selection_comparisons
from haet_eval.counting.prices.table import overloads, price
from haet_eval.counting.signature import Signature, TensorMeta

_NUMBERS = (
    *overloads(
        "_standard_gamma binomial cauchy exponential geometric log_normal poisson uniform",
        ".default .out",
    ),
    *overloads("bernoulli", ".float_out .p"),
    "aten.bernoulli_.float",
    *overloads("cauchy_ exponential_ geometric_ log_normal_ normal_ normal_functional uniform_", ".default"),
    *overloads("normal", ".float_float .float_float_out .out"),
    *overloads("rand", ".default .generator .out"),
    *overloads("rand_like randn_like randperm", ".default .generator .generator_out .out"),
    *overloads(
        "randint", ".default .generator .generator_out .low .low_generator .low_generator_out .low_out .out"
    ),
    *overloads(
        "randint_like",
        ".Tensor .Tensor_generator .Tensor_generator_out .Tensor_out .default .generator .generator_out "
        ".low_dtype .low_dtype_out .low_generator_dtype .low_generator_dtype_out .out",
    ),
    *overloads("randn", ".default .generator"),
    *overloads("random", ".default .from .from_out .out .to .to_out"),
    *overloads("random_", ".default .from .to"),
)

DRAWS = frozenset(_NUMBERS)
"""The operators that draw. They take no number from a tensor but the parameters of a distribution."""


@price(*_NUMBERS)
def _draws(s: Signature) -> int:
    """One per number drawn; a complex number is two."""
    return real_scalars(s.out)


@price(
    *overloads(
        "normal",
        ".Tensor_Tensor .Tensor_Tensor_out .Tensor_float .Tensor_float_out .float_Tensor .float_Tensor_out",
    )
)
def _normal_around_data(s: Signature) -> int:
    """mean + std · z: a draw, a product if the deviation is a tensor, a sum if a mean is to be added to it.

    A deviation that is a number only names the distribution, so it costs nothing. A mean of 0 adds nothing.
    """
    scaled = isinstance(s["std"], TensorMeta)
    moved = isinstance(s["mean"], TensorMeta) or s["mean"] != 0
    return s.out.numel * (1 + scaled + moved)


@price(*overloads("bernoulli", ".Tensor .Tensor_out .default .out"), "aten.bernoulli_.Tensor")
def _bernoulli_of_data(s: Signature) -> int:
    """2n: a draw, and its comparison with a probability that is an element of a tensor."""
    return 2 * s.out.numel


@price(*overloads("_sample_dirichlet", ".default .out"))
def _dirichlet(s: Signature) -> int:
    """3n − R for R rows: a draw for each number, and each row divided by its sum."""
    return 3 * s.out.numel - rows(s.out, -1)


@price(*overloads("_dirichlet_grad _standard_gamma_grad", ".default .out"))
def _derivative_of_a_sample(s: Signature) -> int:
    """The derivative of a sample by its parameter: one special function per element."""
    return s.out.numel


@price(*overloads("multinomial", ".default .out"))
def _multinomial(s: Signature) -> int:
    """Draw m of L weighted categories, for each row of weights.

    With replacement, by inversion: L − 1 additions accumulate the weights; each draw is scaled by
    their total and found by binary search. Without, by the race of exponentials: L draws, L divisions,
    the m largest.
    """
    weights, samples = s.tensor("self"), s.integers("num_samples")[0]
    length = row_length(weights, -1)
    if s["replacement"]:
        per_row = length - 1 + samples * (2 + ceiling_log2(length))
    else:
        per_row = 2 * length + selection_comparisons(length, samples)
    return rows(weights, -1) * per_row
