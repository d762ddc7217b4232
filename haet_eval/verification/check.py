"""One line of a verification."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    """The result of a check."""

    HOLDS = "holds"
    DIFFERS = "differs"
    UNCHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Check:
    """The subject of a check, its result, and one sentence on it. The sentence may hold untrusted text.

    `statement` marks a line that nothing can check: a statement of whoever ran the evaluation, as
    docs/verifying.md lists them. Other unchecked lines lack something that could be here.
    """

    subject: str
    result: Result
    detail: str
    statement: bool = False

    @property
    def lacking(self) -> bool:
        """Whether it is unchecked only because something is missing here."""
        return self.result is Result.UNCHECKED and not self.statement


def holds(subject: str, detail: str) -> Check:
    return Check(subject, Result.HOLDS, detail)


def differs(subject: str, detail: str) -> Check:
    return Check(subject, Result.DIFFERS, detail)


def unchecked(subject: str, detail: str) -> Check:
    """The line of a check that lacks something here, or that was not requested."""
    return Check(subject, Result.UNCHECKED, detail)


def stated(subject: str, detail: str) -> Check:
    """The line of a statement: nothing can check it, or the record does not have it."""
    # The result is that of a missing check, but `--strict` accepts it: no file could ever show more.
    return Check(subject, Result.UNCHECKED, detail, statement=True)


def same(subject: str, stated: object, found: object, detail: str) -> Check:
    """Holds if the record's value and the computed one are equal."""
    if stated == found:
        return holds(subject, detail)
    return differs(subject, f"the record says {_shown(stated)}, found is {_shown(found)}")


def fits(subject: str, faults: Iterable[str], detail: str) -> Check:
    """Holds if there are no faults; otherwise the line lists them."""
    found = list(faults)
    return differs(subject, "; ".join(found)) if found else holds(subject, detail)


def believable(checks: Iterable[Check]) -> bool:
    """Whether nothing differs. Unchecked lines do not count."""
    return all(check.result is not Result.DIFFERS for check in checks)


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
