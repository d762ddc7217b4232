"""What was probably meant by a name that is none."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


def suggested_name(name: str, known: Iterable[str]) -> str:
    """`; did you mean digits?`, to append to a message; nothing where no known name is close."""
    match = get_close_matches(name, list(known), n=1)
    return f"; did you mean {match[0]}?" if match else ""


def suggested_path(path: Path) -> str:
    """The same for a path that does not exist, or the first part of it that does not."""
    while not path.parent.exists():
        path = path.parent
    try:
        names = [neighbour.name for neighbour in path.parent.iterdir()]
    except OSError:
        return ""
    match = get_close_matches(path.name, names, n=1)
    return f"; did you mean {path.parent / match[0]}?" if match else ""
