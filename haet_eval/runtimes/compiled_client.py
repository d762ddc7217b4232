"""The compiled hit path of the submission's client: compiled once for each PyTorch, and kept in the cache.

It makes a training faster and changes nothing else. If it cannot be compiled, the client does without it.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from filelock import FileLock
from platformdirs import user_cache_path

from haet_eval.errors import EnvironmentProblem, UsageProblem
from haet_eval.remote.client.compiled.build import VARIABLE, NotBuilt, build, fingerprint
from haet_eval.runtimes.interface import Role

_OFF: Final = "0"
_REQUIRED: Final = "1"


def find() -> Path | None:
    """The compiled file, if it is used and there is one."""
    if _setting() == _OFF:
        return None
    try:
        path = _path()
    except (NotBuilt, OSError):
        return None
    # Unlike `Path.is_file`, this also answers for a cache that this user may not look into.
    return path if os.path.isfile(path) else None  # noqa: PTH113


def environment(role: Role) -> dict[str, str]:
    """The variable by which a local worker finds the compiled file."""
    # The executor has no handles, and nodes train on plain tensors.
    path = find() if role is Role.SUBMISSION else None
    return {} if path is None else {VARIABLE: str(path)}


def switched_off(role: Role) -> dict[str, str]:
    """The variable by which a container does not use the file that its image has."""
    return {VARIABLE: _OFF} if role is Role.SUBMISSION and _setting() == _OFF else {}


def prepare(note: Callable[[str], None]) -> None:
    """Compile it if that was not tried yet. One note says so.

    Args:
        note: receives a line about the compilation.

    Raises:
        EnvironmentProblem: it is required, and cannot be compiled.
        UsageProblem: the variable has a value without a meaning.
    """
    setting = _setting()
    if setting == _OFF:
        return
    try:
        path = _path()
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):  # a second process waits for the first, and finds the file
            failed = path.with_suffix(".failed")
            # A compilation takes a minute, so one that failed is not tried again for these sources. Whoever
            # requires the file wants to see the error.
            if path.is_file() or (failed.exists() and setting != _REQUIRED):
                return
            _build(path, failed, note)
    except (NotBuilt, OSError) as error:
        if setting == _REQUIRED:
            raise EnvironmentProblem(
                f"the client's hit path could not be compiled: {error}",
                f"Install g++ and Python's headers, or leave {VARIABLE} out: counts are the same without.",
                code="compiled-client",
            ) from None
        note(f"The client's hit path could not be compiled, and trainings run without it: {error}")


def _build(path: Path, failed: Path, note: Callable[[str], None]) -> None:
    note("Compiling the client's hit path for this PyTorch, once; that takes about a minute.")
    try:
        build(path)
    except NotBuilt as error:
        # The note of the failure only saves time: a cache that cannot be written must not hide the error.
        with suppress(OSError):
            failed.write_text(f"{error}\n", encoding="utf-8")
        raise
    # The mark of an earlier failure: a compiler may have been installed since.
    failed.unlink(missing_ok=True)


def _setting() -> str:
    """The variable's value.

    Raises:
        UsageProblem: it has no meaning.
    """
    value = os.environ.get(VARIABLE, "")
    if value not in ("", _OFF, _REQUIRED):
        raise UsageProblem(
            f"{VARIABLE} is {value!r}",
            "Set it to 0, to do without the compiled client, or to 1, to require it, or leave it out.",
            code="compiled-client-setting",
        )
    return value


def _path() -> Path:
    return user_cache_path("haet-eval") / "compiled-client" / f"{fingerprint()}.so"
