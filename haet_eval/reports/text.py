"""Untrusted text and large numbers, made fit for people to read."""

import unicodedata
from typing import Final

NOTHING: Final = "–"

_SHAPING: Final = {"\u200c", "\u200d"}
"""Invisible, harmless, and needed to write Persian and some emoji."""

_SUPERSCRIPTS: Final = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def printable(text: str) -> str:
    """The text on one line, with every control and direction-changing character shown as `�`."""
    return "".join(map(_printable_character, " ".join(text.split())))


def printable_lines(text: str) -> str:
    """The same for text of several lines: line breaks and indentation stay."""
    lines = text.splitlines()
    return "\n".join(" " * (len(line) - len(line.lstrip(" "))) + printable(line) for line in lines)


def _printable_character(character: str) -> str:
    hidden = unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    return "\ufffd" if hidden and character not in _SHAPING else character


def readable_count(count: int | None) -> str:
    """Exact below a hundred million, as in `11,173,962`; four digits above, as in `3.600×10¹⁴`."""
    if count is None:
        return NOTHING
    if count < 100_000_000:
        return f"{count:,}"
    mantissa, exponent = f"{count:.3e}".split("e+")
    return f"{mantissa}×10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def readable_accuracy(accuracy: float | None) -> str:
    """A fraction as `94.12 %`."""
    return NOTHING if accuracy is None else f"{100 * accuracy:.2f} %"


def readable_share(share: float) -> str:
    """A fraction as `12.3 %`."""
    return f"{100 * share:.1f} %"
