"""Special functions: one operation each, as every transcendental function is."""

from haet_eval.operators.signature import Signature


def orthogonal_polynomial(s: Signature) -> int:
    """A function of x and of the degree, which may be data: one per element."""
    return s.out.numel
