"""Evaluations that failed on our side: the facts, for the administrator of the machine."""

import json
import platform
import secrets
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from haet_eval import __version__
from haet_eval.atomic import Draft
from haet_eval.errors import HaetError
from haet_eval.files import MAX_TEXT_BYTES, read_file
from haet_eval.results_folder import INCIDENTS, incident_name


def put_incident(results: Path, error: Exception, facts: Mapping[str, Any]) -> Path | None:
    """Write the known facts about a failure. Returns the file, or None if it cannot be written.

    Args:
        results: the results folder.
        error: the error.
        facts: the submission, the stage, the output and so on, as JSON values.
    """
    document = {
        "incident": 1,
        "created_at": datetime.now(UTC).isoformat(),
        **_what(error),
        **facts,
        "haet_eval": __version__,
        "python": platform.python_version(),
        # From the package's metadata: an import takes seconds and may be what failed.
        "torch": _version_of("torch"),
        "platform": platform.platform(),
        "host": platform.node(),
    }
    return keep_incident(results, json.dumps(document, indent=2).encode())


def keep_incident(results: Path, document: bytes) -> Path | None:
    """Write an incident, also one from another machine. Returns the file, or None if it cannot be written."""
    path = results / INCIDENTS / incident_name(datetime.now(UTC), secrets.token_hex(4))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with Draft(path.parent) as draft:
            draft.write(document)
            # Whole or not at all: an administrator may read it while the evaluation still ends.
            draft.create(path)
    # Reporting a failure must not raise another one, which would hide the first.
    except OSError:
        return None
    return path


def incidents(results: Path) -> list[Path]:
    """The files, the oldest first."""
    return sorted((results / INCIDENTS).glob("*.json"))


def describe(path: Path) -> str:
    """One line on an incident."""
    try:
        document = json.loads(read_file(path, MAX_TEXT_BYTES))
        return f"{document['what']} (stage {document['stage']}, {document['submission']})"
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return f"{path.name} cannot be read"


def _what(error: Exception) -> dict[str, str]:
    if isinstance(error, HaetError):
        # Errors of our own explain themselves. Only unexpected ones need a traceback.
        return {"what": error.message, "hint": error.hint, "code": error.code}
    told = "".join(traceback.format_exception(error))
    return {"what": f"{type(error).__name__}: {error}", "code": "internal", "traceback": told}


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
