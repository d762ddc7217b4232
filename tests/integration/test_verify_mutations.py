"""Every field of real records is changed and the record sealed anew: verify contradicts it, or lists it.

Each field is changed to a similar value that the schema allows, because values that it forbids are found
anyway. The new value is the next number, another word, another digest or null; a null becomes a value.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from haet_eval.dataset import Dataset
from haet_eval.evaluation.audit import Redrawn, draw
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Metering, Request
from haet_eval.operators.standard import current
from haet_eval.record import AuditKind, Record, Run, document_digest, from_json, json_schema
from haet_eval.remote.recount import Recount, recount
from haet_eval.remote.weights import Weight
from haet_eval.store import Store
from haet_eval.verification import audit, count
from haet_eval.verification.evidence import Sources
from haet_eval.verification.statements import STATEMENTS, stated_fields, stated_if_null
from haet_eval.verification.verify import verify
from tests.fixtures.submissions import write_native_competition, write_submission

PAGE = Path(__file__).parents[2] / "docs" / "verifying.md"

TRAIN = """
def train(task):
    model = Linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(2):
        loss = nn.functional.cross_entropy(model(task.images[:100]), task.labels[:100])
        loss.backward()
        optimizer.step()
        task.report(epoch=epoch, loss=loss.item())
    print(loss.item())
    return model
"""
FAILS = """
def train(task):
    torch.rand(3) * 2
    raise ValueError("in the middle")
"""

Place = tuple[str | int, ...]
Document = dict[str, Any]

_COMPETITION = "rules.toml"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("records")


def _evaluated(folder: Path, name: str, code: str, **options: Any) -> Path:
    submission = write_submission(folder / name / "submission", code)
    return evaluate(Request(submission, folder, folder / name / "results", sandbox="process", **options)).path


def _counted(folder: Path) -> Path:
    return _evaluated(folder, "counted", TRAIN)


def _several_runs(folder: Path) -> Path:
    return _evaluated(folder, "several", TRAIN, runs=2)


def _audited(folder: Path) -> Path:
    return _evaluated(folder, "audited", TRAIN, split_seed=3, disguise_seed=4)


def _native(folder: Path) -> Path:
    rules = write_native_competition(folder / _COMPETITION, 'ranking = "training_energy"', threshold=0.05)
    metering = Metering("estimate", cpu_watts=65.0)
    return _evaluated(folder, "native", TRAIN, competition=str(rules), metering=metering)


def _native_and_counted(folder: Path) -> Path:
    rules = write_native_competition(folder / _COMPETITION, 'ranking = "training_energy"', threshold=0.05)
    metering = Metering("none")
    return _evaluated(folder, "both", TRAIN, competition=str(rules), count=True, metering=metering)


def _failed(folder: Path) -> Path:
    return _evaluated(folder, "failed", FAILS)


def _refused(folder: Path) -> Path:
    (folder / "refused").mkdir()
    (folder / "refused" / "broken.zip").write_bytes(b"no zip")
    request = Request(folder / "refused" / "broken.zip", folder, folder / "refused" / "results")
    return evaluate(request).path


KINDS: list[Callable[[Path], Path]] = [
    _counted,
    _several_runs,
    _audited,
    _native,
    _native_and_counted,
    _failed,
    _refused,
]

WORDS = [
    ["qualified", "below_threshold", "failed", "limit:time", "invalid_submission", "uncountable"],
    ["unpack", "train", "predict", "score", "record"],
    ["docker", "process"],
    ["counted", "native"],
    ["cpu", "cuda"],
    ["measured", "estimated", "unavailable"],
    ["train", "predict"],
    ["mean", "every", "one_sided"],
    ["mean", "median"],
    ["first", "last", "best"],
    ["accuracy", "balanced_accuracy"],
    ["complexity", "training_energy", "inference_energy", "training_time", "accuracy"],
    ["digits", "cifar10"],
    ["digits", "haet2021", "haet2022-energy"],
    ["cpu-time", "rapl", "rapl+nvml"],
    ["failed", "gap", "drop", "cost", "operations"],
    ["resplit", "disguise"],
]
"""Fields whose value is one of these get each of the others."""

FILLED: dict[str, Any] = {
    "image_digest": "sha256:" + "0" * 64,
    "oci_runtime": "runc",
    "accelerator": "NVIDIA H100",
    "torch": "2.15.0",
    "threads": 2,
    "peak_memory_bytes": 1024,
    "archive_sha256": "0" * 64,
    "archive_name": "entry.zip",
    "opens": "2026-05-01T12:00:00Z",
    "closes": "2026-05-01T12:00:00Z",
    "received_at": "2026-05-01T12:00:00Z",
    "rerun_of": "0" * 16,
    "entries_per_team": 3,
    "threshold": 0.5,
    "judging_digest": "0" * 64,
    "description": "a text",
    "paper": "https://example.org/paper",
    "name": "a name",
    "team": "a team",
    "host": "a host",
    "operations": "5",
    "complexity": "5",
    "charged_operations": "0",
    "submission_cpu_seconds": 1.5,
    "timed_answers": 5,
    "stalls": 5,
    "constant_selects": 5,
    "readback_bytes": 5,
    "idle_watts": 3.5,
    "other_containers": 1,
    "source_bytes_compressed": 700,
    "p_value": 0.5,
    "model_bytes": 5,
    "other_bytes": 5,
    "parameter_bits": "5",
    "modelled_joules": 3.5,
    "joules": 3.5,
    "resumed": {"parts": [], "restarts": 1},
    "line": "submission.py:1",
    "module": "Net",
    "labels": {"sha256": "0" * 64, "bytes": 10},
    "trace": {"sha256": "0" * 64, "bytes": 10},
    "model": {"sha256": "0" * 64, "bytes": 10},
    "parameters": {"total": "1", "trainable": "1", "frozen": "0", "buffers": "0"},
    "dataset": {"name": "digits", "digest": "0" * 64, "official": True},
    "competition": {"name": "digits", "digest": "0" * 64, "ranking": "complexity", "awards": 3},
}
"""What a field may hold that holds nothing. Larger parts that a record lacks come from no other field."""

FOUND_FILLED = {
    "accuracy",
    "awards",
    "cores",
    "memory_bytes",
    "training",
    "native",
    "evaluation",
    "energy",
    "runs",
    "statistics",
    "audit",
    "second_audit",
    "rank",
    "task",
    "confidence_95",
    "standard_deviation",
    "standard_error_points",
    "idle_joules",
    "history",
    "not_finite",
    "former_test",
    "former_train",
    "gap",
    "drop",
    "memory",
    "call",
    "precision",
    "bytes_moved",
}
"""Fields that some records of these tests must not have: the test removes them, and never invents them."""


def places(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every value in a document, parts and wholes."""
    if place:
        yield place, value
    if isinstance(value, dict):
        for name, one in value.items():
            yield from places(one, (*place, name))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from places(one, (*place, number))


def others(name: str, value: Any) -> Iterator[Any]:
    """What the value may be changed to: nothing, if there was something, and others of its kind."""
    if value is None:
        yield from (FILLED[one] for one in [name] if one in FILLED)
        return
    match value:
        case bool():
            yield not value
        case int():
            yield from {value + 1, max(0, value - 1)} - {value}
        case float():
            yield value * 1.01 + 1e-3
        case str():
            yield from _other_texts(name, value)
        case list() if value:
            yield value[:-1]
            yield value[::-1] if value[::-1] != value else value * 2
        case dict() if value and all(isinstance(one, str) and one.isdigit() for one in value.values()):
            yield _moved(value)
    yield None


def _other_texts(name: str, value: str) -> Iterator[str]:
    if name == "created_at":
        yield "2020-01-01T00:00:00Z"
    elif re.fullmatch(r"[0-9a-f]{64}", value):
        yield ("1" if value[0] == "0" else "0") + value[1:]
    elif re.fullmatch(r"0|[1-9][0-9]*", value):
        yield str(int(value) + 1)
    else:
        yield from (word for words in WORDS if value in words for word in words if word != value)
        yield f"{value}x"


def _moved(amounts: dict[str, str]) -> dict[str, str]:
    """The same sum, with one moved from the largest amount to another."""
    most = max(amounts, key=lambda name: int(amounts[name]))
    least = next((name for name in amounts if name != most), "other")
    return amounts | {
        most: str(int(amounts[most]) - 1),
        least: str(int(amounts.get(least, "0")) + 1),
    }


def changed(document: Document, place: Place, value: Any) -> bytes:
    """The document with that value, sealed anew."""
    other = json.loads(json.dumps(document))
    part = other
    for step in place[:-1]:
        part = part[step]
    part[place[-1]] = value
    digest = document_digest(other)
    other |= {"record_id": digest[:16], "integrity": {"record_sha256": digest}}
    return json.dumps(other).encode()


def field_of(place: Place, record: Record) -> tuple[str, Record | Run]:
    """A place as the list of statements names it, and the record or the run that it is in."""
    names = [step for step in place if isinstance(step, str)]
    match place:
        case ("runs", int(number), *_) if record.runs is not None:
            return ".".join(names[1:]), record.runs[number]
        case ("audit", "run", *_) if record.audit is not None:
            return ".".join(names[2:]), record.audit.run
        case ("second_audit", "run", *_) if record.second_audit is not None:
            return ".".join(names[2:]), record.second_audit.run
    return ".".join(names), record


def is_statement(field: str, stated: set[str]) -> bool:
    return any(field == one or field.startswith(f"{one}.") for one in stated)


SEALS = {("record_id",), ("integrity",), ("integrity", "record_sha256")}
"""What sealing writes: `test_a_changed_file_does_not_hold` changes it."""


def remember_what_no_record_changes(patch: pytest.MonkeyPatch) -> None:
    """From now on each trace is recounted once under a standard, and each draw of an audit is made once.

    Both take most of the time of a verification, and depend on artefacts, data and seeds alone.
    """
    recounts: dict[tuple[Path, int], tuple[Recount, tuple[Weight, ...]]] = {}
    draws: dict[tuple[str, str, str, int], Redrawn] = {}

    def recounted(path: Path, model: count._ReturnedModel) -> Recount:
        key = (path, current())
        if key not in recounts:
            found = recount(path, model)
            recounts[key] = found, model.weights
        found, model.weights = recounts[key]
        return found

    def drawn(kind: AuditKind, data: Dataset, seed: int) -> Redrawn:
        key = (kind, data.name, data.digest, seed)
        if key not in draws:
            draws[key] = draw(kind, data, seed)
        return draws[key]

    patch.setattr(count, "recount", recounted)
    patch.setattr(audit, "draw", drawn)


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__.strip("_"))
def test_each_field_is_checked_or_listed(
    make: Callable[[Path], Path], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(folder)
    document: Document = json.loads(path.read_bytes())
    record = from_json(path.read_bytes())
    rules = str(folder / _COMPETITION) if make in (_native, _native_and_counted) else None
    sources = Sources(Store(path.parent), folder, rules)
    honest, _ = verify(path, sources)
    assert honest.believable, [check for check in honest.checks if check.result == "differs"]
    assert not honest.conclusion.lacking or honest.conclusion.lacking == ("model",)
    remember_what_no_record_changes(monkeypatch)
    for _ in range(2):
        assert verify(path, sources)[0] == honest
    missed, tried = [], 0
    target = path.with_name("changed.json")
    for place, value in places(document):
        if place in SEALS:
            continue
        field, part = field_of(place, record)
        stated = stated_fields(part) | (stated_fields(record) if part is not record else set())
        for other in others(str(place[-1]), value):
            tried += 1
            target.write_bytes(changed(document, place, other))
            found, _ = verify(target, sources)
            listed = is_statement(field, stated) or (other is None and field in stated_if_null())
            if found.believable and not listed:
                missed.append(f"{'.'.join(map(str, place))}: {value!r:.60} -> {other!r:.60}")
    assert tried > len(list(places(document)))
    assert not missed, "\n".join(missed)


def test_what_a_record_may_lack_can_be_filled_in() -> None:
    """A new field that may be null must get a value to be changed to, or be named as a part of its own."""
    schema = json_schema()
    models = [schema, *schema["$defs"].values()]
    nullable = {
        name
        for model in models
        for name, facts in model.get("properties", {}).items()
        if any(one.get("type") == "null" for one in facts.get("anyOf", []))
    }
    assert nullable <= FILLED.keys() | FOUND_FILLED


def test_the_page_lists_the_statements() -> None:
    text = PAGE.read_text("utf-8")
    rows = re.findall(r"^\| `([a-z_.0-9]+)` \| ([^|]+) \|", text, re.MULTILINE)
    listed = {(field, kind.strip()) for field, kind in rows}
    assert listed == {(field, kind) for kind, fields in STATEMENTS.items() for field in fields}
