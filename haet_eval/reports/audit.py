"""What an audit has found, in words."""

from haet_eval.record import Audit, Share
from haet_eval.reports.text import readable_accuracy


def audit_lines(audit: Audit) -> list[str]:
    """The flags, then the two shares and how far they are apart, or why there are none."""
    lines = [f"FLAGGED: {', '.join(audit.flags)}" if audit.flags else "nothing found"]
    if audit.former_test is None or audit.former_train is None:
        return [*lines, f"no predictions: {audit.run.status.verdict}. {audit.run.status.reason}".rstrip(". ")]
    before, train = _part(audit.former_test), _part(audit.former_train)
    lines.append(f"on another split {before} former test images are right, {train} former training images")
    if audit.gap is not None:
        gap = audit.gap
        error, p_value = gap.standard_error_points, gap.p_value
        lines.append(f"{gap.points:+.2f} points, standard error {error:.2f}, p = {p_value:.3g}")
    return lines


def _part(share: Share) -> str:
    return (
        f"{readable_accuracy(share.correct / share.total)} of {share.total:,}" if share.total else "none of 0"
    )
