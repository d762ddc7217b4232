"""Spelling: what was probably meant by an unknown name, when two names are one, and how percentages look."""

import re
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


def percent(fraction: float, digits: int = 2) -> str:
    """A fraction as `94.12 %`: messages, tables and pages all write it so."""
    return f"{100 * fraction:.{digits}f} %"


def quoted(text: str) -> str:
    """A text of someone else in quotes, on one line: what cannot be printed is escaped, and nothing else."""
    # As `repr` does it, but `repr` would also escape letters and backslashes of ordinary names.
    mark = '"' if "'" in text and '"' not in text else "'"
    letters = (one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
    return f"{mark}{''.join(letters)}{mark}"


def same_name(text: str) -> str:
    """Equal for names that read alike: in composed or decomposed form, in any case, with any white space."""
    # Twice: folding takes some composed letters apart again, such as `ǰ`.
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split())


def meant_name(name: str, known: Iterable[str]) -> str:
    """The known name that is close to this one; "" if none is. Case, `-` and `_` do not count."""
    names = {_letters(one): one for one in known}
    match = get_close_matches(_letters(name), list(names), n=1)
    return names[match[0]] if match else ""


def suggested_name(name: str, known: Iterable[str]) -> str:
    """`; did you mean digits?`, to append to a message; "" if no known name is close."""
    meant = meant_name(name, known)
    return f"; did you mean {meant}?" if meant else ""


def suggested_path(path: Path) -> str:
    """The same for a path that does not exist, or the first part of it that does not."""
    # In `enties/my-try/haet.toml` the first folder is misspelt, so a neighbour of that one is meant.
    while not path.parent.exists():
        path = path.parent
    try:
        # A link to nowhere exists in a listing, and would be proposed in vain.
        names = [neighbour.name for neighbour in path.parent.iterdir() if neighbour.exists()]
    except OSError:
        return ""
    match = get_close_matches(path.name, names, n=1)
    return f"; did you mean {path.parent / match[0]}?" if match else ""


def _letters(name: str) -> str:
    """Letters and digits alone, folded; the name itself if it has none."""
    return re.sub(r"[\W_]+", "", same_name(name)) or name
