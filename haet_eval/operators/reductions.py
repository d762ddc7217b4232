"""Reductions: k values take k − 1 additions, so |in| − n for n results."""

from math import inf

from haet_eval.operators.pointwise import broadcast_elements, real_or_complex
from haet_eval.operators.signature import Argument, Signature
from haet_eval.operators.table import BY_KERNEL, operators


def folding(inputs: int, results: int) -> int:
    """Steps that fold `inputs` values into `results`; 0 if there is nothing to fold."""
    return max(0, inputs - results)


def _sizes(signature: Signature) -> tuple[int, int]:
    """Elements of the input and of one output."""
    return signature.tensor("self").numel, signature.out.numel


@operators(check=BY_KERNEL)("""
    sum(Tensor self, *, ScalarType? dtype=None) -> Tensor
    sum.dim_IntList(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor
    trace(Tensor self) -> Tensor
""")
def _sum(signature: Signature) -> int:
    """|in| − n: k values take k − 1 additions."""
    inputs, results = _sizes(signature)
    # Only the diagonal is added.
    if "trace" in signature.operator:
        inputs = min(signature.tensor("self").shape)
    return folding(inputs, results) * real_or_complex(signature, 1, 2)


@operators(check=BY_KERNEL)("""
    prod(Tensor self, *, ScalarType? dtype=None) -> Tensor
    prod.dim_int(Tensor self, int dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor
""")
def _product(signature: Signature) -> int:
    """|in| − n: k values take k − 1 products."""
    return folding(*_sizes(signature)) * real_or_complex(signature, 1, 6)


@operators(check=BY_KERNEL)("""
    amax amin(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor
    argmax argmin(Tensor self, int? dim=None, bool keepdim=False) -> Tensor
    max min(Tensor self) -> Tensor
    max.dim min.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)
""")
def _extremum(signature: Signature) -> int:
    """|in| − n: one comparison for each value after the first."""
    return folding(*_sizes(signature)) * real_or_complex(signature, 1, None)


@operators(check=BY_KERNEL)("""
    all any _is_all_true _is_any_true(Tensor self) -> Tensor
    all.dim any.dim(Tensor self, int dim, bool keepdim=False) -> Tensor
    all.dims any.dims(Tensor self, int[]? dim=None, bool keepdim=False) -> Tensor
""")
def _joined(signature: Signature) -> int:
    """|in| − n: a conjunction or disjunction for each truth value after the first; of numbers 2|in| − n.

    A number is compared with 0 first. A row of one number is only compared, and that is no copy.
    """
    inputs, results = _sizes(signature)
    tests = 0 if signature.tensor("self").dtype == "bool" else inputs
    return (tests + folding(inputs, results)) * real_or_complex(signature, 1, None)


@operators(check=BY_KERNEL)("""
    aminmax(Tensor self, *, int? dim=None, bool keepdim=False) -> (Tensor min, Tensor max)
""")
def _extrema(signature: Signature) -> int:
    """2(|in| − n): a minimum and a maximum."""
    return 2 * folding(*_sizes(signature))


@operators(check=BY_KERNEL)("""
    mean(Tensor self, *, ScalarType? dtype=None) -> Tensor
    mean.dim(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor
""")
def _mean(signature: Signature) -> int:
    """|in|: the sum, and one division each."""
    inputs, results = _sizes(signature)
    return folding(inputs, results) * real_or_complex(signature, 1, 2) + results * real_or_complex(
        signature, 1, 2
    )


@operators(check=BY_KERNEL)("""
    count_nonzero(Tensor self, int? dim=None) -> Tensor
    count_nonzero.dim_IntList(Tensor self, int[] dim) -> Tensor
    nansum(Tensor self, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor
""")
def _tested_sum(signature: Signature) -> int:
    """One test of each value, then the sum."""
    inputs, results = _sizes(signature)
    return real_or_complex(signature, inputs + folding(inputs, results), None)


@operators(check=BY_KERNEL)("""
    var.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> Tensor
    var_mean.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) ->
        (Tensor, Tensor)
""")
def _variance(signature: Signature) -> int:
    """4|in|, in two passes: mean, centre, square, sum, divide."""
    inputs, results = _sizes(signature)
    return real_or_complex(signature, 2 * (folding(inputs, results) + results) + 2 * inputs, None)


@operators(check=BY_KERNEL)("""
    std.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> Tensor
    std_mean.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) ->
        (Tensor, Tensor)
""")
def _deviation(signature: Signature) -> int:
    """4|in| + n: the variance and its root."""
    return _variance(signature) + signature.out.numel


@operators(check=BY_KERNEL)("logsumexp(Tensor self, int[1] dim, bool keepdim=False) -> Tensor")
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


@operators(check=BY_KERNEL)("""
    linalg_vector_norm(Tensor self, Scalar ord=2, int[1]? dim=None, bool keepdim=False, *, ScalarType?
        dtype=None) -> Tensor
    norm.Scalar(Tensor self, Scalar p=2) -> Tensor
    norm.ScalarOpt_dim(Tensor self, Scalar? p, int[1] dim, bool keepdim=False) -> Tensor
    norm.ScalarOpt_dim_dtype(Tensor self, Scalar? p, int[1] dim, bool keepdim, *, ScalarType dtype) -> Tensor
    norm.ScalarOpt_dtype(Tensor self, Scalar? p, *, ScalarType dtype) -> Tensor
""")
def _norm(signature: Signature) -> int:
    """2|in| for order 2; 2|in| − n for 0, 1 and ±∞; 3|in| for any other."""
    inputs, results = _sizes(signature)
    # The older overloads call the order `p`.
    order = signature.arguments.get("ord", signature.arguments.get("p"))
    real = norm_operations(inputs, results, order)
    # Other orders of complex numbers have no definition in the standard.
    if order not in (2, None):
        return real_or_complex(signature, real, None)
    # A real number is squared once; |z|² takes two squares and a sum.
    return real + real_or_complex(signature, 0, 2 * inputs)


@operators(check=BY_KERNEL)("dist(Tensor self, Tensor other, Scalar p=2) -> Tensor")
def _distance(signature: Signature) -> int:
    """A norm of the difference; the two may broadcast."""
    elements = _broadcast_numel(signature)
    return real_or_complex(signature, elements + norm_operations(elements, 1, signature["p"]), None)


def _broadcast_numel(signature: Signature) -> int:
    """Elements of self and other, broadcast against each other."""
    return broadcast_elements([signature.tensor("self"), signature.tensor("other")])


@operators(check=BY_KERNEL)("""
    renorm[_](Tensor self, Scalar p, int dim, Scalar maxnorm) -> Tensor
""")
def _renorm(signature: Signature) -> int:
    """For each slice its norm and a factor min(1, maxnorm / norm); then a product for each element."""
    tensor = signature.tensor("self")
    (dim,) = signature.integers("dim")
    slices = tensor.shape[dim]
    operations = norm_operations(tensor.numel, slices, signature["p"]) + 2 * slices + tensor.numel
    return real_or_complex(signature, operations, None)


@operators(check=BY_KERNEL)("equal(Tensor self, Tensor other) -> bool : dynamic pointwise")
def _equal(signature: Signature) -> int:
    """Compare every pair, then join the answers; tensors of different shapes differ at once."""
    left, right = signature.tensor("self"), signature.tensor("other")
    if left.shape != right.shape:
        return 0
    return left.numel * real_or_complex(signature, 1, 3) + folding(left.numel, 1)


@operators(check=BY_KERNEL)("""
    allclose(Tensor self, Tensor other, float rtol=1.0000000000000001e-05, float atol=1e-08, bool
        equal_nan=False) -> bool : dynamic
""")
def _all_close(signature: Signature) -> int:
    """|a − b| ≤ atol + rtol · |b| for every pair, joined."""
    elements = _broadcast_numel(signature)
    return real_or_complex(signature, 6 * elements + folding(elements, 1), None)
