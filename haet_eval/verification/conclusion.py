"""What all checks of a record come to, in one sentence."""

from collections.abc import Sequence
from typing import Final

from haet_eval.verification.check import Check, Result

_BEYOND_THE_FILES: Final = {"model", "times, machine", "rank", "signature"}
"""What no look at a record's files can tell, so that every record has such lines."""


def conclude(checks: Sequence[Check]) -> str:
    """Whether the record is to be believed, as far as the checks go."""
    wrong = sum(check.result is Result.DIFFERS for check in checks)
    if wrong:
        return f"Not to be believed: {wrong} of these checks {'differs' if wrong == 1 else 'differ'}."
    missing = dict.fromkeys(
        _subject(check)
        for check in checks
        if check.result is Result.UNCHECKED and _subject(check) not in _BEYOND_THE_FILES
    )
    if missing:
        return f"Nothing contradicts it, but not checked: {', '.join(missing)}. The lines say why."
    return "To be believed: all that its files can tell was checked, and holds."


def _subject(check: Check) -> str:
    """Without the run that it is about."""
    return check.subject.rpartition(": ")[2]
