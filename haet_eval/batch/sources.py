"""Finds the submissions that the user named: zips, folders, folders of these, and lists in CSV or TOML."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from haet_eval.errors import UsageProblem
from haet_eval.files import MAX_TEXT_BYTES, read_file
from haet_eval.seeds import MAX_SEED
from haet_eval.spelling import suggested_name
from haet_eval.submission.manifest import MANIFEST_NAME
from haet_eval.toml import parse_toml

LIST_SUFFIXES: Final = (".csv", ".toml")
_KEYS: Final = ("path", "competition", "task", "seed", "received")
_TABLE: Final = "submission"
A_MOMENT: Final = "a date and time with a time zone, like 2026-05-01T12:00:00Z or 2026-05-01T14:00:00+02:00"
_FORM: Final = (
    "A list has the columns path, competition, task, seed and received, of which only path is needed."
)


@dataclass(frozen=True, slots=True)
class SubmissionSource:
    """A submission to judge, and when it was received. A field that is None follows the batch's options."""

    path: Path
    competition: str | None = None
    task: str | None = None
    seed: int | None = None
    received: datetime | None = None

    @property
    def label(self) -> str:
        """The name for the user, with the seed of a list: a list may name a submission several times."""
        return str(self.path) if self.seed is None else f"{self.path} (seed {self.seed})"


@dataclass(frozen=True, slots=True)
class FoundSources:
    """The submissions in the order in which the user named them, and the skipped files of their folders."""

    sources: tuple[SubmissionSource, ...]
    passed_over: tuple[Path, ...]


def find_sources(paths: Iterable[Path]) -> FoundSources:
    """All submissions that the paths name. No submission is read.

    Raises:
        UsageProblem: a path does not exist, a list is not well formed, or a folder holds no submission.
    """
    sources: list[SubmissionSource] = []
    passed_over: list[Path] = []
    for path in paths:
        # A submission may hold folders that look like submissions, so a manifest ends the search.
        if path.is_dir() and not (path / MANIFEST_NAME).exists():
            found = _look_into(path)
            sources += found.sources
            passed_over += found.passed_over
        elif path.suffix.lower() in LIST_SUFFIXES and path.is_file():
            sources += _read_list(path)
        # Whatever else exists is taken for a submission. The plan reports what is wrong with it, and the
        # others are judged.
        elif path.exists():
            sources.append(SubmissionSource(path))
        else:
            raise UsageProblem(
                f"there is no {path}",
                "Name zips, submission folders, folders of them, lists.",
                code="path-missing",
            )
    return FoundSources(tuple(sources), tuple(passed_over))


def _look_into(folder: Path) -> FoundSources:
    # In the order of names on every file system, so that two batches have the same list.
    children = sorted(child for child in folder.iterdir() if not child.name.startswith("."))
    submissions = [child for child in children if _is_submission(child)]
    if not submissions:
        raise UsageProblem(
            f"no submission in {folder}: no zip, and no {MANIFEST_NAME} in it or in a folder of it",
            "Name a submission, or the folder right above submissions.",
            code="batch-nothing-found",
        )
    others = tuple(child for child in children if child not in submissions)
    return FoundSources(tuple(map(SubmissionSource, submissions)), others)


def _is_submission(path: Path) -> bool:
    return (path / MANIFEST_NAME).exists() if path.is_dir() else path.suffix.lower() == ".zip"


def _read_list(path: Path) -> Iterator[SubmissionSource]:
    try:
        data = read_file(path, MAX_TEXT_BYTES)
        text = data.decode("utf-8-sig")  # spreadsheets begin a CSV file with a byte order mark
        # All rows are read here, inside the block, because the generators raise while they are read.
        rows = list(_csv_rows(text, path) if path.suffix.lower() == ".csv" else _toml_rows(text, path))
    except UnicodeDecodeError:
        raise UsageProblem(
            f"the list {path} is not UTF-8", "Save it as UTF-8 (in Excel: CSV UTF-8).", code="list-unreadable"
        ) from None
    except (OSError, csv.Error, ValueError, RecursionError) as error:  # of TOML, or of too many digits in it
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageProblem(f"the list {path} cannot be read: {why}", _FORM, code="list-unreadable") from None
    if not rows:
        raise UsageProblem(f"the list {path} names no submission", _FORM, code="list-empty")
    for place, row in rows:
        yield _source(row, path.parent, place)


def csv_cells(text: str) -> Iterator[tuple[int, list[str]]]:
    """The first row of a CSV file, which names the columns, and those with any content; lines count from 1.

    The separator is that of the first row. Spreadsheets write semicolons or tabs in countries that write
    decimal commas, and some a line `sep=;`.

    Raises:
        csv.Error: the text is not CSV.
    """
    lines = text.splitlines()
    skipped = 1 if lines and lines[0].casefold().startswith("sep=") else 0
    # The names of columns hold no separator, so the separator in their line is the most frequent one.
    header = lines[skipped] if lines[skipped:] else ""
    separator = lines[0][4:5] if skipped else max(",;\t", key=header.count)
    reader = csv.reader(lines[skipped:], strict=True, delimiter=separator or ",")
    for number, row in enumerate(reader):
        cells = [cell.strip() for cell in row]
        # Spreadsheets leave empty lines at the end. The first line counts even if it is empty: it names no
        # columns then.
        if number == 0 or any(cells):
            yield skipped + reader.line_num, cells


def _csv_rows(text: str, path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The rows below the first, which names the columns in any case."""
    rows = csv_cells(text)
    line, header = next(rows, (1, []))
    names = [name.casefold() for name in header]
    for key in names:
        _check_column(key, f"{path}, line {line}")
    for line, cells in rows:
        place = f"{path}, line {line}"
        # A path with a comma in it would otherwise lose its second half without a word.
        if any(cells[len(names) :]):
            raise UsageProblem(
                f"{place} has {len(cells)} cells, and the first line names {len(names)} columns",
                _FORM,
                code="list-column",
            )
        yield place, {name: cell for name, cell in zip(names, cells, strict=False) if cell}


def _toml_rows(text: str, path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    tables = parse_toml(text).get(_TABLE, [])
    # A single table `[submission]` is an easy mistake with a clear meaning.
    for number, table in enumerate(tables if isinstance(tables, list) else [tables], start=1):
        yield f"{path}, [[{_TABLE}]] {number}", table if isinstance(table, dict) else {}


def _source(row: Mapping[str, Any], folder: Path, place: str) -> SubmissionSource:
    for key in row:
        _check_column(key, place)
    texts = {key: row[key] for key in ("path", "competition", "task") if key in row}
    wrong = [key for key, value in texts.items() if not isinstance(value, str)]
    if wrong or "path" not in texts:
        raise UsageProblem(
            f"{place}: {wrong[0] if wrong else 'path'} must be a text", _FORM, code="list-value"
        )
    # A list can be moved together with its submissions.
    path = folder / texts["path"]
    if not path.exists():
        raise UsageProblem(
            f"{place}: there is no {path}",
            "Paths in a list are relative to the list's folder.",
            code="list-path",
        )
    return SubmissionSource(
        path,
        _competition(texts.get("competition"), folder),
        texts.get("task"),
        _seed(row, place),
        _received(row, place),
    )


def _check_column(name: str, place: str) -> None:
    if name not in _KEYS:
        raise UsageProblem(
            f"{place}: {name!r} is not a column of a list{suggested_name(name, _KEYS)}",
            _FORM,
            code="list-column",
        )


def _competition(name: str | None, folder: Path) -> str | None:
    """The path of a file next to the list if there is one of that name; otherwise the name as it is."""
    return str(folder / name) if name and (folder / name).is_file() else name


def moment(text: str) -> datetime:
    """A date and time of RFC 3339, with its time zone.

    Raises:
        ValueError: the text is not a date and time, or has no time zone.
    """
    # Ties go by this moment, so its zone must not depend on the machine that judges.
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("it has no time zone")
    return found


def _received(row: Mapping[str, Any], place: str) -> datetime | None:
    value = row.get("received")
    try:
        return None if value is None else moment(str(value))
    except ValueError:
        raise UsageProblem(
            f"{place}: received is {value!r}, and must be {A_MOMENT}", _FORM, code="list-received"
        ) from None


def _seed(row: Mapping[str, Any], place: str) -> int | None:
    value = row.get("seed")
    if value is None:
        return None
    try:
        # `isdecimal` refuses signs, fractions and booleans, which `int` would take.
        found = int(value) if str(value).isdecimal() else -1
        shown = repr(value)
    except ValueError:  # Python turns no text of so many digits into a number, or back
        found, shown = -1, "a number of thousands of digits"
    if 0 <= found <= MAX_SEED:
        return found
    raise UsageProblem(
        f"{place}: seed is {shown}, and must be a number from 0 to {MAX_SEED}", _FORM, code="list-seed"
    )
