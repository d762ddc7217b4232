"""Random numbers: one operation for each number drawn, whatever the distribution.

Drawing indices by given weights is more than a draw; see docs/decisions/0020-multinomial.md.
"""

from haet_eval.operators.checking.call import Call
from haet_eval.operators.checking.sizes import counted, of_sides, of_size
from haet_eval.operators.pricing.integers import ceiling_log2, real_scalars, row_length, rows
from haet_eval.operators.signature import Signature, TensorMeta, tensors_in
from haet_eval.operators.sorting import selection_comparisons
from haet_eval.operators.table import BY_KERNEL, OPTIONS, operators


def draws_no_more_than_there_are(call: Call) -> None:
    """The kernel checks this itself, but `haet-eval check` does not run it and would not find the error."""
    weights, samples = call.tensor("self"), call.integer("num_samples")
    if not call.integer("replacement") and weights.ndim:
        call.require(
            samples <= weights.shape[-1],
            f"cannot draw {samples} of {weights.shape[-1]} without replacement",
        )


@operators(check=BY_KERNEL, kind="draw")(f"""
    bernoulli.p(Tensor self, float p, *, Generator? generator=None) -> Tensor : random
    bernoulli_.float(Tensor(a!) self, float p=0.5, *, Generator? generator=None) -> Tensor(a!) : random
    cauchy_(Tensor(a!) self, float median=0., float sigma=1., *, Generator? generator=None) -> Tensor(a!) :
        random
    exponential_(Tensor(a!) self, float lambd=1., *, Generator? generator=None) -> Tensor(a!) : random
    geometric_(Tensor(a!) self, float p, *, Generator? generator=None) -> Tensor(a!) : random
    log_normal_(Tensor(a!) self, float mean=1., float std=2., *, Generator? generator=None) -> Tensor(a!) :
        random
    normal_(Tensor(a!) self, float mean=0., float std=1., *, Generator? generator=None) -> Tensor(a!) : random
    rand_like randn_like(Tensor self, *, {OPTIONS}, MemoryFormat? memory_format=None) -> Tensor : random
    rand_like.generator randn_like.generator(Tensor self, *, Generator? generator, {OPTIONS}, MemoryFormat?
        memory_format=None) -> Tensor : random
    randint_like(Tensor self, int high, *, {OPTIONS}, MemoryFormat? memory_format=None) -> Tensor : random
    randint_like.generator(Tensor self, int high, *, Generator? generator, {OPTIONS}, MemoryFormat?
        memory_format=None) -> Tensor : random
    randint_like.low_dtype(Tensor self, int low, int high, *, {OPTIONS}, MemoryFormat? memory_format=None) ->
        Tensor : random
    randint_like.low_generator_dtype(Tensor self, int low, int high, *, Generator? generator, {OPTIONS},
        MemoryFormat? memory_format=None) -> Tensor : random
    random_(Tensor(a!) self, *, Generator? generator=None) -> Tensor(a!) : random
    random_.from(Tensor(a!) self, int from, int? to, *, Generator? generator=None) -> Tensor(a!) : random
    random_.to(Tensor(a!) self, int to, *, Generator? generator=None) -> Tensor(a!) : random
    uniform_(Tensor(a!) self, float from=0., float to=1., *, Generator? generator=None) -> Tensor(a!) : random
""")
@operators(check=of_size, kind="draw")(f"""
    normal.float_float(float mean, float std, int[] size, *, Generator? generator=None, {OPTIONS}) -> Tensor :
        random
    rand randn(int[] size, *, {OPTIONS}) -> Tensor : random
    rand.generator randn.generator(int[] size, *, Generator? generator, {OPTIONS}) -> Tensor : random
    randint(int high, int[] size, *, ScalarType? dtype=4, Layout? layout=None, Device? device=None, bool?
        pin_memory=None) -> Tensor : random
    randint.generator(int high, int[] size, *, Generator? generator, ScalarType? dtype=4, Layout? layout=None,
        Device? device=None, bool? pin_memory=None) -> Tensor : random
    randint.low(int low, int high, int[] size, *, ScalarType? dtype=4, Layout? layout=None, Device?
        device=None, bool? pin_memory=None) -> Tensor : random
    randint.low_generator(int low, int high, int[] size, *, Generator? generator, ScalarType? dtype=4, Layout?
        layout=None, Device? device=None, bool? pin_memory=None) -> Tensor : random
""")
# `dtype=4` is how PyTorch prints int64.
@operators(check=of_sides, kind="draw")("""
    randperm(int n, *, ScalarType? dtype=4, Layout? layout=None, Device? device=None, bool? pin_memory=None)
        -> Tensor : random
    randperm.generator(int n, *, Generator? generator, ScalarType? dtype=4, Layout? layout=None, Device?
        device=None, bool? pin_memory=None) -> Tensor : random
""")
def _draws(s: Signature) -> int:
    """One per number drawn; a complex number is two."""
    return real_scalars(s.out)


@operators(check=of_size)("""
    normal.Tensor_Tensor(Tensor mean, Tensor std, *, Generator? generator=None) -> Tensor : random
    normal.Tensor_float(Tensor mean, float std=1., *, Generator? generator=None) -> Tensor : random
    normal.float_Tensor(float mean, Tensor std, *, Generator? generator=None) -> Tensor : random
""")
def _normal_around_data(s: Signature) -> int:
    """mean + std · z: a draw, a product if the deviation is a tensor, a sum if a mean is to be added to it.

    A deviation that is a number only names the distribution, so it costs nothing. A mean of 0 adds nothing.
    """
    scaled = isinstance(s["std"], TensorMeta)
    moved = isinstance(s["mean"], TensorMeta) or s["mean"] != 0
    return s.out.numel * (1 + scaled + moved)


@operators(check=BY_KERNEL)("""
    bernoulli(Tensor self, *, Generator? generator=None) -> Tensor : random
    bernoulli_.Tensor(Tensor(a!) self, Tensor p, *, Generator? generator=None) -> Tensor(a!) : random
""")
def _bernoulli_of_data(s: Signature) -> int:
    """2n: a draw, and its comparison with a probability that is an element of a tensor."""
    return 2 * s.out.numel


# These draw until a condition on their input holds, so that the next numbers of the generator depend on it
# (decision 0051).
@operators(check=BY_KERNEL, draws_by_value=True)("""
    binomial(Tensor count, Tensor prob, Generator? generator=None) -> Tensor : random
    poisson _standard_gamma(Tensor self, Generator? generator=None) -> Tensor : random
""")
def _draws_by_data(s: Signature) -> int:
    """A draw, and one operation for each parameter that is an element of a tensor, as for `bernoulli`."""
    parameters = sum(1 for _ in tensors_in(tuple(s.arguments.values())))
    return s.out.numel * (1 + parameters)


@operators(check=BY_KERNEL, draws_by_value=True)("""
    _sample_dirichlet(Tensor self, Generator? generator=None) -> Tensor : random
""")
def _dirichlet(s: Signature) -> int:
    """4n − R for R rows: a draw for each number around its parameter, and each row divided by its sum."""
    return 4 * s.out.numel - rows(s.out, -1)


@operators(check=BY_KERNEL)("""
    _dirichlet_grad(Tensor x, Tensor alpha, Tensor total) -> Tensor
    _standard_gamma_grad(Tensor self, Tensor output) -> Tensor
""")
def _derivative_of_a_sample(s: Signature) -> int:
    """The derivative of a sample by its parameter: one special function per element."""
    return s.out.numel


@operators(check=(counted, draws_no_more_than_there_are))("""
    multinomial(Tensor self, int num_samples, bool replacement=False, *, Generator? generator=None) -> Tensor
        : random
""")
def _multinomial(s: Signature) -> int:
    """Draw m of L weighted categories, for each row of weights.

    With replacement, by inversion: L − 1 additions accumulate the weights; each draw is scaled by
    their total and found by binary search. Without, by the race of exponentials: L draws, L divisions,
    the m largest.
    """
    weights, samples = s.tensor("self"), s.integers("num_samples")[0]
    length = row_length(weights, -1)
    # Decision 0020 says why this is more than a draw.
    if s["replacement"]:
        per_row = length - 1 + samples * (2 + ceiling_log2(length))
    else:
        per_row = 2 * length + selection_comparisons(length, samples)
    return rows(weights, -1) * per_row
