"""What lies in a results directory: a summary of each record, read once and then remembered.

The summaries are remembered in the user's cache directory, keyed by each file's size and times, so the
results directory itself holds records and artefacts only. The cache may be deleted at any time.
"""

import dataclasses
import hashlib
import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from platformdirs import user_cache_path
from pydantic import ValidationError

from haet_eval.atomic import Draft
from haet_eval.errors import Verdict
from haet_eval.files import read_file, real_path
from haet_eval.ranking import Entry, summarize
from haet_eval.record import MAX_RECORD_BYTES, Record, from_json
from haet_eval.results_folder import RECORD_NAME

# To be raised whenever an entry or its meaning changes: an old cache would give old summaries.
_CACHE_VERSION: Final = 9
# The file is the user's own, so this only guards against damage.
_MOST_CACHE_BYTES: Final = 1024**3
_MOMENTS: Final = ("created_at", "received_at", "opens", "closes")
"""The dates of an entry."""
_MOST_LINES_OF_A_RECORD: Final = 2
"""Of the file with the summaries, on average: it is written anew when most of it is out of date."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that should be a record and is not, and why."""

    path: Path
    reason: str


Spread: TypeAlias = tuple[float, float]
"""An interval of accuracies, as fractions."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The records of a directory, each once, by path in the order of names; and what is broken.

    `spreads` has the 95 % interval of the mean accuracy of each record of several runs, by its id.
    """

    records: dict[Path, Entry]
    problems: tuple[Problem, ...]
    spreads: dict[str, Spread]

    @property
    def entries(self) -> list[Entry]:
        return list(self.records.values())


class _RecordSummary(NamedTuple):
    entry: Entry
    spread: Spread | None


_ReadFile: TypeAlias = _RecordSummary | str | None
"""A record's summary, its problem, or None for a file that is not a record."""

_Stamp: TypeAlias = tuple[int, ...]

_Known: TypeAlias = dict[str, tuple[_Stamp, _ReadFile]]


def list_records(directory: Path) -> Listing:
    """Summaries of all records in the directory; other files are passed over, broken ones reported."""
    cache = _cache_file(directory)
    known, lines = _load(cache)
    seen = {name: _look(directory / name, stamp, known.get(name)) for name, stamp in _stamped(directory)}
    # A listing that finds nothing new writes nothing, so that it also works on a full disk and costs little.
    if seen != known:
        _save(cache, known, seen, lines)
    records: dict[str, tuple[Path, _RecordSummary]] = {}
    problems = []
    for name, (_, found) in sorted(seen.items()):
        if isinstance(found, str):
            problems.append(Problem(directory / name, found))
        elif found is not None:
            # Copies of one record in a folder count once: the first by name.
            records.setdefault(found.entry.record_id, (directory / name, found))
    return Listing(
        {path: summary.entry for path, summary in records.values()},
        tuple(problems),
        {name: summary.spread for name, (_, summary) in records.items() if summary.spread is not None},
    )


def record_files(directory: Path) -> Iterator[Path]:
    """The files of all records in the directory, broken ones too, each record once, in the order of names.

    One record is in memory at a time, and nothing is remembered: whoever needs the files alone may have more
    records than there is room for their summaries.
    """
    ids: set[str] = set()
    for name in sorted(_names(directory)):
        _, found = _look(directory / name, (), None)
        if isinstance(found, _RecordSummary):
            if found.entry.record_id in ids:
                continue
            ids.add(found.entry.record_id)
        if found is not None:
            yield directory / name


def _stamped(directory: Path) -> Iterator[tuple[str, _Stamp]]:
    for name in _names(directory):
        yield name, _stamp(directory / name)


def _names(directory: Path) -> Iterator[str]:
    with os.scandir(directory) as files:
        for file in files:
            # Not only our names: a user may rename a record, and it still counts.
            if file.name.endswith(".json") and not file.name.startswith("."):
                yield file.name


def _stamp(path: Path) -> _Stamp:
    """What changes when the file does; nothing of a file that vanished, or of a link round in a loop."""
    try:
        facts = path.stat()
    except OSError:
        return ()
    # A file can be changed with its size and `mtime` kept, as copies do. The system sets `ctime` itself.
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino


def _look(path: Path, stamp: _Stamp, known: tuple[_Stamp, _ReadFile] | None) -> tuple[_Stamp, _ReadFile]:
    """What a file is. It is read again if it could not be read: that changes without the file."""
    if known is not None and known[0] == stamp:
        return known
    try:
        return stamp, _read(path, read_file(path, MAX_RECORD_BYTES))
    except OSError as error:
        # A file that exists has no empty stamp, so the next listing tries again: rights or a mount may change
        # without the file.
        return (), _unreadable(path, error)


def _unreadable(path: Path, error: OSError) -> str | None:
    # A link to nothing is there, and may be a record on a disk that is not mounted.
    if isinstance(error, FileNotFoundError) and not path.is_symlink():
        return None  # it was removed since the directory was listed
    if not _is_ours(path):
        return None
    leads_nowhere = isinstance(error, FileNotFoundError)
    return f"cannot be read: {'it is a link that leads nowhere' if leads_nowhere else error.strerror}"


def _read(path: Path, data: bytes) -> _ReadFile:
    try:
        return _summarize(from_json(data))
    except ValueError as error:
        # Other JSON files may lie in the folder. Only what claims to be a record is reported as broken.
        return explain_fault(error) if _is_ours(path) or claims_to_be_a_record(data) else None


def _is_ours(path: Path) -> bool:
    return RECORD_NAME.fullmatch(path.name) is not None


def _summarize(record: Record) -> _RecordSummary:
    several = record.statistics.accuracy if record.statistics else None
    return _RecordSummary(summarize(record), several.confidence_95 if several else None)


def claims_to_be_a_record(data: bytes) -> bool:
    """Whether a file is meant as a record, whatever its name is and whether or not it is sound."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and {"record_id", "schema_version"} <= document.keys()


def explain_fault(error: ValueError) -> str:
    """One line on why a text is no record."""
    # Pydantic's own text has several lines and an address; a table of problems has one line for each file.
    if not isinstance(error, ValidationError):
        return str(error)
    first, *more = error.errors(include_url=False)
    told = first["msg"].removeprefix("Value error, ")
    place = ".".join(str(part) for part in first["loc"])
    others = f" (and {len(more)} more)" if more else ""
    return f"{place}: {told}{others}" if place else f"{told}{others}"


def _cache_file(directory: Path) -> Path:
    # The real path, so that a folder has one cache whatever link leads to it.
    key = hashlib.sha256(os.fsencode(real_path(directory))).hexdigest()[:16]
    return user_cache_path("haet-eval") / f"records-{key}.json"


def _load(cache: Path) -> tuple[_Known, int]:
    """What is remembered, and the number of lines that it took; nothing of a file that was damaged."""
    try:
        first, *lines = read_file(cache, _MOST_CACHE_BYTES).splitlines()
        if json.loads(first) != {"version": _CACHE_VERSION}:
            return {}, 0
        known: _Known = {}
        # One call for all lines is quicker than a call for each. A later line replaces an earlier one.
        for name, stamp, found in json.loads(b"[" + b",".join(map(_undamaged, lines)) + b"]"):
            if stamp is None:
                known.pop(name, None)
            else:
                known[name] = (tuple(stamp), _unpack(found))
        return known, len(lines)
    # Whatever a damaged cache contains, the records themselves are still there to be read.
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return {}, 0


def _save(cache: Path, known: _Known, seen: _Known, lines: int) -> None:
    """Add what has changed to the end of the file, or write it anew if most of it is out of date.

    A directory gets its records one by one, and adding one must not cost as much as writing them all.
    """
    changed = [_line(name, *one) for name, one in seen.items() if known.get(name) != one]
    gone = [_line(name, None, None) for name in known.keys() - seen.keys()]
    try:
        if lines and lines + len(changed) + len(gone) <= _MOST_LINES_OF_A_RECORD * len(seen):
            # Two processes may mix their lines here. The cache is then damaged, and the next listing writes
            # it anew.
            with cache.open("ab") as file:
                file.write(b"".join([*changed, *gone]))
            return
        cache.parent.mkdir(parents=True, exist_ok=True)
        with Draft(cache.parent) as draft:
            draft.write(json.dumps({"version": _CACHE_VERSION}).encode() + b"\n")
            draft.write(b"".join(_line(name, *one) for name, one in seen.items()))
            draft.replace(cache)
    except OSError:
        return  # without a cache the next listing reads the records again


def _line(name: str, stamp: _Stamp | None, found: _ReadFile) -> bytes:
    content = json.dumps([name, stamp, _pack(found)], separators=(",", ":")).encode()
    # A damaged digit is still JSON, and would rank the record by another complexity.
    return b"%08x %s\n" % (zlib.crc32(content), content)


def _undamaged(line: bytes) -> bytes:
    """What `_line` wrote. Raises ValueError if it was changed since."""
    checksum, _, content = line.partition(b" ")
    if int(checksum, 16) != zlib.crc32(content):
        raise ValueError("the line was damaged")
    return content


def _pack(found: _ReadFile) -> Any:
    if not isinstance(found, _RecordSummary):
        return found
    entry = found.entry
    facts = {field.name: getattr(entry, field.name) for field in dataclasses.fields(entry)}
    moments = {name: facts[name] and facts[name].isoformat() for name in _MOMENTS}
    return [facts | moments, found.spread]


def _unpack(found: Any) -> _ReadFile:
    if found is None or isinstance(found, str):
        return found
    facts, spread = found
    converted = {
        **{name: facts[name] and datetime.fromisoformat(facts[name]) for name in _MOMENTS},
        "verdict": Verdict(facts["verdict"]),
        "accuracy_intervals": tuple(facts["accuracy_intervals"]),
    }
    return _RecordSummary(Entry(**facts | converted), None if spread is None else (spread[0], spread[1]))
