"""The submission's own code: put where it can be imported, and named in tracebacks."""

import importlib
import linecache
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_MAX_TEXT = 20_000


def install_source(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files below `folder`, which comes last on the import path: it shadows nothing."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    sys.path.append(str(folder))


def load_function(module: str, function: str) -> Callable[..., Any]:
    """Import the submission's entry point.

    Raises:
        Exception: whatever its code raises on import.
    """
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


def explain(error: BaseException, folder: Path) -> tuple[str, str]:
    """Reason and traceback of an error of the submission: its own frames, with paths as in its archive."""
    linecache.checkcache()
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(folder)]
    lines = ["Traceback of the submission (most recent call last):\n"] if own else []
    for frame in own:
        place = Path(frame.filename).relative_to(folder)
        lines.append(f'  File "{place}", line {frame.lineno}, in {frame.name}\n')
        if frame.line:
            lines.append(f"    {frame.line}\n")
    last = "".join(traceback.format_exception_only(error))
    where = f" ({Path(own[-1].filename).relative_to(folder)}, line {own[-1].lineno})" if own else ""
    reason = f"{type(error).__name__}: {error}"[: _MAX_TEXT // 2] + where
    return reason, ("".join(lines) + last)[-_MAX_TEXT:]
