"""The lines of a verification on stdout."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.text import Text

from haet_eval.cli.text import print_row, result_console, safe
from haet_eval.verification.check import Check, Result

_STYLES: Final = {Result.HOLDS: "green", Result.DIFFERS: "bold red", Result.UNCHECKED: "yellow"}


def print_checks(path: Path, checks: Sequence[Check]) -> None:
    """Print each check, then how many came out how."""
    console = result_console()
    console.print(safe(str(path), "bold"), soft_wrap=True)
    width = max(len(check.subject) for check in checks)
    for check in checks:
        # `not checked` is the longest result.
        mark = Text(f"  {check.result:<12}", _STYLES[check.result])
        head = mark + safe(check.subject) + " " * (width - len(check.subject) + 2)
        print_row(console, head, safe(check.detail))
    counts = (
        f"{sum(check.result is result for check in checks)} {words}"
        for result, words in (
            (Result.HOLDS, "hold"),
            (Result.DIFFERS, "differ"),
            (Result.UNCHECKED, "not checked"),
        )
    )
    console.print(f"  {', '.join(counts)}", soft_wrap=True)
