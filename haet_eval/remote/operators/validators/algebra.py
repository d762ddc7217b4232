"""Linear algebra: sums of products, and least squares."""

from haet_eval.remote.operators.call import Call
from haet_eval.remote.operators.validators.shapes import has_shape
from haet_eval.remote.operators.validators.table import validator


@validator("addbmm_")
def takes_sum_of_products(call: Call) -> None:
    """`self` must have the shape of the sum: its kernel would resize it. That of `addmm_` raises."""
    one, two = call.tensor("batch1"), call.tensor("batch2")
    call.require(one.ndim == 3 and two.ndim == 3, "it needs batches of matrices")
    has_shape(call, "self", (one.shape[1], two.shape[2]))


@validator("linalg_lstsq")
def least_squares(call: Call) -> None:
    """Without right-hand sides some of LAPACK's drivers end the process."""
    call.require(call.tensor("self").numel > 0 and call.tensor("b").numel > 0, "self or b is empty")
