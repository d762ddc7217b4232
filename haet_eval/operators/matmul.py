"""Products of matrices and vectors: n(2K − 1) for n sums of K products."""

from haet_eval.operators.checking.call import Call
from haet_eval.operators.checking.shapes import dimensions, has_shape, same_dtype
from haet_eval.operators.pointwise import has_complex
from haet_eval.operators.pricing.literals import multiplies
from haet_eval.operators.reductions import folding
from haet_eval.operators.signature import Signature, TensorMeta
from haet_eval.operators.table import BY_KERNEL, NoPrice, operators


def takes_sum_of_products(call: Call) -> None:
    """`self` must have the shape of the sum: its kernel would resize it. That of `addmm_` raises."""
    one, two = call.tensor("batch1"), call.tensor("batch2")
    call.require(one.ndim == 3 and two.ndim == 3, "it needs batches of matrices")
    has_shape(call, "self", (one.shape[1], two.shape[2]))


def factors_have_one_rank(call: Call) -> None:
    """Its kernel counts dimensions from the front, and would align other ranks at their ends."""
    ranks = {call.tensor(f"i{i}").ndim + len(call.integers(f"expand{i}")) for i in (1, 2, 3)}
    call.require(len(ranks) == 1, "its factors must have one rank")
    for name in ("expand1", "expand2", "expand3", "sumdim"):
        dimensions(call, call.integers(name), *ranks)


def out_of_product(call: Call) -> None:
    """`out` must have the shape of the product: it would be resized otherwise."""
    if "out" in call.arguments:
        one, two = (
            call.tensor(name) for name in (("mat1", "mat2") if "mat1" in call.arguments else ("self", "mat2"))
        )
        call.require(one.ndim >= 2 and two.ndim == one.ndim, "it needs matrices")
        has_shape(call, "out", (*one.shape[:-1], two.shape[-1]))
        same_dtype(call, "out", "mat2")


def _of_one_each(signature: Signature) -> tuple[int, int]:
    """Operations of a product and of a sum of two numbers."""
    # Of complex ones 4 products and 2 sums, and 2 sums.
    return (6, 2) if has_complex(signature) else (1, 1)


def inner_products(signature: Signature, count: int, length: int) -> int:
    """`count` sums of `length` products."""
    multiplication, addition = _of_one_each(signature)
    return count * (length * multiplication + max(0, length - 1) * addition)


def _added(signature: Signature, product: TensorMeta) -> int:
    """beta · self + alpha · product, without the computation of `product`."""
    multiplication, addition = _of_one_each(signature)
    scaled = product.numel * multiplies(signature["alpha"]) * multiplication
    # PyTorch does not read `self` then, not even its NaN.
    if signature["beta"] == 0:
        return scaled
    term = signature.tensor("self").numel * multiplies(signature["beta"]) * multiplication
    return scaled + term + product.numel * addition


@operators(check=out_of_product)("""
    bmm mm(Tensor self, Tensor mat2) -> Tensor
    bmm.out mm.out(Tensor self, Tensor mat2, *, Tensor(a!) out) -> Tensor(a!)
""")
@operators(check=BY_KERNEL)("""
    dot(Tensor self, Tensor tensor) -> Tensor
    mv(Tensor self, Tensor vec) -> Tensor
    vdot(Tensor self, Tensor other) -> Tensor
""")
def _mm(signature: Signature) -> int:
    """n(2K − 1): n sums of K products."""
    return inner_products(signature, signature.out.numel, signature.tensor("self").shape[-1])


@operators(check=out_of_product)("""
    addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor
    addmm.out(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1, Tensor(a!) out) ->
        Tensor(a!)
""")
@operators(check=BY_KERNEL)("""
    addmm_(Tensor(a!) self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor(a!)
    baddbmm[_](Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor
""")
def _addmm(signature: Signature) -> int:
    """n(2K − 1); n for the added matrix; n for `alpha`, |self| for `beta`, unless they are ±1."""
    left = "batch1" if "baddbmm" in signature.operator else "mat1"
    products = inner_products(signature, signature.out.numel, signature.tensor(left).shape[-1])
    return products + _added(signature, signature.out)


@operators(check=BY_KERNEL)("""
    addbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor
""")
@operators(check=takes_sum_of_products)("""
    addbmm_(Tensor(a!) self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor(a!)
""")
def _addbmm(signature: Signature) -> int:
    """The sum of a batch of products: as one product over batch and inner dimension together."""
    batch, _, inner = signature.tensor("batch1").shape
    return inner_products(signature, signature.out.numel, batch * inner) + _added(signature, signature.out)


@operators(check=BY_KERNEL)("""
    addmv[_](Tensor self, Tensor mat, Tensor vec, *, Scalar beta=1, Scalar alpha=1) -> Tensor
""")
def _addmv(signature: Signature) -> int:
    """n(2K − 1); the added vector as in addmm."""
    products = inner_products(signature, signature.out.numel, signature.tensor("mat").shape[-1])
    return products + _added(signature, signature.out)


@operators(check=BY_KERNEL)("""
    addr[_](Tensor self, Tensor vec1, Tensor vec2, *, Scalar beta=1, Scalar alpha=1) -> Tensor
""")
def _addr(signature: Signature) -> int:
    """n products; the added matrix as in addmm."""
    return inner_products(signature, signature.out.numel, 1) + _added(signature, signature.out)


@operators(check=BY_KERNEL)("""
    _addmm_activation(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1, bool
        use_gelu=False) -> Tensor
""")
def _addmm_activation(signature: Signature) -> int:
    """addmm, then GELU by tanh or ReLU."""
    return _addmm(signature) + signature.out.numel * (9 if signature["use_gelu"] else 1)


def linear(signature: Signature) -> int:
    """n(2K − 1), and n with a bias."""
    bias = 0 if signature["bias"] is None else signature.out.numel
    return inner_products(signature, signature.out.numel, signature.tensor("input").shape[-1]) + bias


@operators(check=BY_KERNEL)("linalg_cross(Tensor self, Tensor other, *, int dim=-1) -> Tensor")
def _cross(signature: Signature) -> int:
    """a·d − b·c for each component."""
    if has_complex(signature):
        raise NoPrice(signature.operator)
    return 3 * signature.out.numel


@operators(check=factors_have_one_rank)("""
    _trilinear(Tensor i1, Tensor i2, Tensor i3, int[] expand1, int[] expand2, int[] expand3, int[] sumdim, int
        unroll_dim=1) -> Tensor
""")
def _trilinear(signature: Signature) -> int:
    """Products of three elements, summed over some dimensions."""
    if has_complex(signature):
        raise NoPrice(signature.operator)
    shapes = [
        list(_expanded(signature.tensor(f"i{i}").shape, signature.integers(f"expand{i}"))) for i in (1, 2, 3)
    ]
    terms = 1
    for sizes in zip(*shapes, strict=True):
        # A factor of size 1 is broadcast along that dimension.
        terms *= max(sizes)
    return 2 * terms + folding(terms, signature.out.numel)


def _expanded(shape: tuple[int, ...], dimensions: tuple[int, ...]) -> list[int]:
    """The shape with a dimension of 1 inserted at each place of the result, counted from either end."""
    total = len(shape) + len(dimensions)
    inserted = {dimension % total for dimension in dimensions}
    sizes = iter(shape)
    return [1 if place in inserted else next(sizes, 1) for place in range(total)]
