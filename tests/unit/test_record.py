import json
from datetime import UTC, datetime, timedelta, timezone
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from haet_eval.errors import Verdict
from haet_eval.record import (
    Content,
    Rank,
    Record,
    UncountedOperator,
    document_digest,
    from_json,
    json_schema,
    seal,
    to_json,
)
from tests.fixtures.records import make_native, make_operations, make_record, make_training


def as_document(record: Record) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(to_json(record))
    return document


def test_a_record_survives_json_unchanged() -> None:
    record = make_record()
    assert from_json(to_json(record)) == record


@given(st.integers(min_value=0, max_value=10**40), st.integers(min_value=100, max_value=10**12))
def test_counts_are_exact_decimal_strings(operations: int, parameters: int) -> None:
    record = make_record(training=make_training(operations, parameters))
    document = as_document(record)
    assert document["training"]["operations"]["total"] == str(operations)
    assert document["training"]["parameters"]["total"] == str(parameters)
    assert document["complexity"] == str(operations + parameters)
    assert from_json(to_json(record)).complexity == operations + parameters


@pytest.mark.parametrize("count", [11_000_000, "-1", "1.0", " 1", "01", "1_0", "1e3", "", None, "9" * 5000])
def test_a_count_in_json_is_nothing_but_a_decimal_string(count: object) -> None:
    document = as_document(make_record())
    document["training"]["parameters"]["total"] = count
    with pytest.raises(ValidationError, match="parameters"):
        Record.model_validate_json(json.dumps(document))


def test_stages_that_were_not_reached_are_null() -> None:
    document = as_document(make_record(verdict=Verdict.INVALID_SUBMISSION, reason="no haet.toml"))
    for stage in ("dataset", "trace", "training", "complexity", "evaluation", "rank", "energy"):
        assert document[stage] is None


def test_fields_of_an_unreadable_manifest_are_null() -> None:
    record = make_record(
        verdict=Verdict.INVALID_SUBMISSION, reason="no haet.toml", competition=None, task=None
    )
    document = as_document(record)
    assert document["competition"] is None
    assert document["submission"]["task"] is None
    with pytest.raises(ValidationError, match="a qualified record has"):
        make_record(competition=None)


def test_an_uncountable_run_has_no_complexity() -> None:
    lstm = UncountedOperator(
        operator="aten.lstm.input", calls=3, shapes=("[8, 4] float32",), hint="unroll it"
    )
    operations = make_operations().model_copy(update={"uncounted": (lstm,)})
    training = make_training().model_copy(update={"operations": operations})
    record = make_record(verdict=Verdict.UNCOUNTABLE, reason="aten.lstm.input", training=training)
    assert record.complexity is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("complexity",), "1"),
        (("training", "operations", "total"), "1"),
        (("training", "parameters", "buffers"), "1"),
        (("evaluation", "accuracy"), 0.99),
        (("evaluation",), None),
        (("surprise",), 1),
        (("schema_version",), 3),
        (("created_at",), "2026-05-01T12:00:00"),
        (("submission", "sha256"), "../../etc/passwd"),
        (("training", "wall_seconds"), -1),
        (("status", "verdict"), "excellent"),
    ],
)
def test_an_inconsistent_record_is_refused(path: tuple[str, ...], value: object) -> None:
    document = as_document(make_record())
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ValidationError):
        from_json(json.dumps(document))


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [("submission", "team", "Babbage"), ("environment", "seed", 2), ("log", "tail", "bye")],
)
def test_any_change_shows_in_the_digest(part: str, field: str, value: object) -> None:
    document = as_document(make_record())
    document[part][field] = value
    with pytest.raises(ValueError, match="does not match its digest"):
        from_json(json.dumps(document))


def test_a_changed_id_shows_too() -> None:
    document = as_document(make_record())
    document["record_id"] = "0" * 16
    with pytest.raises(ValueError, match="does not match its digest"):
        from_json(json.dumps(document))


def test_the_rank_and_the_layout_are_outside_the_digest() -> None:
    record = make_record()
    ranked = record.model_copy(update={"rank": Rank(position=2, of=7, task="cifar10", official=True)})
    document = as_document(ranked)
    assert document_digest(document) == record.integrity.record_sha256
    backwards = json.dumps(dict(reversed(document.items())), ensure_ascii=False)
    assert from_json(backwards) == ranked


def test_times_are_stated_in_utc() -> None:
    noon = datetime(2026, 5, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    document = as_document(make_record(created_at=noon))
    assert document["created_at"] == "2026-05-01T12:00:00Z"
    assert make_record(created_at=noon).created_at.tzinfo is UTC


def test_the_exported_schema_is_current() -> None:
    exported = resources.files("haet_eval").joinpath("resources/record.schema.json").read_text()
    assert json.loads(exported) == json_schema(), "run: python -m scripts.export_schema"


def test_a_record_qualifies_by_a_native_training_alone() -> None:
    content = dict(make_record()) | {"training": None, "complexity": None, "trace": None}
    content = {name: content[name] for name in Content.model_fields}
    with pytest.raises(ValueError, match="complexity or native"):
        Content(**content)
    assert seal(Content(**content | {"native": make_native()})).complexity is None


def test_a_record_from_before_native_trainings_can_be_read() -> None:
    document = as_document(make_record())
    del document["native"]
    for name in ("runner", "host", "cores", "memory_bytes"):
        del document["environment"][name]
    for name in ("ranking", "accuracy_intervals"):
        del document["competition"][name]
    digest = document_digest(document)
    document |= {"record_id": digest[:16], "integrity": {"record_sha256": digest}}
    assert from_json(json.dumps(document)).environment.runner == "counted"
