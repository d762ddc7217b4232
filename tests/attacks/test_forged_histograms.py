"""A histogram without a trace may be forged: whatever it holds, it is refused and never a traceback."""

import gzip
import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from haet_eval.counting.bill import price
from haet_eval.counting.histogram import NO_TRAINING, Histogram
from haet_eval.counting.operations import bytes_moved, precision
from haet_eval.errors import Verdict
from haet_eval.record import HistogramArtifact, Status
from haet_eval.store import Store
from haet_eval.verification.check import Result
from haet_eval.verification.count import _check_operations, _check_widths
from haet_eval.verification.evidence import Evidence
from tests.fixtures.records import make_training

CALLS = Path(__file__).parents[1] / "fixtures" / "prices_of_version_1.json.gz"
STRANGE: tuple[Any, ...] = (None, True, 5, -1, 1.5, "x", [], [None], {}, {"float": "nan"}, 10**4000)
"""Each takes the place of every value in turn."""


def real_rows() -> list[dict[str, Any]]:
    """One call of each operator, as torch has made it."""
    rows: dict[str, dict[str, Any]] = {}
    for row in json.loads(gzip.decompress(CALLS.read_bytes())):
        rows.setdefault(row["signature"]["operator"], {**row["signature"], "calls": {"forward": 1}})
    return list(rows.values())


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value in a document."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*path, key))


def mutated(row: dict[str, Any], place: tuple[Any, ...], value: Any) -> bytes:
    changed = deepcopy(row)
    holder: Any = changed
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    return json.dumps({"version": 1, "entries": [changed]}).encode()


def only_declared_errors(data: bytes) -> None:
    try:
        price(data)
    except ValueError:
        return
    # What `verify` computes beside the price, with the errors that it expects.
    try:
        precision(Histogram.from_json(data), None)
        bytes_moved(Histogram.from_json(data))
    except NO_TRAINING:
        return


@pytest.mark.parametrize("shift", range(2))
def test_no_change_of_a_real_histogram_ends_in_an_undeclared_error(shift: int) -> None:
    rows = real_rows()
    assert len(rows) > 100
    number = shift
    for row in rows:
        for place in places(row):
            number += 1
            only_declared_errors(mutated(row, place, STRANGE[number % len(STRANGE)]))


@pytest.mark.parametrize(
    "changes",
    [
        {"calls": {"someday": 1}},
        {"calls": {"forward": -1}},
        {"calls": {"forward": 1.5}},
        {"calls": {"forward": True}},
        {"operator": None},
        {"outputs": "x"},
        {"arguments": {"self": {"shape": [1], "stride": [1], "offset": 0, "dtype": 5}}},
        {"arguments": {"self": {"shape": [-1], "stride": [1], "offset": 0, "dtype": "float32"}}},
        {"arguments": {"self": {"shape": [1.0], "stride": [1], "offset": 0, "dtype": "float32"}}},
        {"arguments": {"alpha": {"float": "1.5"}}},
    ],
    ids=str,
)
def test_what_no_histogram_holds_is_refused(changes: dict[str, Any]) -> None:
    meta = {"shape": [1], "stride": [1], "offset": 0, "dtype": "float32"}
    row = {"operator": "aten.relu.default", "arguments": {"self": meta}, "outputs": [meta]}
    sound = {"version": 1, "entries": [row | {"calls": {"forward": 1}}]}
    assert len(Histogram.from_json(json.dumps(sound).encode())) == 1
    sound["entries"] = [row | {"calls": {"forward": 1}} | changes]
    with pytest.raises(ValueError, match="not a histogram"):
        Histogram.from_json(json.dumps(sound).encode())


def tensor(*shape: int) -> dict[str, Any]:
    return {"shape": list(shape), "stride": [0] * len(shape), "offset": 0, "dtype": "float32"}


@pytest.mark.parametrize(
    "row",
    [
        # A number that Python writes nowhere.
        {"operator": "aten.relu.default", "arguments": {"self": tensor(10**4000, 10**4000)}},
        # An index that is no list.
        {"operator": "aten.index.Tensor", "arguments": {"self": tensor(2), "indices": None}},
        {"operator": "aten.mm.default", "arguments": {"self": 3, "mat2": "x"}},
    ],
    ids=["too large to write", "no indices", "no tensors"],
)
def test_a_forged_histogram_is_a_difference_of_its_record(row: dict[str, Any], tmp_path: Path) -> None:
    whole = row | {"outputs": [tensor(10**4000, 10**4000)], "calls": {"forward": 1}}
    store = Store(tmp_path)
    kept = store.put_artifact(json.dumps({"version": 1, "entries": [whole]}).encode(), "histogram.json")
    path = store.artifact_path(kept)
    assert path is not None
    named = HistogramArtifact(sha256=kept.sha256, bytes=kept.bytes, entries=1)
    training = make_training().model_copy(update={"histogram": named})
    status = Status(verdict=Verdict.QUALIFIED, stage="record", reason="")
    evidence = Evidence(files={"histogram": path})
    operations = _check_operations(status, training.operations, None, evidence)
    assert operations.result is Result.DIFFERS
    assert "is not that of a training" in operations.detail
    widths = list(_check_widths(training, None, evidence))
    assert [one.result for one in widths] == [Result.DIFFERS]
