"""Products of matrices and vectors: n(2K − 1) for n sums of K products."""

from haet_eval.counting.prices.literals import multiplies
from haet_eval.counting.prices.pointwise import is_complex
from haet_eval.counting.prices.reductions import folding
from haet_eval.counting.prices.table import NoPrice, overloads, price
from haet_eval.counting.signature import Signature, TensorMeta

_FUNCTION = ".default .out"
_DTYPES = ".default .out .dtype .dtype_out"


def inner_products(signature: Signature, count: int, length: int) -> int:
    """`count` sums of `length` products."""
    multiplication, addition = (6, 2) if is_complex(signature) else (1, 1)
    return count * (length * multiplication + max(0, length - 1) * addition)


def _added(signature: Signature, product: TensorMeta) -> int:
    """beta · self + alpha · product, without the computation of `product`."""
    if is_complex(signature):
        multiplication, addition = 6, 2
    else:
        multiplication, addition = 1, 1
    scaled = product.numel * multiplies(signature["alpha"]) * multiplication
    if signature["beta"] == 0:
        return scaled
    term = signature.tensor("self").numel * multiplies(signature["beta"]) * multiplication
    return scaled + term + product.numel * addition


@price(*overloads("mm bmm", _DTYPES), *overloads("_int_mm", _FUNCTION))
def _mm(signature: Signature) -> int:
    """n(2K − 1): n sums of K products."""
    return inner_products(signature, signature.out.numel, signature.tensor("self").shape[-1])


@price(*overloads("addmm baddbmm", f"{_DTYPES} _.default"))
def _addmm(signature: Signature) -> int:
    """n(2K − 1); n for the added matrix; n for `alpha`, |self| for `beta`, unless they are ±1."""
    left = "batch1" if "baddbmm" in signature.operator else "mat1"
    products = inner_products(signature, signature.out.numel, signature.tensor(left).shape[-1])
    return products + _added(signature, signature.out)


@price(*overloads("addbmm", f"{_FUNCTION} _.default"))
def _addbmm(signature: Signature) -> int:
    """The sum of a batch of products: as one product over batch and inner dimension together."""
    batch, _, inner = signature.tensor("batch1").shape
    return inner_products(signature, signature.out.numel, batch * inner) + _added(signature, signature.out)


@price(*overloads("addmv", f"{_FUNCTION} _.default"))
def _addmv(signature: Signature) -> int:
    """n(2K − 1); the added vector as in addmm."""
    products = inner_products(signature, signature.out.numel, signature.tensor("mat").shape[-1])
    return products + _added(signature, signature.out)


@price(*overloads("addr", f"{_FUNCTION} _.default"))
def _addr(signature: Signature) -> int:
    """n products; the added matrix as in addmm."""
    return inner_products(signature, signature.out.numel, 1) + _added(signature, signature.out)


@price(*overloads("mv dot vdot", _FUNCTION))
def _product_with_vector(signature: Signature) -> int:
    """n(2K − 1): n sums of K products."""
    return inner_products(signature, signature.out.numel, signature.tensor("self").shape[-1])


@price(*overloads("_addmm_activation", _FUNCTION))
def _addmm_activation(signature: Signature) -> int:
    """addmm, then GELU by tanh or ReLU."""
    return _addmm(signature) + signature.out.numel * (9 if signature["use_gelu"] else 1)


@price("aten.linear.out")
def _linear(signature: Signature) -> int:
    """n(2K − 1), and n with a bias."""
    bias = 0 if signature["bias"] is None else signature.out.numel
    return inner_products(signature, signature.out.numel, signature.tensor("input").shape[-1]) + bias


@price(*overloads("linalg_cross", _FUNCTION))
def _cross(signature: Signature) -> int:
    """a·d − b·c for each component."""
    if is_complex(signature):
        raise NoPrice(signature.operator)
    return 3 * signature.out.numel


@price(*overloads("_trilinear", _FUNCTION))
def _trilinear(signature: Signature) -> int:
    """Products of three elements, summed over some dimensions."""
    if is_complex(signature):
        raise NoPrice(signature.operator)
    shapes = [
        list(_expanded(signature.tensor(f"i{i}").shape, signature.integers(f"expand{i}"))) for i in (1, 2, 3)
    ]
    terms = 1
    for sizes in zip(*shapes, strict=True):
        terms *= max(sizes)
    return 2 * terms + folding(terms, signature.out.numel)


def _expanded(shape: tuple[int, ...], dimensions: tuple[int, ...]) -> list[int]:
    """The shape with a dimension of 1 inserted at each place of the result, counted from either end."""
    total = len(shape) + len(dimensions)
    inserted = {dimension % total for dimension in dimensions}
    sizes = iter(shape)
    return [1 if place in inserted else next(sizes, 1) for place in range(total)]
