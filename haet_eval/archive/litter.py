"""Files that tools or haet-eval itself leave in a folder. They are no part of a submission."""

import re
from typing import Final

_NAMES: Final = frozenset(
    {
        "$recycle.bin",
        "__macosx",
        "__pycache__",
        "desktop.ini",
        "ehthumbs.db",
        "icon\r",  # Finder's, in a folder with an icon of its own
        "icon\uf00d",  # the same, written through SMB
        "system volume information",
        "thumbs.db",
        "venv",
    }
)
_RECORD: Final = re.compile(r"\d{8}T\d{6}Z-(?:[a-z0-9-]+-)?[0-9a-f]{8,16}\.(?:json|dsse\.json)")
_RUN: Final = re.compile(r"\d{8}T\d{6}Z-[a-z0-9-]+-[0-9a-f]{8}")
_ARTIFACT: Final = re.compile(r"[0-9a-f]{64}\.[a-z]+(?:\.[a-z]+)?")


def is_litter(path: str) -> bool:
    """Whether a file or folder, by its relative posix path, does not belong to a submission or to image data.

    These are hidden files and folders (`.git`, `.DS_Store`, `._name`), `__MACOSX`, `__pycache__`, `venv`,
    `Thumbs.db`, `desktop.ini`, Finder's `Icon` with a carriage return, the records, signatures, incidents
    and artefacts of a results folder, and the folders of runs that can go on. A path that could lead
    elsewhere (`..`, an empty part, a backslash) is never litter: it is refused.
    """
    parts = path.removesuffix("/").split("/")
    if "\\" in path or any(part in ("", ".", "..") for part in parts):
        return False
    if any(part.startswith(".") or part.casefold() in _NAMES or _RUN.fullmatch(part) for part in parts):
        return True
    return bool(
        _RECORD.fullmatch(parts[-1]) or (parts[-2:-1] == ["artifacts"] and _ARTIFACT.fullmatch(parts[-1]))
    )
