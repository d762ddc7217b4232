"""Operators that the standard refuses to price, each with the reason and what to write instead."""

import tomllib
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files


def refusal(operator: str) -> str | None:
    """Why the standard refuses an overload, and what to write instead; None if it has no such refusal."""
    return next((reason for pattern, reason in _refused() if fnmatchcase(operator, pattern)), None)


@cache
def _refused() -> tuple[tuple[str, str], ...]:
    """Pattern and reason, in the order of the file."""
    text = files(__package__).joinpath("refused.toml").read_text(encoding="utf-8")
    entries = tomllib.loads(text)["refused"]
    return tuple(
        (pattern, f"{entry['reason']}; {entry['instead']}")
        for entry in entries
        for pattern in entry["operators"]
    )
