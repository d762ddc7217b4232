"""Leaderboards of what is not complexity: joules, seconds and accuracies, with units and gaps."""

import csv
import dataclasses
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from haet_eval.cli.leaderboard import leaderboard
from haet_eval.competition import Ranking
from haet_eval.ranking import Entry, summarize
from haet_eval.record import CompetitionInfo, Content, Record, seal
from haet_eval.reports.csv import leaderboard_csv
from haet_eval.reports.markdown import leaderboard_markdown
from haet_eval.reports.rows import leaderboard_rows, make_leaderboard
from haet_eval.store import Store
from tests.fixtures.records import digest, make_native, make_record


def entry(name: str, ranking: Ranking, **facts: object) -> Entry:
    base = dataclasses.replace(
        summarize(make_record(name=name)),
        competition="acml2021",
        ranking=ranking,
        runner="native",
        energy_kind="measured",
        energy_counts=True,
        awards=1,
    )
    return dataclasses.replace(base, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ranking", "key", "figures", "shown"),
    [
        ("training_energy", "energy_joules", (100.0, 150.0), ("Training energy ↓", "100 J", "×1.500")),
        ("inference_energy", "energy_joules", (2000.0, 9000.0), ("Inference energy ↓", "2", "×4.5")),
        ("training_time", "wall_seconds", (60.0, 75.0), ("Training time ↓", "60.0 s", "×1.250")),
        ("accuracy", "accuracy", (0.95, 0.9012), ("Accuracy ↑", "95.00 %", "4.88")),
    ],
)
def test_the_ranked_figure_is_shown_with_its_unit_and_the_gap_to_the_leader(
    ranking: Ranking, key: str, figures: tuple[float, float], shown: tuple[str, ...]
) -> None:
    first, second = (
        entry(name, ranking, **{key: figure})
        for name, figure in zip(("first", "second"), figures, strict=True)
    )
    text = leaderboard_markdown(make_leaderboard([second, first]))
    for words in shown:
        assert words in text
    assert text.index("first") < text.index("second")
    assert f"by {ranking.replace('_', ' ')}" in text


def test_rows_and_csv_have_the_figure_the_interval_and_how_the_energy_was_found() -> None:
    bounds = (0.9, 0.95)
    board = make_leaderboard(
        [
            entry("a", "inference_energy", energy_joules=3.5, accuracy=0.91, accuracy_intervals=bounds),
            entry("b", "inference_energy", energy_joules=9.0, accuracy=0.96, accuracy_intervals=bounds),
        ]
    )
    rows = leaderboard_rows(board)
    assert [(row.name, row.accuracy_interval, row.position, row.awarded) for row in rows] == [
        ("a", "[90 %, 95 %)", 1, True),
        ("b", "[95 %, 100 %]", 1, True),
    ]
    (line, _) = csv.DictReader(io.StringIO(leaderboard_csv(board)))
    assert (line["ranking"], line["energy_joules"], line["energy_kind"]) == (
        "inference_energy",
        "3.5",
        "measured",
    )


def test_what_qualified_without_its_figure_is_shown_without_a_place() -> None:
    none = entry("no meter", "training_energy", energy_joules=None, energy_kind="unavailable")
    text = leaderboard_markdown(make_leaderboard([none], everything=True))
    assert "## Without a place" in text
    assert "no meter" in text


def prize(seconds: float) -> Record:
    record = make_record(name=f"{seconds} seconds")
    rules = CompetitionInfo(
        name="haet2021-cluster",
        digest=digest("rules"),
        ranking="training_time",
        accuracy_intervals=(0.5,),
        awards=1,
    )
    facts = {name: getattr(record, name) for name in Content.model_fields}
    return seal(Content(**facts | {"competition": rules, "native": make_native(seconds, nodes=2)}))


def test_the_command_ranks_prizes_from_files_and_from_its_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = Store(tmp_path / "results")
    store.prepare()
    for seconds in (20.0, 10.0):
        store.add(prize(seconds))
    answers = [CliRunner().invoke(leaderboard, [str(store.directory), "--json"]).stdout for _ in range(2)]
    assert answers[0] == answers[1]
    rows = json.loads(answers[0])["entries"]
    assert [(row["name"], row["wall_seconds"], row["nodes"], row["awarded"]) for row in rows] == [
        ("10.0 seconds", 10.0, 2, True),
        ("20.0 seconds", 20.0, 2, False),
    ]
    assert rows[1]["times_leader"] == 2.0
