"""Ticks of a logarithmic axis, labelled as the tables write numbers."""

import math
from typing import Final

_SUPERSCRIPTS: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_MOST: Final = 9


def log_ticks(least: float, greatest: float) -> dict[float, str]:
    """Values with their labels: powers of ten from `least` to `greatest`, with 2× and 5× where few fit.

    Args:
        least: above 0.
        greatest: no less.
    """
    first, last = math.floor(math.log10(least)), math.ceil(math.log10(greatest))
    step = max(1, math.ceil((last - first + 1) / _MOST))
    mantissas = (1, 2, 5) if last - first <= _MOST // 3 else (1,)
    return {
        # From text: `5 * 10.0**-11` is not the float that is next to 5·10⁻¹¹.
        float(f"{mantissa}e{exponent}"): _label(mantissa, exponent)
        for exponent in range(first, last + 1, step)
        for mantissa in mantissas
        if least <= float(f"{mantissa}e{exponent}") <= greatest
    }


def _label(mantissa: int, exponent: int) -> str:
    if 0 <= exponent <= 4:
        return f"{mantissa * 10**exponent:,}"
    power = f"10{str(exponent).translate(_SUPERSCRIPTS)}"
    return power if mantissa == 1 else f"{mantissa}×{power}"
