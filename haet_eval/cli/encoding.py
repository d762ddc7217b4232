"""Output where the terminal or the file takes no Unicode: readable, and never an error."""

import codecs
import sys
import unicodedata
from typing import Final, TextIO

_CODEC: Final = "plain_ascii"
_PLAIN: Final = {
    "×": "x",
    "ß": "ss",
    "·": "|",
    "–": "-",
    "−": "-",
    "…": "...",
    "→": "->",
    "↑": "^",
    "↓": "v",
    "✓": "+",
    "“": '"',
    "”": '"',
    "’": "'",
}
_SUPERSCRIPTS: Final = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789", strict=True))
# Block elements, of which bars and sparklines are made.
_BLOCKS: Final = range(0x2580, 0x25A0)


def use_plain_text_where_needed() -> None:
    """Let stdout and stderr write what they cannot encode as ASCII: `10¹⁴` as `10^14`."""
    # Both are known to the whole process from now on, under names that nobody else uses.
    codecs.register(_find_codec)
    codecs.register_error("haet-eval", _replace)
    for stream in (sys.stdout, sys.stderr):
        _use(stream)


def _use(stream: TextIO | None) -> None:
    if stream is None or not hasattr(stream, "reconfigure"):  # pythonw on Windows has none
        return
    if codecs.lookup(stream.encoding).name.startswith("utf"):
        # UTF-8 takes all but lone surrogates, which stand for bytes in file names that are not UTF-8.
        stream.reconfigure(errors="backslashreplace")
    else:  # Latin-1 and its like have some of the superscripts, but not all of a number's
        stream.reconfigure(encoding=_CODEC, errors="haet-eval")


def _find_codec(name: str) -> codecs.CodecInfo | None:
    """ASCII by another name: what is called so click takes for a mistake, and writes UTF-8 instead."""
    if name != _CODEC:
        return None
    ascii_codec = codecs.lookup("ascii")
    return codecs.CodecInfo(
        ascii_codec.encode,
        ascii_codec.decode,
        ascii_codec.streamreader,
        ascii_codec.streamwriter,
        ascii_codec.incrementalencoder,
        ascii_codec.incrementaldecoder,
        name=_CODEC,
    )


def _replace(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    # A `²` that follows another superscript gets no second `^`. At the start the slice is empty.
    before = error.object[error.start - 1 : error.start]
    found = []
    for character in error.object[error.start : error.end]:
        found.append(_plain(character, raised=before in _SUPERSCRIPTS))
        before = character
    return "".join(found), error.end


def _plain(character: str, *, raised: bool) -> str:
    """The character in ASCII; `raised` says that it follows a superscript."""
    if character in _SUPERSCRIPTS:
        return _SUPERSCRIPTS[character] if raised else f"^{_SUPERSCRIPTS[character]}"
    if ord(character) in _BLOCKS:
        return "#"
    decomposed = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return _PLAIN.get(character) or decomposed or "?"
