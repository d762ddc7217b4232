"""Untrusted text and large numbers, made fit for people to read."""

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from haet_eval.spelling import percent

NOTHING: Final = "–"

_SHAPING: Final = {"\u200c", "\u200d"}
"""Invisible, harmless, and needed to write Persian and some emoji."""

_EXACT_BELOW: Final = 100_000_000
_COUNTED_TIMES: Final = 1000
# A multiple of 1 + 2⁻⁵² would otherwise be written with sixteen decimals.
_MOST_DECIMALS: Final = 9
_DIGITS: Final = 3
_SUPERSCRIPTS: Final = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def printable(text: str) -> str:
    """The text on one line, with every control and direction-changing character shown as `�`."""
    # Untrusted: a right-to-left override can show a name backwards, and an escape sequence can rewrite a
    # terminal.
    return "".join(map(_printable_character, " ".join(text.split())))


def printable_lines(text: str) -> str:
    """The same for text of several lines: line breaks and indentation stay."""
    lines = text.splitlines()
    return "\n".join(" " * (len(line) - len(line.lstrip(" "))) + printable(line) for line in lines)


def _printable_character(character: str) -> str:
    # Controls, formats, surrogates, private use, and the separators that break a line.
    hidden = unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    return "\ufffd" if hidden and character not in _SHAPING else character


def readable_count(count: int | None) -> str:
    """Exact below a hundred million, as in `11,173,962`; four digits above, as in `3.600×10¹⁴`."""
    if count is None:
        return NOTHING
    if count < _EXACT_BELOW:
        return f"{count:,}"
    return _scientific(count, _DIGITS)


def readable_counts(counts: Sequence[int]) -> list[str]:
    """Each as `readable_count`, with as many more digits as make those next to it differ if they do."""
    return [
        # Neighbours only: in an ordered column these are the closest, and equal counts may look equal.
        _with_digits(count, _digits(count, {*counts[max(0, at - 1) : at + 2]} - {count}))
        for at, count in enumerate(counts)
    ]


def _digits(count: int, others: Iterable[int]) -> int:
    """The least number of decimals that tell a count from the others."""
    digits = _DIGITS
    while any(_with_digits(count, digits) == _with_digits(other, digits) for other in others):
        digits += 1
    return digits


def _with_digits(count: int, digits: int) -> str:
    return f"{count:,}" if count < _EXACT_BELOW else _scientific(count, digits)


def _scientific(count: int, digits: int) -> str:
    """Rounded half to even, exactly: a float would lose the last digits of a large count."""
    mantissa, exponent = f"{Decimal(count):.{digits}e}".split("e+")
    return f"{mantissa}×10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def readable_accuracy(accuracy: float | None) -> str:
    """A fraction as `94.12 %`."""
    return NOTHING if accuracy is None else percent(accuracy)


def readable_spread(interval: tuple[float, float] | None) -> str:
    """Half the width of an interval of accuracies, in percentage points: `± 0.21`; "" for none."""
    return "" if interval is None else f"± {50 * (interval[1] - interval[0]):.2f}"


def readable_share(share: float) -> str:
    """A fraction as `12.3 %`."""
    return percent(share, 1)


def readable_moment(moment: datetime) -> str:
    """A moment in UTC, as `2026-05-01 12:00:00 UTC`."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def readable_seconds(seconds: float | None) -> str:
    """A duration as `61.5 s`, `12 min 5 s` or `3 h 20 min`."""
    if seconds is None:
        return NOTHING
    # Two minutes and two hours: below them the smaller unit alone is still easy to read.
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def readable_duration(seconds: float) -> str:
    """An estimated duration, without digits that nobody can know: `45 s`, `12 min` or `3 h 20 min`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def readable_size(size: int) -> str:
    """A number of bytes as `12.5 GiB`, `64 KiB` or `800 bytes`."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size >= unit:
            return f"{f'{size / unit:,.1f}'.removesuffix('.0')} {name}"
    return f"{size} bytes"


def readable_joules(joules: float | None) -> str:
    """An energy as `812.5 J`, `61.5 kJ` or `3.42 MJ`."""
    if joules is None:
        return NOTHING
    for unit, size in (("MJ", 1e6), ("kJ", 1e3)):
        if joules >= size:
            return f"{joules / size:.4g} {unit}"
    return f"{joules:.4g} J"


def readable_points(difference: float) -> str:
    """A difference of accuracies in percentage points: `−0.21`; "" for none."""
    return readable_signed(100 * difference, 2) if difference else ""


def readable_signed(value: float, decimals: int) -> str:
    """A difference with its sign, `+1.50` or `−0.21`; a value that rounds to zero has no sign."""
    text = f"{value:+.{decimals}f}".replace("-", "−")
    # `−0.00` would claim a direction that the digits do not show.
    return text if text.strip("+−0.") else text[1:]


def readable_times(times: float | None) -> str:
    """A multiple of the leader's figure, `×1.123` or `×27.81`; "" for the leader.

    A multiple next to 1 has as many more decimals as show that it is larger.
    """
    if times is None or times == 1:
        return ""
    if times >= _COUNTED_TIMES:
        return f"×{readable_count(round(times))}"
    # Rounded first: 9.9996 has four digits as `10.00`, not five.
    decimals = 3 if round(times, 3) < 10 else 2 if round(times, 2) < 100 else 1
    while decimals < _MOST_DECIMALS and round(times, decimals) == 1:
        decimals += 1
    return f"×{times:.{decimals}f}"
