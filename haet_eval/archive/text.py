"""The allowed content of a file: text that a person and Python read in the same way."""

import codecs
import tokenize

from haet_eval.archive.names import shown
from haet_eval.errors import InvalidSubmission


def check_text(path: str, content: bytes) -> None:
    """Reject a file that is not UTF-8 text, and Python source that declares another encoding.

    Raises:
        InvalidSubmission: names the file and what is wrong in it.
    """
    label = shown(path)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        seen = _seen(content, error.start)
        raise InvalidSubmission(
            f"{label} is not UTF-8 text ({seen}); save it as UTF-8.",
            code="file-not-utf8",
        ) from None
    # Tools that find a NUL take the file for binary and show nothing of it.
    if "\0" in text:
        raise InvalidSubmission(f"{label} has a NUL character in it; only text is accepted.", code="file-nul")
    if path.casefold().endswith(".py"):
        _check_encoding(label, content)


def _seen(content: bytes, position: int) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "it seems to be UTF-16"
    line = content.count(b"\n", 0, position) + 1
    return f"line {line} has the byte 0x{content[position]:02x}"


def _check_encoding(label: str, source: bytes) -> None:
    """A comment like `# coding: utf-7` would make Python read other code than a reviewer sees."""
    lines = iter(source.splitlines(keepends=True)[:2])
    try:
        declared, _ = tokenize.detect_encoding(lambda: next(lines, b""))
    except SyntaxError as error:
        raise InvalidSubmission(
            f"{label} declares an encoding that Python refuses: {error.msg}.", code="file-encoding"
        ) from None
    # Encodings have many names; only the canonical one is compared.
    encoding = codecs.lookup(declared).name
    if encoding not in ("utf-8", "utf-8-sig", "ascii"):
        raise InvalidSubmission(
            f"{label} declares the encoding {encoding}; only UTF-8 is accepted.", code="file-encoding"
        )
