"""load_records: records as a list, as rows and, with pandas, as a frame."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pandas
import pytest

import haet_eval
from haet_eval.errors import UsageProblem
from haet_eval.evaluation.reported import Reported
from haet_eval.progress import ReportValue
from haet_eval.record import Content, seal
from haet_eval.store import Store
from haet_eval.tables import COLUMNS, Records
from tests.fixtures.records import make_record, make_training


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store = Store(tmp_path)
    for day, operations in enumerate((2 * 10**15, 10**25), 1):
        created_at = datetime(2026, 5, day, 12, tzinfo=UTC)
        training = make_training(operations=operations)
        store.add(make_record(name=f"entry {day}", training=training, created_at=created_at))
    return tmp_path


def test_folder_gives_its_records_in_the_order_of_time(folder: Path) -> None:
    records = haet_eval.load_records(folder)
    assert [record.submission.name for record in records] == ["entry 1", "entry 2"]
    assert records.problems == ()


def test_file_gives_its_one_record(folder: Path) -> None:
    file = max(folder.glob("*.json"))
    (record,) = haet_eval.load_records(str(file))
    assert record.submission.name == "entry 2"


def test_counts_are_exact_integers_that_sort_by_size(folder: Path) -> None:
    rows = haet_eval.load_records(folder).rows()
    assert [row["operations"] for row in rows] == [2 * 10**15, 10**25]
    assert max(rows, key=lambda row: row["complexity"])["name"] == "entry 2"
    assert rows[0]["created_at"] == datetime(2026, 5, 1, 12, tzinfo=UTC)
    assert rows[0]["verdict"] == "qualified"
    assert rows[0].keys() == COLUMNS.keys()


def test_broken_files_are_problems_in_a_folder_and_errors_alone(folder: Path) -> None:
    first = min(folder.glob("*.json"))
    document = json.loads(first.read_text())
    first.write_text(json.dumps(document | {"complexity": "1"}))
    records = haet_eval.load_records(folder)
    assert [problem.path for problem in records.problems] == [first]
    assert len(records) == 1
    with pytest.raises(ValueError, match="complexity"):
        haet_eval.load_records(first)
    with pytest.raises(FileNotFoundError):
        haet_eval.load_records(folder / "nothing.json")


def test_reports_come_one_line_a_value(folder: Path) -> None:
    records = haet_eval.load_records(folder)
    assert records.reports()[:2] == [
        {"record_id": records[0].record_id, "report": 1, "name": "epoch", "value": "1"},
        {"record_id": records[0].record_id, "report": 1, "name": "loss", "value": "0.41"},
    ]


def reported_records(folder: Path, reports: Sequence[Mapping[str, ReportValue]]) -> Records:
    """One record with these reports, and their artefact."""
    store, reported = Store(folder), Reported()
    for values in reports:
        reported.add(values)
    history = reported.put(store)
    parts = {name: getattr(make_record(), name) for name in Content.model_fields}
    store.add(seal(Content(**parts | {"history": history, "reports": reported.shown})))
    return haet_eval.load_records(folder)


def test_all_reports_are_read_from_the_artefact(tmp_path: Path) -> None:
    records = reported_records(tmp_path, [{"epoch": epoch} for epoch in range(250)])
    assert [row["value"] for row in records.reports()] == list(range(250))
    for file in (tmp_path / "artifacts").iterdir():
        file.unlink()
    kept = [(row["report"], row["value"]) for row in haet_eval.load_records(tmp_path).reports()]
    assert kept == [(epoch + 1, epoch) for epoch in (*range(100), *range(150, 250))]


def test_a_history_that_ended_at_its_limit_goes_on_with_the_last_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is lowered: 8 MiB of reports would be slow to write."""
    monkeypatch.setattr("haet_eval.evaluation.reported.HISTORY_BYTES", 120 * len('{"epoch": 0}\n'))
    records = reported_records(tmp_path, [{"epoch": epoch % 10} for epoch in range(300)])
    numbers = [row["report"] for row in records.reports()]
    assert numbers == [*range(1, 121), *range(201, 301)]


def test_without_the_artefact_long_reports_keep_their_numbers(tmp_path: Path) -> None:
    """Fewer than 100 of them fit into the first ones of a record."""
    records = reported_records(tmp_path, [{"epoch": f"{epoch} {'x' * 20_000}"} for epoch in range(200)])
    for file in (tmp_path / "artifacts").iterdir():
        file.unlink()
    found = [(row["report"], int(row["value"].split()[0]) + 1) for row in records.reports()]
    assert 0 < len(found) < 100
    assert found == [(value, value) for _, value in found]


def test_an_artefact_that_was_changed_is_an_error(tmp_path: Path) -> None:
    records = reported_records(tmp_path, [{"epoch": 1}])
    (file,) = (tmp_path / "artifacts").iterdir()
    file.write_text('{"epoch": 2}\n')
    with pytest.raises(UsageProblem, match="digest"):
        records.reports()


def test_frame_sorts_and_has_dates(folder: Path) -> None:
    records = haet_eval.load_records(folder)
    frame = records.frame()
    assert list(frame.columns) == list(COLUMNS)
    assert frame.sort_values("operations")["name"].tolist() == ["entry 1", "entry 2"]
    assert frame["operations"].max() == pytest.approx(1e25)
    assert frame["parameters"].dtype == "Int64"
    assert isinstance(frame["created_at"].dtype, pandas.DatetimeTZDtype)
    assert frame["received_at"].isna().all()
    assert set(records.reports_frame().columns) == {"record_id", "report", "name", "value"}
