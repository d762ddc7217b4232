"""The submission's own code: how it is imported, and how tracebacks name it."""

import importlib
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from haet_eval.remote.client.link import Refusal, RemoteError
from haet_eval.remote.messages import Failed, sendable

_MAX_TEXT = 20_000
_THERE_ARE = "next to the submission's own there are torch, torchvision, numpy, PIL and Python's"
_WITHOUT_DATA = "its data is not allocated yet"
"""What PyTorch raises if its own code reaches for the memory of a handle, as torch.FloatTensor does."""
_NO_NETWORK = "the sandbox has no network: everything must be in the submission"
_OF_HANDLES = {
    "pic should be": "images are tensors already: leave out ToTensor() and PILToTensor(), divide by 255, and"
    " augment with torchvision.transforms.v2",
    "Concatenation operation is not implemented": "make the array a tensor first: torch.as_tensor(array)",
    "JSON serializable": "read a value with .item() or .tolist(), or show it with task.report()",
    "RemoteTensor": "a RemoteTensor is a tensor of the task: its data is in the executor, so work on it with"
    " torch's operators, and read single values with .item()",
}
"""What to write instead if code of another library has met a tensor of the task, by words of its error."""
_ADVICE = {
    "EOFError": "nobody is there to answer",
    "ModuleNotFoundError": _THERE_ARE,
    "SystemExit": "end the training with `return model` and not with exit()",
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
        # Then the call itself shows whether it takes the task.
        return  # some callables do not tell
    try:
        signature.bind(None)
    except TypeError as error:
        raise TypeError(
            f"{name}{signature} cannot be called with the task alone ({error}): write `def {name}(task):`"
        ) from None


def explain(error: BaseException, folder: Path) -> Failed:
    """An error of the submission, with the frames of its own code and with paths as in its archive.

    Without frames of its own the traceback is empty, as it would only repeat the reason. The error's class
    is the submission's, and may fail when it is asked for its text: type and line are still shown.
    """
    frames = traceback.extract_tb(error.__traceback__)
    # The others are those of haet-eval and PyTorch: their paths are of the container, and nobody can act on
    # them.
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(folder)]
    lines = ["Traceback of the submission (most recent call last):\n"]
    for frame in own:
        place = Path(frame.filename).relative_to(folder)
        lines.append(f'  File "{place}", line {frame.lineno}, in {frame.name}\n')
        if frame.line:
            lines.append(f"    {frame.line}\n")
    said, code = _without_code(error, _said(error))
    where = f"{Path(own[-1].filename).relative_to(folder)}, line {own[-1].lineno}" if own else ""
    # Not followed by a digit: "line 1" is not said by "line 12".
    if re.search(re.escape(where) + r"(?!\d)", said):
        where = ""  # said already
    text = sendable("".join(lines) + _last_lines(error, said))
    reason = sendable(said)[: _MAX_TEXT // 2] + (f" ({where})" if where else "")
    return Failed(reason=reason, traceback=text[-_MAX_TEXT:] if own else "", code=code)


def _without_code(error: BaseException, said: str) -> tuple[str, str]:
    """A text without the code of the refusal that led to it, and that code: a record shows a code once."""
    cause = _refusal_behind(error)
    shown = f" [{cause.code}]" if cause else ""
    return (said.replace(shown, "", 1), cause.code) if cause and shown in said else (said, "")


def _refusal_behind(error: BaseException) -> Refusal | None:
    """The refusal that a library, or the submission, has raised again as this error."""
    cause: BaseException | None = error
    seen: set[int] = set()
    # After `raise error from error` an error is its own cause, and a submission may close any circle.
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, Refusal):
            return cause
        seen.add(id(cause))
        # Not by its truth, which the submission's class may define.
        cause = cause.__context__ if cause.__cause__ is None else cause.__cause__
    return None


def _last_lines(error: BaseException, said: str) -> str:
    try:
        return "".join(traceback.format_exception_only(error))
    except Exception:  # a property of the error's class
        return f"{said}\n"


def _said(error: BaseException) -> str:
    if isinstance(error, RemoteError):
        return str(error)
    name = type(error).__name__
    try:
        text = str(error)
    except Exception as second:  # its own __str__
        text = f"its text cannot be had: str() of it raised {type(second).__name__}"
    if _WITHOUT_DATA in text:
        text = (
            "a tensor of the task has its data in the executor;"
            " join tensors with torch.stack or torch.cat, and read single values with .item()"
        )
    said = f"{name}: {text}".removesuffix(": ")
    advice = _ADVICE.get(name) or next((found for words, found in _OF_HANDLES.items() if words in text), "")
    return f"{said}; {advice}" if advice else said
