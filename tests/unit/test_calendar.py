"""A competition's calendar: when entries are received, and what becomes of those that come too late."""

import csv
import dataclasses
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from haet_eval.batch.run import BatchSummary
from haet_eval.cli.batch_table import print_outcome
from haet_eval.competition import Competition, load_competition
from haet_eval.errors import UsageProblem
from haet_eval.evaluation.request import WrittenRecord
from haet_eval.ranking import rank, summarize, unranked
from haet_eval.record import CompetitionInfo, Content, Record, seal
from haet_eval.store import Store
from tests.fixtures.records import make_record, make_training
from tests.unit.test_cli_main import run

CLOSES = datetime(2026, 5, 1, 12, tzinfo=UTC)
RULES = """
name = "spring"
title = "Spring"
description = "A competition with a calendar."
organizer = "The Analytical Society"
ranking = "complexity"
awards = 1
{calendar}

[tasks.cifar10]
dataset = "cifar10"
threshold = 0.5
"""
CALENDAR = """
opens = 2026-04-01T00:00:00Z
closes = "2026-05-01T14:00:00+02:00"
phases = [
    {name = "public", closes = 2026-04-15T00:00:00Z},
    {name = "final", closes = 2026-05-01T12:00:00Z},
]
"""


def write_rules(folder: Path, calendar: str = CALENDAR) -> Path:
    path = folder / "spring.toml"
    path.write_text(RULES.format(calendar=calendar))
    return path


@pytest.fixture
def rules(tmp_path: Path) -> Competition:
    return load_competition(str(write_rules(tmp_path)))


def received(record: Record, moment: datetime | None, rules: Competition, **changes: object) -> Record:
    """The record, judged by these rules, of an entry that was received then."""
    competition = CompetitionInfo(
        name=rules.name,
        digest=rules.digest,
        judging_digest=rules.judging_digest(record.submission.task or ""),
        opens=rules.opens,
        closes=rules.closes,
    )
    submission = record.submission.model_copy(update={"received_at": moment, **changes})
    parts = {name: getattr(record, name) for name in Content.model_fields}
    return seal(Content(**parts | {"competition": competition, "submission": submission}))


def entries_at(rules: Competition, *moments: datetime | None) -> list[Record]:
    return [
        received(make_record(name=f"entry {place}", training=make_training(10**15 + place)), moment, rules)
        for place, moment in enumerate(moments)
    ]


def test_moments_have_a_time_zone_and_mean_the_same_in_every_zone(rules: Competition, tmp_path: Path) -> None:
    assert rules.window() == (datetime(2026, 4, 1, tzinfo=UTC), CLOSES)
    in_utc = load_competition(
        str(write_rules(tmp_path, CALENDAR.replace('"2026-05-01T14:00:00+02:00"', "2026-05-01T12:00:00Z")))
    )
    assert in_utc.digest == rules.digest


@pytest.mark.parametrize(
    ("calendar", "said"),
    [
        ("closes = 2026-05-01T12:00:00", "a time zone is missing"),
        ('closes = "2026-05-01"', "a time zone is missing"),
        ('closes = "tomorrow"', "closes"),
        ("opens = 2026-05-02T00:00:00Z\ncloses = 2026-05-01T00:00:00Z", "must ascend"),
        ('closes = 2026-05-01T00:00:00Z\nphases = [{name = "a", closes = 2026-06-01T00:00:00Z}]', "ascend"),
        ("opens = 2026-05-01T00:00:00Z\ncloses = 2026-05-01T00:00:00Z", "must ascend"),
        ('opens = 2026-05-01T00:00:00Z\nphases = [{name = "a", closes = 2026-05-01T00:00:00Z}]', "ascend"),
    ],
)
def test_calendar_that_makes_no_sense_is_refused(tmp_path: Path, calendar: str, said: str) -> None:
    with pytest.raises(UsageProblem, match=said):
        load_competition(str(write_rules(tmp_path, calendar)))


def test_calendar_does_not_change_what_entries_are_judged_by(rules: Competition, tmp_path: Path) -> None:
    without = load_competition(str(write_rules(tmp_path, "")))
    assert without.judging_digest("cifar10") == rules.judging_digest("cifar10")
    assert without.digest != rules.digest


def test_phases_follow_each_other(rules: Competition) -> None:
    middle = datetime(2026, 4, 15, tzinfo=UTC)
    assert rules.window("public") == (rules.opens, middle)
    assert rules.window("final") == (middle, CLOSES)
    with pytest.raises(UsageProblem, match="no phase 'secret'"):
        rules.window("secret")


def test_entries_out_of_time_are_shown_and_do_not_rank(rules: Competition) -> None:
    records = entries_at(
        rules,
        CLOSES + timedelta(seconds=1),
        CLOSES,
        datetime(2026, 3, 1, tzinfo=UTC),
        None,
    )
    entries = [summarize(record) for record in records]
    assert [place.entry.name for place in rank(entries)] == ["entry 1", "entry 3"]
    assert {entry.name: why for entry, why in unranked(entries).items()} == {
        "entry 0": "received late",
        "entry 2": "received early",
    }


def test_another_evaluation_of_an_untimely_entry_is_untimely(rules: Competition) -> None:
    (late,) = (summarize(record) for record in entries_at(rules, CLOSES + timedelta(seconds=1)))
    again = dataclasses.replace(late, record_id="again", received_at=None)
    assert unranked([late, again]) == {late: "received late", again: "received late"}


def test_a_batch_marks_what_it_judged_out_of_time(
    rules: Competition, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = entries_at(rules, CLOSES + timedelta(seconds=1), CLOSES)
    outcomes = [(record.submission.name or "", WrittenRecord(record, tmp_path)) for record in records]
    print_outcome(BatchSummary(outcomes=outcomes))
    late, in_time = capsys.readouterr().out.splitlines()[2:4]
    assert "qualified, received late" in late
    assert "received" not in in_time


def test_evaluating_a_late_entry_again_does_not_make_it_early_or_late(rules: Competition) -> None:
    (first,) = entries_at(rules, CLOSES)
    again = received(first, CLOSES + timedelta(days=3), rules)
    assert len(rank([summarize(first), summarize(again)])) == 1


@pytest.fixture
def results(rules: Competition, tmp_path: Path) -> Path:
    """Three entries, received on 10 April, on 20 April and never; their files are ada.zip and so on."""
    store = Store(tmp_path / "results")
    moments = (datetime(2026, 4, 10, tzinfo=UTC), datetime(2026, 4, 20, tzinfo=UTC), None)
    for record, name in zip(entries_at(rules, *moments), ("ada", "charles", "mary"), strict=True):
        store.add(received(record, record.submission.received_at, rules, archive_name=f"{name}.zip"))
    return tmp_path / "results"


def places(folder: Path, *options: str) -> dict[str, str]:
    """Names of entries with their place, or why they have none."""
    done = run("leaderboard", str(folder), "--json", *options)
    assert done.returncode == 0, done.stderr
    return {
        row["name"]: str(row["position"] or row["unranked"]) for row in json.loads(done.stdout)["entries"]
    }


def test_each_phase_has_its_board(results: Path, tmp_path: Path) -> None:
    named = ("--competition", str(tmp_path / "spring.toml"))
    assert places(results) == {"entry 0": "1", "entry 1": "2", "entry 2": "3"}
    public = places(results, *named, "--phase", "public")
    assert public == {"entry 0": "1", "entry 2": "2", "entry 1": "received late"}
    assert places(results, *named, "--phase", "final")["entry 0"] == "received early"
    assert "--phase needs --competition" in run("leaderboard", str(results), "--phase", "public").stderr


def test_list_of_receipts_decides_over_the_records(results: Path, tmp_path: Path) -> None:
    table = tmp_path / "received.csv"
    table.write_text(
        "path;received\nentries/mary.zip;2026-05-01T14:00:01+02:00\nc:\\in\\ada.zip;2026-04-30T12:00:00Z\n"
    )
    assert places(results, "--receipts", str(table), "--all") == {
        "entry 0": "1",
        "entry 1": "2",
        "entry 2": "received late",
    }


def test_slip_in_a_list_of_receipts_is_said_as_it_would_let_a_late_entry_rank(
    results: Path, tmp_path: Path
) -> None:
    table = tmp_path / "received.csv"
    table.write_text("path,received\nmarie.zip,2026-06-01T12:00:00Z\nada.zip,2026-04-30T12:00:00Z\n")
    said = run("leaderboard", str(results), "--receipts", str(table)).stderr
    assert "received.csv has 1 that no record here is of: 'marie.zip'" in said
    assert "ada.zip" not in said


def test_entries_that_rank_though_nobody_knows_when_they_came_are_said(results: Path, tmp_path: Path) -> None:
    said = "Ranked without a known time of receipt: 1;"
    assert said in run("leaderboard", str(results)).stderr
    table = tmp_path / "received.csv"
    table.write_text("path,received\nmary.zip,2026-04-30T12:00:00Z\n")
    assert said not in run("leaderboard", str(results), "--receipts", str(table)).stderr


def test_times_of_receipt_are_shown_in_one_zone_wherever_they_come_from(
    results: Path, tmp_path: Path
) -> None:
    table = tmp_path / "received.csv"
    table.write_text("path,received\nmary.zip,2026-04-30T01:00:00+02:00\n")
    shown = run("leaderboard", str(results), "--csv", "--receipts", str(table)).stdout
    times = {row["name"]: row["received_at"] for row in csv.DictReader(io.StringIO(shown))}
    assert times["entry 2"] == "2026-04-29T23:00:00Z"
    assert all(time.endswith("Z") for time in times.values())


def test_a_confirmation_examines_the_podium_of_the_leaderboard(rules: Competition, tmp_path: Path) -> None:
    """With its list of receipts, which says that the cheapest entry came late."""
    store = Store(tmp_path / "results")
    for place, name in enumerate(("ada", "charles")):
        record = make_record(name=name, sandbox="process", training=make_training(10**15 + place))
        store.add(received(record, None, rules, archive_name=f"{name}.zip"))
    table = tmp_path / "received.csv"
    table.write_text("path,received\nada.zip,2026-06-01T12:00:00Z\nmarie.zip,2026-06-01T12:00:00Z\n")
    options = ("--competition", str(tmp_path / "spring.toml"), "--receipts", str(table))
    done = run("confirm", str(store.directory), *options, "--sandbox", "process", "--json")
    assert [(one["name"], one["position"]) for one in json.loads(done.stdout)["entries"]] == [("charles", 1)]
    assert "received.csv has 1 that no record here is of: 'marie.zip'" in done.stderr
    assert places(store.directory, *options, "--all") == {"ada": "received late", "charles": "1"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,received\nada.zip,2026-05-01T14:00:00\n", "time zone"),
        ("name,received\nada.zip,2026-05-01T14:00:00Z\n", "has the columns name, received"),
        ("path,received\na/x.zip,2026-05-01T14:00:00Z\nb/x.zip,2026-05-01T15:00:00Z\n", "two times"),
        (",received\n", "has the columns"),
    ],
)
def test_list_of_receipts_that_is_wrong_says_where(
    results: Path, tmp_path: Path, text: str, said: str
) -> None:
    table = tmp_path / "received.csv"
    table.write_text(text)
    done = run("leaderboard", str(results), "--receipts", str(table))
    assert done.returncode == 2
    assert said in done.stderr
    assert "received.csv" in done.stderr


def test_csv_has_the_time_of_receipt_and_why_an_entry_has_no_place(results: Path, tmp_path: Path) -> None:
    named = ("--competition", str(tmp_path / "spring.toml"), "--phase", "public")
    rows = list(csv.DictReader(io.StringIO(run("leaderboard", str(results), "--csv", *named).stdout)))
    assert [row["unranked"] for row in rows] == ["", "", "received late"]
    assert rows[0]["received_at"] == "2026-04-10T00:00:00Z"


def test_unread_entry_goes_by_the_name_of_its_file(rules: Competition) -> None:
    record = received(make_record(), None, rules, name=None, archive_name="broken.zip")
    assert summarize(record).name == "broken.zip"
    assert dataclasses.replace(summarize(record), name=None).archive_name == "broken.zip"
