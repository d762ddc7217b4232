"""Text of strangers, made fit for a terminal."""

import unicodedata

_ESCAPED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def printable(text: str, limit: int | None = None) -> str:
    r"""Show control and formatting characters as escapes (`\x1b`, `\u202e`); cut after `limit` characters.

    A terminal obeys such characters: they move the cursor, recolour, or reverse what was printed before.
    """
    shown = "".join(_escape(character) for character in text[:limit])
    return shown if limit is None or len(text) <= limit else shown + "…"


def printable_lines(text: str) -> str:
    """The same for text of several lines: line breaks stay."""
    return "\n".join(map(printable, text.split("\n")))


def _escape(character: str) -> str:
    if unicodedata.category(character) not in _ESCAPED_CATEGORIES:
        return character
    return character.encode("unicode_escape").decode("ascii")
