"""When entries were received, as an organizer's list says: `haet-eval leaderboard --receipts LIST.csv`."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from haet_eval.errors import UsageProblem
from haet_eval.ranking import Entry

_FORM: Final = (
    "It is a CSV file with the columns path (or sha256) and received, as in: "
    "entries/ada.zip,2026-05-01T14:00:00+02:00"
)
_SEPARATORS: Final = ",;\t"


def read_receipts(path: Path) -> dict[str, datetime]:
    """The time of receipt by the name of a file, or by its SHA-256.

    Raises:
        UsageProblem: it cannot be read, lacks a column, has a time without a zone, or two times for one name.
    """
    receipts: dict[str, datetime] = {}
    for place, row in _rows(path):
        key = row.get("sha256", "").casefold() or Path(row.get("path", "").replace("\\", "/")).name
        if not key:
            raise UsageProblem(f"{place} names no file", _FORM, code="receipts-invalid")
        received = _moment(row.get("received", ""), place)
        if receipts.setdefault(key, received) != received:
            raise UsageProblem(
                f"{place}: {key} was received at two times",
                "Name files of one name by their SHA-256, in a column sha256.",
                code="receipts-invalid",
            )
    return receipts


def with_receipts(entries: Iterable[Entry], receipts: Mapping[str, datetime]) -> Iterator[Entry]:
    """The entries with these times of receipt: by the digest of the file, of the content, or its name."""
    for entry in entries:
        keys = (entry.archive_sha256, entry.submission_sha256, entry.archive_name)
        found = next((receipts[key] for key in keys if key is not None and key in receipts), None)
        yield entry if found is None else replace(entry, received_at=found)


def _rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        lines = path.read_bytes().decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageProblem(f"{path} cannot be read: {why}", _FORM, code="receipts-invalid") from None
    header = lines[0] if lines else ""
    reader = csv.reader(lines, delimiter=max(_SEPARATORS, key=header.count))
    names = [name.strip().casefold() for name in next(reader, [])]
    if "received" not in names or not {"path", "sha256"} & set(names):
        raise UsageProblem(
            f"{path} has the columns {', '.join(names) or 'none'}", _FORM, code="receipts-invalid"
        )
    for row in reader:
        if any(row):
            yield f"{path}, line {reader.line_num}", dict(zip(names, map(str.strip, row), strict=False))


def _moment(text: str, place: str) -> datetime:
    from haet_eval.batch.sources import moment

    try:
        return moment(text)
    except ValueError:
        raise UsageProblem(
            f"{place}: received is {text!r}, and must be a date and time with a time zone",
            _FORM,
            code="receipts-invalid",
        ) from None
