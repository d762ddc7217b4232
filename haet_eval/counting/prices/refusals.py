"""Operators that the standard refuses to price, each with the reason."""

import tomllib
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files


def refusal(operator: str) -> str | None:
    """Why the standard has no price for an overload, in one sentence; None where it does not refuse it."""
    return next((reason for pattern, reason in _refused() if fnmatchcase(operator, pattern)), None)


@cache
def _refused() -> tuple[tuple[str, str], ...]:
    """Pattern and reason, in the order of the file."""
    text = files(__package__).joinpath("refused.toml").read_text(encoding="utf-8")
    entries = tomllib.loads(text)["refused"]
    return tuple((pattern, entry["reason"]) for entry in entries for pattern in entry["operators"])
