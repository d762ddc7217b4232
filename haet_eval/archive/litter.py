"""Files that tools or haet-eval itself leave in a folder. They are no part of a submission."""

from typing import Final

from haet_eval.results_folder import (
    ARTIFACT_NAME,
    ARTIFACTS,
    INCIDENT_NAME,
    RECORD_NAME,
    RUN_NAME,
    SIGNATURE_NAME,
)

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
    if any(part.startswith(".") or part.casefold() in _NAMES or RUN_NAME.fullmatch(part) for part in parts):
        return True
    if parts[-2:-1] == [ARTIFACTS] and ARTIFACT_NAME.fullmatch(parts[-1]):
        return True
    return any(name.fullmatch(parts[-1]) for name in (RECORD_NAME, SIGNATURE_NAME, INCIDENT_NAME))
