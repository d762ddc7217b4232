"""Why an operator has no price, or may not be called, and what to write instead: see refused.toml."""

import tomllib
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files


def unpriced(operator: str) -> str | None:
    """Why the standard refuses an overload, and what to write instead; None if it has no such refusal."""
    return next((reason for pattern, reason in _reasons("refused") if fnmatchcase(operator, pattern)), None)


def refusal(name: str) -> str:
    """One sentence for the contestant: why an operator may not be called, and what to write instead."""
    # The submission chose this name, and it goes to the organizer's terminal.
    shown = name[:80] if name.isprintable() else ascii(name[:80])
    if not name.startswith("aten."):
        return (
            f"The operator {shown} is not allowed: only those of PyTorch's `aten` are; write it with these, "
            "in Python (torch.library.custom_op may wrap it)."
        )
    reason = next((reason for word, reason in _reasons("not_allowed") if word in name), unpriced(name))
    if reason is not None:
        return f"The operator {shown} is not allowed: {reason}."
    return (
        f"The operator {shown} is not on the list of allowed operators; write it with common ones, "
        "such as additions, products, comparisons and indexing."
    )


@cache
def _reasons(table: str) -> tuple[tuple[str, str], ...]:
    """Pattern or word, and reason, in the order of the file."""
    entries = tomllib.loads(files(__package__).joinpath("refused.toml").read_text(encoding="utf-8"))[table]
    return tuple(
        (one, f"{entry['reason']}; {entry['instead']}") for entry in entries for one in entry["operators"]
    )
