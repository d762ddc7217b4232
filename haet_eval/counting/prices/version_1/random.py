"""Draws whose parameters are tensors, at one operation each."""

from haet_eval.counting.prices.integers import real_scalars
from haet_eval.counting.prices.table import overloads, superseded
from haet_eval.counting.signature import Signature


@superseded(
    1,
    *overloads(
        "normal",
        ".Tensor_Tensor .Tensor_Tensor_out .Tensor_float .Tensor_float_out .float_Tensor .float_Tensor_out",
    ),
    *overloads("_sample_dirichlet", ".default .out"),
    *overloads("bernoulli", ".Tensor .Tensor_out .default .out"),
    "aten.bernoulli_.Tensor",
)
def _draws(s: Signature) -> int:
    """One per number drawn; a complex number is two."""
    return real_scalars(s.out)
