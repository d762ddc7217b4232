"""One line of a verification."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    """How a check came out."""

    HOLDS = "holds"
    DIFFERS = "differs"
    UNCHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, how it came out, and one sentence on it. The sentence may hold untrusted text.

    `statement` marks a line that is unchecked because nothing can check it: it reports what whoever ran the
    evaluation states, as docs/verifying.md lists. Other unchecked lines lack something that could be here.
    """

    subject: str
    result: Result
    detail: str
    statement: bool = False

    @property
    def lacking(self) -> bool:
        """Whether it could have been checked, with what is missing here."""
        return self.result is Result.UNCHECKED and not self.statement


def holds(subject: str, detail: str) -> Check:
    return Check(subject, Result.HOLDS, detail)


def differs(subject: str, detail: str) -> Check:
    return Check(subject, Result.DIFFERS, detail)


def unchecked(subject: str, detail: str) -> Check:
    """Something that would check it is missing here, or was not asked for."""
    return Check(subject, Result.UNCHECKED, detail)


def stated(subject: str, detail: str) -> Check:
    """Nothing can check it, or the record has none of it."""
    return Check(subject, Result.UNCHECKED, detail, statement=True)


def same(subject: str, stated: object, found: object, detail: str) -> Check:
    """Holds if what the record states is what was found."""
    if stated == found:
        return holds(subject, detail)
    return differs(subject, f"the record says {_shown(stated)}, found is {_shown(found)}")


def fits(subject: str, faults: Iterable[str], detail: str) -> Check:
    """Holds if there are no faults; otherwise the line names them."""
    found = list(faults)
    return differs(subject, "; ".join(found)) if found else holds(subject, detail)


def believable(checks: Iterable[Check]) -> bool:
    """Whether nothing differs. What could not be checked does not count."""
    return all(check.result is not Result.DIFFERS for check in checks)


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
