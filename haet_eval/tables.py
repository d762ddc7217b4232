"""Records as tables, for those who analyse them: `load_records`."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from haet_eval.evaluation.reported import number_of_first
from haet_eval.files import read_file
from haet_eval.listing import Problem, list_records
from haet_eval.record import MAX_RECORD_BYTES, Record, from_json
from haet_eval.store import Store

if TYPE_CHECKING:
    import pandas

# pandas has no integers beyond this; counts of operations may be larger.
_INT64: Final = 2**63


class Records(list[Record]):
    """Records in the order of their files, which is that of time.

    `rows`, `reports` and the frames have one line for each record, or for each reported value. `problems`
    are files of the folder that should be records and are not sound.
    """

    def __init__(self, records: Iterable[tuple[Record, Path]], problems: Iterable[Problem] = ()) -> None:
        found = list(records)
        super().__init__(record for record, _ in found)
        self.problems = tuple(problems)
        self._stores = [Store(path.parent) for _, path in found]

    def rows(self) -> list[dict[str, Any]]:
        """One flat dictionary for each record, with the columns of `frame`; counts are Python integers."""
        return [{name: value(record) for name, (_, value) in COLUMNS.items()} for record in self]

    def reports(self) -> list[dict[str, Any]]:
        """What was given to `task.report`: one dictionary for each value of each report.

        The keys are `record_id`, `report` (counted from 1), `name` and `value`. The artefact beside a record
        has the first 8 MiB of its reports, which mostly are all. The record itself has the first and the
        last ones, no more than 100 of each.

        Raises:
            UsageProblem: an artefact cannot be read, or was changed.
        """
        return [
            {"record_id": record.record_id, "report": number, "name": name, "value": value}
            for record, store in zip(self, self._stores, strict=True)
            for number, values in _reports(record, store)
            for name, value in values.items()
        ]

    def frame(self) -> "pandas.DataFrame":
        """`rows` as a pandas frame.

        Counts are nullable integers (Int64), or floats in a column that has a number beyond 2⁶³: both sort
        by size. Dates are in UTC. The exact counts of every size are in `rows` and in the records.

        Raises:
            ImportError: pandas is not installed.
        """
        import pandas

        rows = self.rows()
        columns: dict[str, Any] = {}
        for name, (kind, _) in COLUMNS.items():
            values = [row[name] for row in rows]
            if kind == "date":
                columns[name] = pandas.to_datetime(pandas.Series(values, dtype=object), utc=True)
            else:
                columns[name] = pandas.Series(values, dtype=_dtype(kind, values))
        return pandas.DataFrame(columns)

    def reports_frame(self) -> "pandas.DataFrame":
        """`reports` as a pandas frame in long form.

        Raises:
            ImportError: pandas is not installed.
        """
        import pandas

        return pandas.DataFrame.from_records(self.reports(), columns=["record_id", "report", "name", "value"])


def load_records(path: str | os.PathLike[str]) -> Records:
    """The records of a results folder, each once, or the one record of a file.

    Raises:
        FileNotFoundError: there is no such folder or file.
        ValueError: the file is no record, or was changed after it was written. In a folder such files are
            among the `problems`.
    """
    place = Path(path)
    if not place.is_dir():
        # One bad file that was named is an error. In a folder it must not keep the others from being read.
        return Records([(from_json(read_file(place, MAX_RECORD_BYTES)), place)])
    listing = list_records(place)
    # The listing holds summaries only, since most of its users need no whole records.
    found = ((from_json(read_file(file, MAX_RECORD_BYTES)), file) for file in listing.records)
    return Records(found, listing.problems)


def _reports(record: Record, store: Store) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each report that is known, with its number."""
    kept = (store.read_artifact(record.history) if record.history else None) or b""
    lines = kept.splitlines()
    yield from enumerate(map(json.loads, lines), 1)
    # The artefact ends at its limit, and the record goes on with the last reports.
    yield from ((number, values) for number, values in _shown(record) if number > len(lines))


def _shown(record: Record) -> Iterator[tuple[int, dict[str, Any]]]:
    """The reports in the record itself: the first and the last ones, which count what lies between."""
    shown = [dict(values) for values in record.reports]
    missing = (record.history.reports if record.history else len(shown)) - len(shown)
    first = number_of_first(shown)
    for place, values in enumerate(shown, 1):
        yield place + (missing if place > first else 0), values


def _accuracy(record: Record) -> float | None:
    several = record.statistics.accuracy if record.statistics else None
    if several is not None:
        return several.mean
    return record.evaluation.accuracy if record.evaluation else None


def _of(part: str) -> Callable[[Record], Any]:
    """A value by its path in the record; None if a part of the path is missing."""
    names = part.split(".")

    def value(record: Record) -> Any:
        found: Any = record
        for name in names:
            found = None if found is None else getattr(found, name)
        return found

    return value


def _trained(name: str) -> Callable[[Record], Any]:
    """A value of the training, the counted one if there are both."""
    counted, native = _of(f"training.{name}"), _of(f"native.{name}")
    # A native training with --count has both. Its counted parameters are checked, and the others only stated.
    return lambda record: native(record) if record.training is None else counted(record)


COLUMNS: Final[dict[str, tuple[str, Callable[[Record], Any]]]] = {
    "record_id": ("text", _of("record_id")),
    "created_at": ("date", _of("created_at")),
    "received_at": ("date", _of("submission.received_at")),
    "team": ("text", _of("submission.team")),
    "name": ("text", _of("submission.name")),
    "competition": ("text", _of("competition.name")),
    "task": ("text", _of("submission.task")),
    "verdict": ("text", _of("status.verdict.value")),
    "stage": ("text", _of("status.stage")),
    "reason": ("text", _of("status.reason")),
    "official": ("truth", _of("official")),
    "complexity": ("count", _of("complexity")),
    "parameters": ("count", _trained("parameters.total")),
    "operations": ("count", _of("training.operations.total")),
    "charged_operations": ("count", _of("evaluation.charged_operations")),
    "standard": ("count", _of("training.operations.standard")),
    "accuracy": ("number", _accuracy),
    "threshold": ("number", _of("competition.threshold")),
    "correct": ("count", _of("evaluation.correct")),
    "images": ("count", _of("evaluation.total")),
    "runs": ("count", lambda record: len(record.runs or (record,))),
    "energy_joules": ("number", _of("energy.joules")),
    "wall_seconds": ("number", _trained("wall_seconds")),
    "readback_bytes": ("count", _of("training.readback_bytes")),
    "upload_bytes": ("count", _of("training.upload_bytes")),
    "source_bytes": ("count", _of("submission.source_bytes")),
    "seed": ("count", _of("environment.seed")),
    "sandbox": ("text", _of("environment.sandbox")),
    "device": ("text", _of("environment.device")),
    "torch": ("text", _of("environment.torch")),
    "haet_eval": ("text", _of("environment.haet_eval")),
    "submission_sha256": ("text", _of("submission.sha256")),
    "rerun_of": ("text", _of("rerun_of")),
}
"""The columns of `rows` and `frame`: what kind of value each has, and where it is in a record."""


def _dtype(kind: str, values: Iterable[Any]) -> str:
    """The dtype of a column in pandas."""
    if kind == "count":
        # `Int64` with a capital takes missing values, which NumPy's `int64` does not. In float64, counts
        # still sort.
        return "Int64" if all(value is None or value < _INT64 for value in values) else "float64"
    return {"number": "float64", "truth": "bool", "text": "object"}[kind]
