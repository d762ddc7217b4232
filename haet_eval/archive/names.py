"""The allowed names of files in a submission."""

import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final

from haet_eval.archive.limits import ArchiveLimits
from haet_eval.archive.standard_library import STANDARD_LIBRARY
from haet_eval.errors import InvalidSubmission
from haet_eval.spelling import quoted

TEXT_SUFFIXES: Final = frozenset(
    {".bib", ".cfg", ".csv", ".ini", ".json", ".md", ".py", ".rst", ".toml", ".tsv", ".txt", ".yaml", ".yml"}
)
TEXT_NAMES: Final = frozenset({"authors", "citation", "copying", "license", "notice", "readme"})
FORBIDDEN_MODULES: Final = STANDARD_LIBRARY | {"haet_eval", "numpy", "torch", "torchvision"}

_INSTEAD: Final = {
    ".zip": "put the files that are in it beside haet.toml",
    ".ipynb": "put its code into a .py file",
    **dict.fromkeys(
        (".bin", ".ckpt", ".npy", ".npz", ".onnx", ".pickle", ".pkl", ".pt", ".pth", ".safetensors"),
        "remove it; weights and data cannot be brought along",
    ),
}
_STARTUP_MODULES: Final = frozenset({"sitecustomize", "usercustomize"})
_WINDOWS_DEVICES: Final = frozenset(
    {"aux", "con", "nul", "prn", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}
)
_WINDOWS_FORBIDDEN: Final = frozenset('<>:"|?*')
INVISIBLE: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
"""Categories of control characters and others that nobody sees."""
_LONGEST_SHOWN = 80


def shown(name: str | bytes) -> str:
    """An untrusted name, made safe for a message: quoted, escaped, bounded in length."""
    text = name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name
    return quoted(text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…")


def check_path(path: str, limits: ArchiveLimits) -> None:
    """Reject a name that could leave the folder or that some machine cannot store.

    Raises:
        InvalidSubmission: names the entry and what is wrong with it.
    """
    label = shown(path)
    if not path:
        raise InvalidSubmission("An entry of the zip has no name.", code="name-empty")
    # A name that looks like another, or that moves the cursor, would deceive whoever reads a listing.
    if any(unicodedata.category(character) in INVISIBLE for character in path):
        raise InvalidSubmission(
            f"The entry name {label} has an invisible or control character in it.",
            code="name-invisible-character",
        )
    if "\\" in path:
        raise InvalidSubmission(
            f"The entry name {label} has a backslash: the zip was made by an old Windows tool. "
            "Zip it with another one, or with `haet-eval pack`.",
            code="name-backslash",
        )
    if path.startswith("/") or (path[1:2] == ":" and path[0].isascii()):
        raise InvalidSubmission(
            f"The entry name {label} is absolute; names must be relative.", code="name-absolute"
        )
    if len(path) > limits.path_characters:
        raise InvalidSubmission(
            f"The entry name {label} has {len(path)} characters; {limits.path_characters} are allowed.",
            code="name-too-long",
        )
    parts = path.removesuffix("/").split("/")
    if len(parts) > limits.path_depth:
        raise InvalidSubmission(
            f"The entry {label} lies {len(parts)} folders deep; {limits.path_depth} are allowed.",
            code="name-too-deep",
        )
    for part in parts:
        _check_part(part, label)


def _check_part(part: str, label: str) -> None:
    if part == "..":
        raise InvalidSubmission(
            f"The entry name {label} climbs out of the submission with '..'.", code="name-climbs-out"
        )
    if part in ("", "."):
        raise InvalidSubmission(
            f"The entry name {label} has an empty or '.' part. Zip the folder with `haet-eval pack`.",
            code="name-empty-part",
        )
    if part.endswith((" ", ".")) or part.startswith(" "):
        raise InvalidSubmission(
            f"In the entry name {label}, a part begins or ends with a space or a dot.",
            code="name-space-or-dot",
        )
    if _WINDOWS_FORBIDDEN.intersection(part):
        raise InvalidSubmission(
            f'The entry name {label} has one of the characters < > : " | ? * in it.', code="name-character"
        )
    # Windows takes `con.txt` for the device as well.
    if part.split(".")[0].rstrip().casefold() in _WINDOWS_DEVICES:
        raise InvalidSubmission(
            f"The entry name {label} is reserved: it means a device on some machines.", code="name-reserved"
        )


def check_distinct(paths: Iterable[str]) -> None:
    """Reject names that are equal, or equal on some file system, and files that are folders too.

    Raises:
        InvalidSubmission: names the entries that collide.
    """
    files: set[str] = set()
    folders: set[str] = set()
    for path in paths:
        name = path.removesuffix("/")
        kind = folders if path.endswith("/") else files
        # Tools may list a folder twice; a file that occurs twice has two contents.
        if name in kind and kind is files:
            raise InvalidSubmission(f"The name {shown(name)} occurs twice.", code="name-twice")
        kind.add(name)
        folders.update(str(parent) for parent in PurePosixPath(name).parents if parent.name)
    for name in sorted(files & folders):
        raise InvalidSubmission(f"{shown(name)} is both a file and a folder.", code="name-file-and-folder")
    _check_spellings(files | folders)


def _check_spellings(names: Iterable[str]) -> None:
    spellings: dict[str, str] = {}
    for name in sorted(names):
        # Folding case can undo the normal form, so the name is normalized before and after.
        key = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
        other = spellings.setdefault(key, name)
        if other != name:
            raise InvalidSubmission(
                f"{shown(other)} and {shown(name)} differ only in case or in the form of a letter; "
                "many file systems cannot tell them apart.",
                code="name-case",
            )


def check_kind(path: str) -> None:
    """Reject a file whose name is not that of a text, or that Python would run or import by itself.

    Raises:
        InvalidSubmission: names the file and what to do.
    """
    file = PurePosixPath(path)
    stem, suffix = file.stem.casefold(), file.suffix.casefold()
    label = shown(path)
    instead = _INSTEAD.get(suffix, "remove it")
    # The interpreter imports these modules and reads `.pth` files at its start, before any check.
    if stem in _STARTUP_MODULES or suffix == ".pth":
        raise InvalidSubmission(
            f"{label} has a name that Python runs when it starts; {instead}.",
            code="name-startup-module",
        )
    if suffix not in TEXT_SUFFIXES and (suffix or stem.split("-")[0] not in TEXT_NAMES):
        raise InvalidSubmission(
            f"{label} is not of a text type ({', '.join(sorted(TEXT_SUFFIXES))}, README, LICENSE, …); "
            f"only text is accepted: {instead}.",
            code="file-type",
        )
    if suffix == ".py":
        _check_module(file, label)


def _check_module(file: PurePosixPath, label: str) -> None:
    # The first part decides: only the top of the folder is on the import path.
    module = file.parts[0].removesuffix(".py")
    if module in FORBIDDEN_MODULES:
        raise InvalidSubmission(
            f"{label} would take the place of the module {module!r}; rename it.", code="name-shadows-module"
        )
