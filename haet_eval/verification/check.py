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
    """What was looked at, how it came out, and one sentence on it. The sentence may hold untrusted text."""

    subject: str
    result: Result
    detail: str


def holds(subject: str, detail: str) -> Check:
    return Check(subject, Result.HOLDS, detail)


def differs(subject: str, detail: str) -> Check:
    return Check(subject, Result.DIFFERS, detail)


def unchecked(subject: str, detail: str) -> Check:
    return Check(subject, Result.UNCHECKED, detail)


def same(subject: str, stated: object, found: object, detail: str) -> Check:
    """Holds where what the record states is what was found."""
    if stated == found:
        return holds(subject, detail)
    return differs(subject, f"the record says {_shown(stated)}, found is {_shown(found)}")


def believable(checks: Iterable[Check]) -> bool:
    """Whether nothing differs. What could not be checked does not count."""
    return all(check.result is not Result.DIFFERS for check in checks)


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
