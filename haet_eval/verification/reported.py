"""Whether the reports in a record are those of its file."""

import json
from collections.abc import Iterator
from typing import Final

from haet_eval.evaluation.reported import HISTORY_BYTES, Reported, number_of_first
from haet_eval.files import read_file
from haet_eval.progress import ReportValue
from haet_eval.record import Record, ReportHistory
from haet_eval.remote.messages import REPORT_NAME, REPORT_TEXT, REPORT_VALUES
from haet_eval.verification.check import Check, differs, fits
from haet_eval.verification.evidence import Evidence

_SUBJECT: Final = "reports in the record"
# JSON writes a character beyond the basic plane in 12 bytes; 6 more for quotes, colon, comma and spaces.
_LONGEST_BYTES: Final = (REPORT_VALUES + 1) * (12 * (REPORT_NAME + 1 + REPORT_TEXT + 1) + 6) + 3


def check_reports(record: Record, evidence: Evidence) -> Iterator[Check]:
    """Compare the shown reports and their number with the file, if it is here and unchanged."""
    history, path = record.history, evidence.files.get("reports")
    if history is None or path is None:
        return
    try:
        lines = [_values(line) for line in read_file(path, HISTORY_BYTES).splitlines()]
    # RecursionError: a hostile file may nest as deep as it likes.
    except (OSError, ValueError, RecursionError):
        yield differs(_SUBJECT, "the file is no list of reports")
        return
    detail = f"the first and the last of {history.reports:,}, as in the file"
    yield fits(_SUBJECT, _faults(record, history, lines), detail)


def _values(line: bytes) -> dict[str, ReportValue]:
    values = json.loads(line)
    if not isinstance(values, dict):
        raise ValueError("a report is an object")  # noqa: TRY004 the file is wrong, not the program
    return values


def _faults(record: Record, history: ReportHistory, lines: list[dict[str, ReportValue]]) -> Iterator[str]:
    if len(lines) != history.kept:
        yield f"the record says that {history.kept:,} are in the file, which has {len(lines):,}"
    if history.kept > history.reports:
        yield f"{history.kept:,} were kept of {history.reports:,}"
    if history.kept < history.reports and history.bytes + _LONGEST_BYTES <= HISTORY_BYTES:
        yield f"the file has room for more than {history.kept:,} of {history.reports:,}"
    again = Reported()
    for values in lines:
        again.add(values)
    # Reports that did not fit into the file may be the last ones that the record shows.
    whole = history.kept == history.reports
    first = len(record.reports) if whole else number_of_first(record.reports)
    if record.reports[:first] != again.shown[:first] or (whole and len(again.shown) != first):
        yield "the file has other reports"
    if record.not_finite != again.not_finite and (whole or again.not_finite):
        yield "the file has another first value that is not finite"
