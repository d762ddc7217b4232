"""When entries were received, as an organizer's list and the named rules say: `--receipts LIST.csv`."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from haet_eval.cli.boundary import say_line
from haet_eval.competition import Competition
from haet_eval.errors import UsageProblem
from haet_eval.files import MAX_TEXT_BYTES, read_file
from haet_eval.ranking import Entry

_FORM: Final = (
    "It is a CSV file with the columns path (or sha256) and received, as in: "
    "entries/ada.zip,2026-05-01T14:00:00+02:00"
)
_NAMES_SHOWN: Final = 5


def timed(
    entries: Iterable[Entry],
    rules: Competition | None,
    times: Mapping[str, datetime],
    phase: str | None = None,
) -> Iterator[Entry]:
    """The entries with the times of receipt of a list, and the calendar of rules that were named."""
    opens, closes = rules.window(phase) if rules else (None, None)
    for entry in with_receipts(entries, times):
        named = rules is not None and entry.competition == rules.name
        # The calendar of the named file, which an organizer may have extended since the records were written.
        yield replace(entry, opens=opens, closes=closes) if named else entry


def warn_of_strangers(receipts: Path, entries: Sequence[Entry], times: Mapping[str, datetime]) -> None:
    """Names in the list that no record has."""
    names = unmatched(entries, times)
    if names:
        shown = ", ".join(map(repr, names[:_NAMES_SHOWN])) + (" and others" if names[_NAMES_SHOWN:] else "")
        say_line(
            f"{receipts} has {len(names):,} that no record here is of: {shown}. "
            "They have not been evaluated, or their files had other names."
        )


def warn_of_unknown_times(ranked: Iterable[Entry]) -> None:
    """A deadline that nobody can hold an entry to is said, since the entry ranks."""
    unknown = [one for one in ranked if one.received_at is None and (one.opens or one.closes)]
    if unknown:
        say_line(
            f"Ranked without a known time of receipt: {len(unknown):,}; the calendar was not applied there. "
            "--receipts LIST gives the times."
        )


def read_receipts(path: Path) -> dict[str, datetime]:
    """The time of receipt by the name of a file, or by its SHA-256.

    Raises:
        UsageProblem: it cannot be read, lacks a column, has a time without a zone, or two times for one name.
    """
    receipts: dict[str, datetime] = {}
    for place, row in _rows(path):
        # The list names files where the organizer has them, perhaps on Windows. Records know the bare name
        # only.
        key = row.get("sha256", "").casefold() or Path(row.get("path", "").replace("\\", "/")).name
        if not key:
            raise UsageProblem(f"{place} names no file", _FORM, code="receipts-invalid")
        received = _moment(row.get("received", ""), place)
        # The same line twice is harmless. Two times for one name would let the order of lines decide a
        # deadline.
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
        found = next((receipts[key] for key in _keys(entry) if key in receipts), None)
        yield entry if found is None else replace(entry, received_at=found)


def unmatched(entries: Iterable[Entry], receipts: Mapping[str, datetime]) -> list[str]:
    """What a list names and no entry is: a slip in a name would let a late entry rank unnoticed."""
    known = {key for entry in entries for key in _keys(entry)}
    return [key for key in receipts if key not in known]


def _keys(entry: Entry) -> list[str]:
    # Digests come first: two teams may both hand in `submission.zip`.
    keys = (entry.archive_sha256, entry.submission_sha256, entry.archive_name)
    return [key for key in keys if key is not None]


def _rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    from haet_eval.batch.sources import csv_cells

    try:
        # Spreadsheets begin a CSV file in UTF-8 with a byte order mark.
        rows = list(csv_cells(read_file(path, MAX_TEXT_BYTES).decode("utf-8-sig")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else _reason(error)
        raise UsageProblem(f"{path} cannot be read: {why}", _FORM, code="receipts-invalid") from None
    names = [name.casefold() for name in rows[0][1]] if rows else []
    if "received" not in names or not {"path", "sha256"} & set(names):
        raise UsageProblem(
            f"{path} has the columns {', '.join(names) or 'none'}", _FORM, code="receipts-invalid"
        )
    for line, cells in rows[1:]:
        yield f"{path}, line {line}", dict(zip(names, cells, strict=False))


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def _moment(text: str, place: str) -> datetime:
    from haet_eval.batch.sources import moment

    try:
        return moment(text).astimezone(UTC)
    except ValueError:
        raise UsageProblem(
            f"{place}: received is {text!r}, and must be a date and time with a time zone",
            _FORM,
            code="receipts-invalid",
        ) from None
