"""The submission's own code: put where it can be imported, and named in tracebacks."""

import importlib
import inspect
import linecache
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from haet_eval.remote.client.link import RemoteError

_MAX_TEXT = 20_000
_THERE_ARE = "beside the submission's own there are torch, torchvision, numpy, PIL and Python's"
_WITHOUT_DATA = "its data is not allocated yet"
"""What PyTorch raises if its own code reaches for the memory of a handle, as torch.FloatTensor does."""
_NO_NETWORK = "the sandbox has no network, and all that is needed must be in the submission"
_ADVICE = {
    "EOFError": "nobody is there to answer",
    "ModuleNotFoundError": _THERE_ARE,
    "SystemExit": "the code is to return from train(), and not to exit",
    "URLError": _NO_NETWORK,
    "gaierror": _NO_NETWORK,
}


def install_source(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files below `folder`, which comes last on the import path: it shadows nothing.

    The command line of this process is forgotten: to the submission's argument parsers it is empty.
    """
    del sys.argv[1:]
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    sys.path.append(str(folder))


def load_function(module: str, function: str) -> Callable[..., Any]:
    """Import the submission's entry point.

    Raises:
        TypeError: it is no function, or cannot be called with one argument.
        Exception: whatever its code raises on import.
    """
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    if not callable(found):
        raise TypeError(f"{function} of {module} is {type(found).__name__} and no function")
    _check_signature(function, found)
    return found


def _check_signature(name: str, function: Callable[..., Any]) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # some callables do not tell
    try:
        signature.bind(None)
    except TypeError as error:
        raise TypeError(
            f"{name}{signature} cannot be called with the task alone ({error}): write `def {name}(task):`"
        ) from None


def explain(error: BaseException, folder: Path) -> tuple[str, str]:
    """Reason and traceback of an error of the submission: its own frames, with paths as in its archive.

    Without frames of its own the traceback is empty, as it would only repeat the reason.
    """
    linecache.checkcache()
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(folder)]
    lines = ["Traceback of the submission (most recent call last):\n"]
    for frame in own:
        place = Path(frame.filename).relative_to(folder)
        lines.append(f'  File "{place}", line {frame.lineno}, in {frame.name}\n')
        if frame.line:
            lines.append(f"    {frame.line}\n")
    last = "".join(traceback.format_exception_only(error))
    where = f" ({Path(own[-1].filename).relative_to(folder)}, line {own[-1].lineno})" if own else ""
    return _said(error)[: _MAX_TEXT // 2] + where, ("".join(lines) + last)[-_MAX_TEXT:] if own else ""


def _said(error: BaseException) -> str:
    if isinstance(error, RemoteError):
        return str(error)
    if _WITHOUT_DATA in str(error):
        return (
            f"{type(error).__name__}: a tensor of the task has its data in the executor;"
            " join tensors with torch.stack or torch.cat, and read single values with .item()"
        )
    said = f"{type(error).__name__}: {error}".removesuffix(": ")
    advice = _ADVICE.get(type(error).__name__)
    return f"{said}; {advice}" if advice else said
