"""Special functions: one operation each, as every transcendental function is."""

from haet_eval.counting.prices.table import overloads, price
from haet_eval.counting.signature import Signature

_WITH_SCALARS = ".default .out .n_scalar .n_scalar_out .x_scalar .x_scalar_out"


@price(
    *overloads(
        "special_chebyshev_polynomial_t special_chebyshev_polynomial_u special_chebyshev_polynomial_v "
        "special_chebyshev_polynomial_w special_hermite_polynomial_h special_hermite_polynomial_he "
        "special_laguerre_polynomial_l special_legendre_polynomial_p special_shifted_chebyshev_polynomial_t "
        "special_shifted_chebyshev_polynomial_u special_shifted_chebyshev_polynomial_v "
        "special_shifted_chebyshev_polynomial_w",
        _WITH_SCALARS,
    )
)
def _orthogonal_polynomial(s: Signature) -> int:
    """A function of x and of the degree, which may be data: one per element."""
    return s.out.numel
