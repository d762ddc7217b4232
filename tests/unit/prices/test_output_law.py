"""The output law: a price is never below the number of elements that the call computes.

Every element of every output counts, but for the operators below, each with its reason. The calls are those
of PyTorch's own samples, and of small and complex matrices.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from haet_eval.operators.pricing.evaluate import price_of
from haet_eval.operators.signature import Signature, tensors_in
from haet_eval.operators.table import present_price, price_function
from tests.unit.prices.sweep import swept
from tests.unit.prices.test_versions import priced_by_version_1


def _outputs(signature: Signature) -> int:
    return sum(meta.numel for meta in tensors_in(signature.outputs))


def _inputs(signature: Signature) -> int:
    return signature.tensor("self").numel


@dataclass(frozen=True, slots=True)
class Exempt:
    """Operators with outputs that are not computed, and how many elements of theirs are."""

    operators: str
    reason: str
    computed: Callable[[Signature], int]


def _of_values(signature: Signature) -> int:
    """Outputs but for the indices, which are chosen along with a value."""
    return signature.out.numel


def _folded(signature: Signature) -> int:
    """Results of more than one value; with uneven windows up to the number of values to fold in."""
    return min(signature.out.numel, max(_inputs(signature) - signature.out.numel, 0))


def _joined(signature: Signature) -> int:
    """As `_folded` for truth values; every number is compared with 0."""
    return _folded(signature) if signature.tensor("self").dtype == "bool" else signature.out.numel


def _scanned(signature: Signature) -> int:
    """All but the first of each row."""
    length = signature.out.shape[signature.integers("dim")[0]] if signature.out.shape else 1
    return signature.out.numel - signature.out.numel // length


def _written(*sources: str) -> Callable[[Signature], int]:
    """As many elements as there are values to write, at most all."""

    def computed(signature: Signature) -> int:
        source = next(signature.tensor(name) for name in sources if signature.arguments.get(name) is not None)
        return min(_outputs(signature), source.numel)

    return computed


def _nothing(_: Signature) -> int:
    return 0


def _unless_empty(signature: Signature) -> int:
    """Nothing if some tensor that goes in is empty."""
    taken = tensors_in(tuple(signature.arguments.values()))
    return 0 if any(meta.numel == 0 for meta in taken) else _outputs(signature)


def _numbers(signature: Signature) -> int:
    """Outputs that are not integers; nothing if some tensor that goes in is empty."""
    numbers = sum(meta.numel for meta in tensors_in(signature.outputs) if not meta.dtype.startswith("int"))
    return min(numbers, _unless_empty(signature))


def _numbers_of_a_matrix(signature: Signature) -> int:
    matrix = next(signature.tensor(name) for name in ("A", "self") if name in signature.arguments)
    return 0 if matrix.shape[-2:] == (1, 1) else _numbers(signature)


def _matrix(signature: Signature) -> int:
    return signature.tensor("A").numel


_SINGLE = "a result of one value is that value"
EXCEPTIONS: Final = (
    Exempt("sum amax amin argmax argmin max min", _SINGLE, _folded),
    Exempt("all any", "a result of one truth value is that value", _joined),
    Exempt("aminmax median nanmedian", f"{_SINGLE}; indices go with their values", _folded),
    Exempt("adaptive_max_pool2d adaptive_max_pool3d", f"{_SINGLE}; indices go with their values", _folded),
    Exempt("cumsum cumprod", "the first element of a row is copied", _scanned),
    Exempt("cummax cummin", "the first element is copied; indices go with their values", _scanned),
    Exempt("sort", "a row of one is sorted; indices go with their values", _folded),
    Exempt("_unique _unique2 unique_consecutive", "one value is distinct", _nothing),
    Exempt("nonzero", "where an element lies follows from the shape once it is found", _nothing),
    Exempt("scatter scatter_add put index_fill", "the rest keeps its values", _written("index")),
    Exempt("index_add", "the rest keeps its values", _written("source")),
    Exempt("index_put", "the rest keeps its values", _written("values")),
    Exempt("embedding_dense_backward", "rows that no index names are zeros", _written("indices")),
    Exempt("nll_loss_backward", "all but the targets' gradients are zeros", _written("target")),
    Exempt("histc max_unpool2d max_unpool3d", "all other elements are zeros", _written("self")),
    Exempt(
        "max_pool2d_with_indices_backward max_pool3d_with_indices_backward adaptive_max_pool2d_backward "
        "fractional_max_pool2d_backward fractional_max_pool3d_backward avg_pool3d_backward",
        "elements that no window has chosen or covers are zeros",
        _written("grad_output"),
    ),
    Exempt(
        "upsample_nearest1d_backward _upsample_nearest_exact1d_backward unfold_backward",
        "elements that nothing lands on are zeros, others may be copies",
        _nothing,
    ),
    Exempt(
        "reflection_pad1d_backward replication_pad1d_backward replication_pad2d_backward",
        "an element on which one gradient lands is a copy",
        _nothing,
    ),
    Exempt("upsample_nearest1d _upsample_nearest_exact1d", "elements are copied", _nothing),
    Exempt("conj_physical", "real numbers are copied", _nothing),
    Exempt("mm vdot _trilinear", "a sum of no products is a constant", _unless_empty),
    Exempt(
        "_linalg_det _linalg_slogdet _linalg_solve_ex linalg_inv_ex linalg_cholesky_ex linalg_lu_factor_ex",
        "pivots and error codes say where and whether; what an empty matrix gives is a constant",
        _numbers,
    ),
    Exempt(
        "linalg_qr geqrf linalg_ldl_factor_ex linalg_solve_triangular",
        "a matrix of one element is its own factor",
        _numbers_of_a_matrix,
    ),
    Exempt("linalg_lu", "P is zeros but for one element a row, the triangles of L and U fill A", _matrix),
    Exempt("triangular_solve", "the second output is a copy of the matrix", _of_values),
    Exempt("lu_unpack", "L and U are copies, P is zeros but for one element a row", _nothing),
    Exempt("_pdist_backward", "with p = 0, or of one row, the gradient is zeros", _nothing),
)
OF: Final = {name: one for one in EXCEPTIONS for name in one.operators.split()}


def _base(signature: Signature) -> str:
    return signature.operator.split(".")[1].rstrip("_")


def calls() -> Iterator[tuple[Signature, int]]:
    """Calls that compute, with their prices: what only moves data is not asked."""
    for signature in (
        *(one for met in swept().values() for one in met),
        *(one for one, _ in priced_by_version_1()),
    ):
        price = price_of(signature)
        if price is not None and price_function(signature.operator) not in FREE:
            yield signature, price


FREE: Final = frozenset({present_price("aten.view.default"), present_price("aten.as_strided.default")})
"""The prices of what moves data only (`movement`). No sample has lazy bits, which the second one charges."""


def test_no_price_is_below_the_elements_that_are_computed() -> None:
    below = [
        (signature, price)
        for signature, price in calls()
        if price < (OF[name].computed if (name := _base(signature)) in OF else _outputs)(signature)
    ]
    assert not below


@pytest.mark.parametrize("name", OF)
def test_every_exception_is_one(name: str) -> None:
    """Some call of it costs less than its outputs have elements."""
    assert any(price < _outputs(signature) for signature, price in calls() if _base(signature) == name)
