"""Reductions: k values take k − 1 additions, so |in| − n for n results."""

from math import inf

from haet_eval.counting.prices.pointwise import broadcast_elements, real_or_complex
from haet_eval.counting.prices.table import overloads, price
from haet_eval.counting.signature import Argument, Signature

_FUNCTION = ".default .out"


def folding(inputs: int, results: int) -> int:
    """Steps that fold `inputs` values into `results`; 0 if there is nothing to fold."""
    return max(0, inputs - results)


def _sizes(signature: Signature) -> tuple[int, int]:
    """Elements of the input and of one output."""
    return signature.tensor("self").numel, signature.out.numel


@price(*overloads("sum", ".default .dim_IntList .IntList_out .out"), *overloads("trace", _FUNCTION))
def _sum(signature: Signature) -> int:
    """|in| − n: k values take k − 1 additions."""
    inputs, results = _sizes(signature)
    if "trace" in signature.operator:
        inputs = min(signature.tensor("self").shape)
    return folding(inputs, results) * real_or_complex(signature, 1, 2)


@price(*overloads("prod", ".default .dim_int .int_out .out"))
def _product(signature: Signature) -> int:
    """|in| − n: k values take k − 1 products."""
    return folding(*_sizes(signature)) * real_or_complex(signature, 1, 6)


@price(
    *overloads("amax amin argmax argmin", _FUNCTION),
    *overloads("max", ".default .dim .dim_max .unary_out"),
    *overloads("min", ".default .dim .dim_min .unary_out"),
)
def _extremum(signature: Signature) -> int:
    """|in| − n: one comparison for each value after the first."""
    return folding(*_sizes(signature)) * real_or_complex(signature, 1, None)


TRUTHS = (
    *overloads("any all", ".default .out .dim .dims .dims_out .all_out"),
    *overloads("_is_all_true _is_any_true", ".default"),
)
"""Operators that join truth values, and test numbers that are given in their place."""


@price(*TRUTHS)
def _joined(signature: Signature) -> int:
    """|in| − n: a conjunction or disjunction for each truth value after the first; of numbers 2|in| − n.

    A number is compared with 0 first. A row of one number is only compared, and that is no copy.
    """
    inputs, results = _sizes(signature)
    tests = 0 if signature.tensor("self").dtype == "bool" else inputs
    return (tests + folding(inputs, results)) * real_or_complex(signature, 1, None)


@price(*overloads("aminmax", _FUNCTION), *overloads("_aminmax", ".default .out .dim .dim_out"))
def _extrema(signature: Signature) -> int:
    """2(|in| − n): a minimum and a maximum."""
    return 2 * folding(*_sizes(signature))


@price(*overloads("mean", ".default .dim .dtype_out .out"))
def _mean(signature: Signature) -> int:
    """|in|: the sum, and one division each."""
    inputs, results = _sizes(signature)
    return folding(inputs, results) * real_or_complex(signature, 1, 2) + results * real_or_complex(
        signature, 1, 2
    )


@price(
    *overloads("nansum", _FUNCTION),
    *overloads("count_nonzero", ".default .out .dim_IntList .dim_IntList_out"),
)
def _tested_sum(signature: Signature) -> int:
    """One test of each value, then the sum."""
    inputs, results = _sizes(signature)
    return real_or_complex(signature, inputs + folding(inputs, results), None)


@price(*overloads("var var_mean", ".correction .correction_out"))
def _variance(signature: Signature) -> int:
    """4|in|, in two passes: mean, centre, square, sum, divide."""
    inputs, results = _sizes(signature)
    return real_or_complex(signature, 2 * (folding(inputs, results) + results) + 2 * inputs, None)


@price(*overloads("std std_mean", ".correction .correction_out"))
def _deviation(signature: Signature) -> int:
    """4|in| + n: the variance and its root."""
    return _variance(signature) + signature.out.numel


@price(*overloads("logsumexp", _FUNCTION))
def _logsumexp(signature: Signature) -> int:
    """m + log Σ exp(x − m), with m the maximum: 4|in|."""
    inputs, results = _sizes(signature)
    return real_or_complex(signature, 2 * folding(inputs, results) + 2 * inputs + 2 * results, None)


def norm_operations(inputs: int, results: int, order: Argument) -> int:
    """Σ|x|ᵖ to the power 1/p; |x| and an extremum for ±∞; a count of the nonzero values for p = 0."""
    fold = folding(inputs, results)
    if order in (2, None):
        return inputs + fold + results
    if order in (0, 1, inf, -inf):
        return inputs + fold
    return 2 * inputs + fold + results


@price(
    *overloads("linalg_vector_norm", _FUNCTION),
    *overloads(
        "norm",
        ".Scalar .ScalarOpt_dim .ScalarOpt_dim_dtype .ScalarOpt_dtype .ScalarOpt_dtype_out .Scalar_out "
        ".dtype_out .out",
    ),
    *overloads("native_norm", ".default .out .ScalarOpt_dim_dtype .ScalarOpt_dim_dtype_out"),
)
def _norm(signature: Signature) -> int:
    """2|in| for order 2; 2|in| − n for 0, 1 and ±∞; 3|in| for any other."""
    inputs, results = _sizes(signature)
    order = signature.arguments.get("ord", signature.arguments.get("p"))
    real = norm_operations(inputs, results, order)
    if order not in (2, None):
        return real_or_complex(signature, real, None)
    return real + real_or_complex(signature, 0, 2 * inputs)


@price(*overloads("dist", _FUNCTION))
def _distance(signature: Signature) -> int:
    """A norm of the difference; the two may broadcast."""
    elements = _broadcast_numel(signature)
    return real_or_complex(signature, elements + norm_operations(elements, 1, signature["p"]), None)


def _broadcast_numel(signature: Signature) -> int:
    """Elements of self and other, broadcast against each other."""
    return broadcast_elements([signature.tensor("self"), signature.tensor("other")])


@price(*overloads("renorm", ".default .out _.default"))
def _renorm(signature: Signature) -> int:
    """For each slice its norm and a factor min(1, maxnorm / norm); then a product for each element."""
    tensor = signature.tensor("self")
    (dim,) = signature.integers("dim")
    slices = tensor.shape[dim]
    operations = norm_operations(tensor.numel, slices, signature["p"]) + 2 * slices + tensor.numel
    return real_or_complex(signature, operations, None)


@price("aten.equal.default")
def _equal(signature: Signature) -> int:
    """Compare every pair, then join the answers; tensors of different shapes differ at once."""
    left, right = signature.tensor("self"), signature.tensor("other")
    if left.shape != right.shape:
        return 0
    return left.numel * real_or_complex(signature, 1, 3) + folding(left.numel, 1)


@price("aten.allclose.default")
def _all_close(signature: Signature) -> int:
    """|a − b| ≤ atol + rtol · |b| for every pair, joined."""
    elements = _broadcast_numel(signature)
    return real_or_complex(signature, 6 * elements + folding(elements, 1), None)
