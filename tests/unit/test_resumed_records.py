"""What a record says of a training in parts."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from haet_eval.record import Content, Resumed, Training, TrainingPart, from_json, to_json
from haet_eval.verification.replaying import machine_of
from tests.fixtures.records import make_record, make_training


def part(seconds: float, cpu: str = "EPYC") -> TrainingPart:
    return TrainingPart(
        started_at=datetime(2026, 5, 1, tzinfo=UTC),
        host="node7",
        cpu=cpu,
        accelerator=None,
        wall_seconds=seconds,
        paused_seconds=0.0,
        catch_up_seconds=9.0,
        submission_cpu_seconds=None,
        peak_memory_bytes=None,
    )


def in_parts(*parts: TrainingPart, seconds: float) -> Training:
    facts = dict(make_training()) | {
        "wall_seconds": seconds,
        "resumed": Resumed(parts=parts, restarts=0),
    }
    return Training(**facts)


def test_a_training_in_parts_is_read_as_it_was_written() -> None:
    record = make_record(training=in_parts(part(60.5), part(39.5), seconds=100.0))
    assert from_json(to_json(record)) == record


def test_the_parts_take_the_time_of_the_whole() -> None:
    with pytest.raises(ValidationError, match="wall_seconds of the parts do not add up"):
        in_parts(part(60.5), part(39.5), seconds=101.0)


def test_records_of_version_1_have_no_parts() -> None:
    record = make_record(training=in_parts(part(100.0), seconds=100.0))
    facts = {name: getattr(record, name) for name in Content.model_fields}
    with pytest.raises(ValidationError, match="parts that version 2 has added"):
        Content(**facts | {"schema_version": 1})


def test_parts_on_several_machines_are_another_machine_than_each_of_them() -> None:
    environment = make_record().environment
    alike = Resumed(parts=(part(1, "EPYC"), part(1, "EPYC")), restarts=0)
    mixed = Resumed(parts=(part(1, "EPYC"), part(1, "Xeon")), restarts=0)
    assert machine_of(environment, alike).processor == "EPYC"
    assert machine_of(environment, mixed).processor == "EPYC, then Xeon"
    assert machine_of(environment).processor == environment.cpu
