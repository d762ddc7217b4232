"""A record that is valid and strange, as anybody may forge it, keeps no other record from being shown."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from haet_eval.cli.main import cli
from haet_eval.competition import Ranking, load_competition
from haet_eval.evaluation.repetition import merge
from haet_eval.record import Content, Record, seal
from haet_eval.store import Store
from haet_eval.tables import load_records
from tests.fixtures.records import digest, make_record, make_training
from tests.unit.test_calendar import received

pytestmark = pytest.mark.slow

pytest.importorskip("altair")

RULES = load_competition("haet2021")
STRANGE: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    10**18,
    5e-324,
    1.7e308,
    "",
    "0",
    "9" * 100,
    "f" * 64,
    "\x00\x1b[31m<script>\u202e",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "cuda",
    "interrupted",
    "uncountable",
    [],
    {},
    {"": "1"},
)


def leaves(value: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """The paths of all parts of a document."""
    yield path
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(part, *path, key)


def changed(document: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(document))
    *above, last = path
    part: Any = copy
    for key in above:
        part = part[key]
    part[last] = value
    return copy


def strange_records(record: Record) -> Iterator[Record]:
    """The record with one part changed, wherever that is still a valid record."""
    document = {name: record.model_dump(mode="json")[name] for name in Content.model_fields}
    for path in leaves(document):
        for value in STRANGE if path else ():
            mutant = changed(document, path, value)
            if path != ("submission", "sha256") and isinstance(mutant["submission"], dict):
                # One submission has one place: without this, one of the records alone would be shown.
                mutant["submission"]["sha256"] = digest(f"{path} {value}")
            try:
                yield seal(Content.model_validate_json(json.dumps(mutant)))
            except (ValidationError, ValueError):
                continue


@pytest.mark.parametrize("runs", [1, 2])
@pytest.mark.parametrize("ranking", ["complexity", "accuracy", "modelled_energy"])
def test_no_strange_record_keeps_the_others_from_being_shown(
    tmp_path: Path, ranking: Ranking, runs: int
) -> None:
    training = make_training().model_copy(update={"modelled_joules": 5.0})
    each = [make_record(name="usual", log="epoch 1", seed=seed, training=training) for seed in range(runs)]
    usual = received(merge(each, RULES.runs, 0.9) if runs > 1 else each[0], None, RULES)
    assert usual.competition is not None
    ranked = {"competition": usual.competition.model_copy(update={"ranking": ranking})}
    usual = seal(Content(**{name: getattr(usual, name) for name in Content.model_fields} | ranked))
    store = Store(tmp_path / "results")
    for record in {one.record_id: one for one in (usual, *strange_records(usual))}.values():
        store.add(record)
    shown = len(store.listing().entries)
    assert shown > 200
    forms: tuple[list[str], ...] = (
        [],
        ["--json"],
        ["--csv"],
        ["--markdown"],
        ["--html", str(tmp_path / "page.html")],
    )
    for form in (*forms, ["--site", str(tmp_path / "site")]):
        done = CliRunner().invoke(
            cli, ["leaderboard", str(store.directory), "--all", *form], standalone_mode=False
        )
        assert done.exception is None, form
        assert form[:1] in (["--html"], ["--site"]) or "usual" in done.stdout
    assert "usual" in (tmp_path / "page.html").read_text("utf-8")
    assert len(list((tmp_path / "site" / "entries").iterdir())) == shown
    records = load_records(store.directory)
    assert len(records.rows()) == len(records.frame()) == shown
    assert len(records.reports()) >= shown
