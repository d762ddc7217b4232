"""What is wrong with a competition file, in words that name its keys."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from haet_eval.spelling import quoted, suggested_name


def faults(error: ValidationError, known_keys: Collection[str]) -> str:
    """Every fault that validation has found, each led by its TOML key."""
    return "; ".join(_fault(details, known_keys) for details in error.errors())


def unknown_task(name: str, known: Iterable[str], where: str) -> str:
    """The message about a task that the competition does not have."""
    names = list(known)
    meant = suggested_name(name, names)
    known_ones = f"The tasks are {', '.join(names)}" if meant else f"the tasks are {', '.join(names)}"
    return f"{shown(name)} is no task of {where}{meant or ';'} {known_ones}"


def shown(value: Any) -> str:
    """A value as it stood in the file, shortened."""
    plain = quoted(value) if isinstance(value, str) else repr(value)
    text = "a table" if isinstance(value, Mapping) else plain
    return text if len(text) <= 60 else text[:57] + "..."


def _fault(details: ErrorDetails, known_keys: Collection[str]) -> str:
    key = ".".join(str(part) for part in details["loc"])
    match details["type"]:
        case "missing":
            return f"`{key}` is missing"
        case "extra_forbidden":
            return f"`{key}` is no key of a competition{suggested_name(str(details['loc'][-1]), known_keys)}"
        # The file's own rules raise these, in sentences; pydantic adds the words before them.
        case "value_error":
            told = details["msg"].removeprefix("Value error, ")
            return f"in `{key}`, {told}" if key else told
        case _:
            # pydantic's messages begin with a noun that the key in front replaces.
            wanted = details["msg"].removeprefix("Input ").removeprefix("String ")
            return f"`{key}` {wanted}{_note(details)}, and is {shown(details['input'])}"


def _note(details: ErrorDetails) -> str:
    # People write 93 for 93 %, and "less than or equal to 1" does not say what is wrong.
    fractions = {"threshold", "accuracy_intervals"}
    return " (a fraction: 0.93 for 93 %)" if fractions & set(details["loc"]) else ""
