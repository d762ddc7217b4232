"""What an audit has found, in words."""

from collections.abc import Mapping
from typing import Final

from haet_eval.record import Audit, AuditKind, Gap, Share
from haet_eval.reports.text import readable_accuracy

AUDIT_NAMES: Final[Mapping[AuditKind, str]] = {"resplit": "audit", "disguise": "disguise"}


def audit_lines(audit: Audit) -> list[str]:
    """The flags, then the shares and their difference, or the reason why there are no shares."""
    lines = [f"FLAGGED: {', '.join(audit.flags)}" if audit.flags else "nothing found"]
    found = audit.run.evaluation
    if found is None:
        return [*lines, f"no predictions: {audit.run.status.verdict}. {audit.run.status.reason}".rstrip(". ")]
    if audit.kind == "disguise":
        score = _part(Share(correct=found.correct, total=found.total))
        lines.append(f"in disguise {score} test images are right")
        return lines + _apart(audit.drop, "points lost")
    if audit.former_test is not None and audit.former_train is not None:
        before, train = _part(audit.former_test), _part(audit.former_train)
        lines.append(
            f"on another split {before} former test images are right, {train} former training images"
        )
    return lines + _apart(audit.gap)


def _apart(gap: Gap | None, unit: str = "points") -> list[str]:
    if gap is None:
        return []
    error, p_value = gap.standard_error_points, gap.p_value
    return [f"{gap.points:+.2f} {unit}, standard error {error:.2f}, p = {p_value:.3g}"]


def _part(share: Share) -> str:
    return (
        f"{readable_accuracy(share.correct / share.total)} of {share.total:,}" if share.total else "none of 0"
    )
