import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from haet_eval.cli.leaderboard import leaderboard
from haet_eval.competition import load_competition
from haet_eval.errors import EnvironmentProblem, UsageProblem, Verdict
from haet_eval.evaluation.repetition import merge
from haet_eval.record import Content, Record, seal
from haet_eval.store import Store
from tests.fixtures.records import make_record, make_training
from tests.unit.test_cli_main import run as program

REPOSITORY = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from haet_eval.cli.leaderboard import leaderboard; leaderboard()"]

ESCAPES = "\x1b[31m\x1b]0;owned\x07\x9b2J\r\n\b\u202egnp.exe\u2066"
HOSTILE = [
    ESCAPES,
    "[bold red]markup[/] [link=file:///etc/passwd]x[/link] [/nothing",
    ":bomb: :smiley:",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }} {% raw %}",
    "| a | b |\n|---|",
    "[click](javascript:alert(1)) `code` **bold** \\",
    '=HYPERLINK("http://x","y")',
    "日本語 und Ümläute 👩‍💻",
]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = Store(tmp_path / "results")
    store.prepare()
    return store


def run(store: Store, *options: str) -> Result:
    return CliRunner().invoke(leaderboard, [str(store.directory), *options], catch_exceptions=False)


def rows(store: Store, *options: str) -> list[dict[str, object]]:
    document = json.loads(run(store, "--json", *options).stdout)
    entries: list[dict[str, object]] = document["entries"]
    return entries


def fill(store: Store) -> dict[str, Record]:
    records = {
        "big": make_record(name="big", training=make_training(2**60 + 1)),
        "small": make_record(name="small", team="Babbage", training=make_training(2**60)),
        "process": make_record(name="process", sandbox="process", training=make_training(5)),
        "digits": make_record(name="digits", competition="digits", task="digits"),
        "weak": make_record(name="weak", verdict=Verdict.BELOW_THRESHOLD, correct=9000),
        "broken": make_record(
            name="broken", competition=None, task=None, verdict=Verdict.INVALID_SUBMISSION, reason="no toml"
        ),
    }
    for record in records.values():
        store.add(record)
    return records


def test_ranks_the_official_and_qualified(store: Store) -> None:
    fill(store)
    result = run(store)
    assert result.exit_code == 0
    titles = [line.strip() for line in result.stdout.splitlines() if "·" in line]
    assert titles == ["digits · digits", "haet2021 · cifar10"]
    assert result.stdout.index("small") < result.stdout.index("big")
    assert "process" not in result.stdout
    assert "weak" not in result.stdout
    told = "Not shown: 3 (not official, not qualified, not counted, or bettered); --all shows them"
    assert told in result.stderr


def test_all_shows_the_others_apart(store: Store) -> None:
    fill(store)
    result = run(store, "--all")
    assert "haet2021 · cifar10 · unofficial (process, data" in result.stdout
    assert "below_threshold" in result.stdout
    assert "invalid_submission" in result.stdout
    assert result.stderr == ""


def test_what_all_does_not_show_is_shown_without_best(store: Store) -> None:
    for operations in (5, 6):
        store.add(make_record(name=f"of {operations}", team="Ada", training=make_training(operations)))
    result = run(store, "--all", "--best")
    assert "Not shown: 1" in result.stderr
    assert "leave out --best" in result.stderr
    assert "--all shows" not in result.stderr
    assert run(store, "--all").stderr == ""


def test_json_is_one_document_with_exact_counts(store: Store) -> None:
    records = fill(store)
    entries = rows(store, "--competition", "haet2021")
    assert [entry["name"] for entry in entries] == ["small", "big"]
    assert [entry["complexity"] for entry in entries] == [str(2**60 + 11_000_000), str(2**60 + 11_000_001)]
    assert [(entry["position"], entry["of"]) for entry in entries] == [(1, 2), (2, 2)]
    assert entries[0]["record_id"] == records["small"].record_id


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--task", "digits"], ["digits"]),
        (["--competition", "haet2021", "--task", "digits"], []),
        (["--competition", "haet2021", "--all"], ["small", "big", "process", "weak"]),
        (["--best", "--task", "cifar10"], ["small", "big"]),
    ],
)
def test_options_choose_what_is_shown(store: Store, options: list[str], names: list[str]) -> None:
    fill(store)
    assert [entry["name"] for entry in rows(store, *options)] == names


def test_a_mistyped_task_is_answered_with_the_one_that_was_meant(store: Store) -> None:
    known = fill(store)["big"].submission.task
    with pytest.raises(UsageProblem, match=f"did you mean {known}"):
        run(store, "--task", f"{known}s")


def test_best_keeps_one_entry_of_each_team(store: Store) -> None:
    for size in (3, 1, 2):
        store.add(make_record(name=f"size {size}", training=make_training(size)))
    assert [(entry["name"], entry["of"]) for entry in rows(store, "--best")] == [("size 1", 1)]


def test_an_empty_directory_has_no_leaderboard_yet(store: Store) -> None:
    assert "No qualified submission yet." in run(store).stdout
    assert rows(store) == []
    assert run(store, "--csv").stdout.startswith("position,of,awarded,")
    assert "No qualified submission yet." in run(store, "--markdown").stdout


def test_a_broken_record_is_named_on_stderr_and_the_rest_is_ranked(store: Store) -> None:
    fill(store)
    path = store.add(make_record(name="forged"))
    path.write_text(path.read_text().replace("Lovelace", "Cheater"))
    result = run(store)
    assert f"Broken record {path.name}: the record does not match its digest" in result.stderr
    assert "small" in result.stdout
    assert json.loads(run(store, "--json").stdout)["problems"][0]["file"] == path.name


def under_changed_rules(record: Record) -> Record:
    """The same under rules of the same name that an organizer has edited."""
    assert record.competition is not None
    rules = record.competition.model_copy(update={"digest": "ed17" * 16})
    facts = {name: getattr(record, name) for name in Content.model_fields}
    return seal(Content(**facts | {"competition": rules}))


def test_records_under_other_rules_of_the_same_name_are_pointed_out(store: Store) -> None:
    record = make_record(name="as published")
    store.add(record)
    store.add(make_record(name="another"))
    assert run(store).stderr == ""
    store.add(under_changed_rules(make_record(name="edited")))
    assert record.competition is not None
    shown = run(store)
    assert "The rules of haet2021 differ between its records, which rank apart" in shown.stderr
    titles = [line.strip() for line in shown.stdout.splitlines() if "·" in line]
    for digest in (record.competition.digest[:8], "ed17ed17"):
        assert digest in shown.stderr
        assert f"haet2021 · cifar10 · rules {digest}" in titles
    assert {row["of"] for row in rows(store)} == {1, 2}


def test_unofficial_records_alone_are_not_called_nothing(store: Store) -> None:
    store.add(make_record(name="mine", sandbox="process"))
    for options in ((), ("--markdown",)):
        assert "No official record yet; --all ranks 1 unofficial record." in run(store, *options).stdout


def test_close_totals_are_shown_with_the_digits_that_differ(store: Store) -> None:
    for name, total in (("a", 89_000_011), ("b", 89_000_012), ("c", 900_000_000)):
        store.add(make_record(name=name, training=make_training(total)))
    for options in ((), ("--markdown",)):
        shown = run(store, *options).stdout
        for shown_total in ("1.00000011×10⁸", "1.00000012×10⁸", "9.110×10⁸"):
            assert shown_total in shown


def test_records_of_several_versions_of_the_standard_are_pointed_out(store: Store) -> None:
    store.add(make_record(name="of today"))
    assert run(store).stderr == ""
    older = make_training()
    operations = older.operations.model_copy(update={"standard": older.operations.standard + 1})
    store.add(
        make_record(name="of another day", training=older.model_copy(update={"operations": operations}))
    )
    assert "priced under versions 1 and 2 of the counting standard" in run(store).stderr


def test_a_missing_directory_is_the_users_problem(tmp_path: Path) -> None:
    result = CliRunner().invoke(leaderboard, [str(tmp_path / "nothing")])
    assert isinstance(result.exception, UsageProblem)


def has_no_control_characters(text: str) -> bool:
    return not any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u202e\u2066" for c in text.replace("\n", ""))


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("style", ["", "--csv", "--markdown"])
def test_names_are_text_and_nothing_else(store: Store, name: str, style: str) -> None:
    store.add(make_record(name=name, team=name))
    result = run(store, *filter(None, [style]))
    assert result.exit_code == 0
    assert has_no_control_characters(result.stdout)
    assert has_no_control_characters(result.stderr)


def test_markup_and_emoji_codes_are_shown_as_they_are(store: Store) -> None:
    store.add(make_record(name="[bold]x[/] :bomb:", team="[/]"))
    assert "[bold]x[/] :bomb:" in run(store).stdout


def test_csv_is_read_back_with_counts_in_full_and_formulas_disarmed(store: Store) -> None:
    record = make_record(name='=1+1 "quoted", with comma', training=make_training(2**70))
    store.add(record)
    (row,) = csv.DictReader(io.StringIO(run(store, "--csv").stdout))
    assert row["name"] == '\'=1+1 "quoted", with comma'
    assert row["complexity"] == str(record.complexity)
    assert row["awarded"] == "true"


def test_markdown_keeps_its_columns_whatever_the_names_are(store: Store) -> None:
    for name in HOSTILE:
        store.add(make_record(name=name, team="a | b"))
    lines = [line for line in run(store, "--markdown").stdout.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(HOSTILE)
    assert {line.replace(r"\\", "").replace(r"\|", "").count("|") for line in lines} == {12}


def several(name: str, correct: tuple[int, ...]) -> Record:
    """One record of several runs."""
    rules = load_competition("haet2021")
    runs = [make_record(name=name, seed=seed, correct=n) for seed, n in enumerate(correct)]
    return merge(runs, rules.runs, 0.93)


def test_every_form_has_gap_and_interval(store: Store) -> None:
    store.add(several("several", (9380, 9420, 9460)))
    store.add(make_record(name="dearer", training=make_training(2 * 10**18)))
    first, second = rows(store)
    assert (first["times_leader"], first["accuracy"]) == (1.0, pytest.approx(0.942))
    assert first["accuracy_low"] == pytest.approx(0.93206, abs=1e-5)
    assert first["accuracy_high"] == pytest.approx(0.95194, abs=1e-5)
    assert second["times_leader"] == pytest.approx(20)
    assert second["accuracy_low"] is None
    for style in ([], ["--markdown"]):
        shown = run(store, *style).stdout
        assert "94.20 % ± 0.99" in shown
        assert "×20" in shown
        assert "omplexity ↓" in shown
        assert "ccuracy ↑" in shown
        assert "2026-05-01" in shown
    line = next(csv.DictReader(io.StringIO(run(store, "--csv").stdout)))
    assert line["accuracy_low"].startswith("0.932")
    assert line["times_leader"] == "1.0"


def test_a_listing_that_is_remembered_has_the_same_intervals(store: Store) -> None:
    store.add(several("several", (9380, 9420)))
    assert rows(store) == rows(store)
    assert rows(store)[0]["accuracy_low"] is not None


def test_a_page_is_written_and_nothing_printed_but_where(store: Store, tmp_path: Path) -> None:
    fill(store)
    result = run(store, "--html", str(tmp_path / "page.html"), "--all")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert str(tmp_path / "page.html") in result.stderr
    assert "haet2021 · cifar10" in (tmp_path / "page.html").read_text("utf-8")
    assert len(run(store, "--html", str(tmp_path / "page.html"), "--csv").stdout.splitlines()) == 1 + 3
    assert [path.name for path in tmp_path.glob("*.html")] == ["page.html"]


def test_a_page_that_cannot_be_written_is_our_problem_with_a_hint(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    result = CliRunner().invoke(
        leaderboard, [str(store.directory), "--html", str(tmp_path / "file" / "page.html")]
    )
    assert isinstance(result.exception, EnvironmentProblem)
    assert result.exception.message.startswith(f"{tmp_path / 'file'} cannot be written: File exists")


def test_a_pipe_gets_whole_lines_without_colours(store: Store) -> None:
    record = make_record(
        name="a rather long name of a method, of 48 characters", training=make_training(10**30)
    )
    store.add(record)
    done = subprocess.run(
        [*COMMAND, str(store.directory)], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert "\x1b" not in done.stdout
    assert "a rather long name of a method, of 48 characters" in done.stdout
    assert "1.000×10³⁰" in done.stdout


def in_terminal(columns: int, *arguments: str) -> str:
    """What the command writes to a terminal of that width."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"COLUMNS": str(columns), "TERM": "xterm-256color"}
    command = subprocess.Popen(
        [*COMMAND, *arguments], cwd=REPOSITORY, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    written = b""
    try:
        while data := os.read(ours, 65536):
            written += data
    except OSError:
        pass  # Linux reports the end of a terminal's output as an error
    finally:
        os.close(ours)
    assert command.wait() == 0
    return written.decode()


def test_eighty_columns_crop_no_number(store: Store) -> None:
    for name in HOSTILE:
        store.add(make_record(name=name, training=make_training(123_456_789 * 10**9)))
    shown = in_terminal(80, str(store.directory))
    assert shown.count("1.235×10¹⁷") == len(HOSTILE)
    assert shown.count("94.12 %") == len(HOSTILE)
    assert "\x1b[1m" in shown
    assert "\x1b]" not in shown
    assert "\x07" not in shown


@pytest.mark.parametrize(("columns", "width"), [("100", 100), ("", 160), ("none", 160), ("0", 160)])
def test_a_piped_table_is_as_wide_as_columns(store: Store, columns: str, width: int) -> None:
    store.add(make_record(name="a name in many words " * 5, team="a team in many words " * 3))
    done = subprocess.run(
        [*COMMAND, str(store.directory)],
        cwd=REPOSITORY,
        env=os.environ | {"COLUMNS": columns},
        capture_output=True,
        text=True,
        check=True,
    )
    widest = max(map(len, done.stdout.splitlines()))
    assert widest <= width
    assert (widest > 120) == (width == 160)


def test_the_folder_is_an_argument_or_an_option(store: Store) -> None:
    store.add(make_record())
    folder = str(store.directory)
    shown = {
        program("leaderboard", *arguments, cwd=None, **variables).stdout
        for arguments, variables in (
            ((folder,), {}),
            (("--results", folder), {}),
            ((), {"HAET_RESULTS": folder}),
            ((folder,), {"HAET_RESULTS": "elsewhere"}),
        )
    }
    assert len(shown) == 1
    assert "94.12 %" in shown.pop()


def test_a_format_on_the_command_line_comes_before_one_of_the_environment(store: Store) -> None:
    store.add(make_record())
    done = program("leaderboard", str(store.directory), "--csv", HAET_JSON="1")
    assert done.stdout.startswith("position,")
