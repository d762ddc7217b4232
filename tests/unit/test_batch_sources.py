from datetime import UTC, datetime
from pathlib import Path

import pytest

from haet_eval.batch.sources import SubmissionSource, find_sources
from haet_eval.errors import UsageProblem
from tests.fixtures.submissions import write_submission

TRAIN = "def train(task):\n    return Linear()"


def test_a_folder_stands_for_the_submissions_in_it_in_the_order_of_their_names(tmp_path: Path) -> None:
    write_submission(tmp_path / "b", TRAIN)
    (tmp_path / "a.zip").write_bytes(b"not looked at")
    (tmp_path / ".hidden.zip").write_bytes(b"")
    (tmp_path / "notes").mkdir()
    found = find_sources([tmp_path])
    assert found.sources == (SubmissionSource(tmp_path / "a.zip"), SubmissionSource(tmp_path / "b"))
    assert found.passed_over == (tmp_path / "notes",)


def test_a_submission_is_itself_though_it_holds_folders(tmp_path: Path) -> None:
    write_submission(tmp_path, TRAIN)
    write_submission(tmp_path / "inner", TRAIN)
    assert find_sources([tmp_path]).sources == (SubmissionSource(tmp_path),)


def test_csv_paths_are_relative_to_the_list(tmp_path: Path) -> None:
    folder = write_submission(tmp_path / "one", TRAIN)
    rules = tmp_path / "rules.toml"
    rules.write_text("")
    table = tmp_path / "list.csv"
    text = "path,competition,task,seed\none,rules.toml,digits,7\none,digits,,\n"
    table.write_text(text, encoding="utf-8-sig")
    assert find_sources([table]).sources == (
        SubmissionSource(folder, str(rules), "digits", 7),
        SubmissionSource(folder, "digits", None, None),
    )


def test_toml_says_the_same(tmp_path: Path) -> None:
    folder = write_submission(tmp_path / "one", TRAIN)
    table = tmp_path / "list.toml"
    table.write_text('[[submission]]\npath = "one"\nseed = 7\n[[submission]]\npath = "one"\n')
    assert find_sources([table]).sources == (SubmissionSource(folder, seed=7), SubmissionSource(folder))
    assert [source.label for source in find_sources([table]).sources] == [f"{folder} (seed 7)", str(folder)]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("list.csv", "path,sede\none,1\n", "line 1: 'sede' is not a column of a list; did you mean seed"),
        ("list.csv", "path\nnowhere\n", "line 2: there is no"),
        ("list.csv", "path,seed\none,-1\n", "seed is '-1'"),
        ("list.csv", "path,seed\none,4294967296\n", "from 0 to 4294967295"),
        ("list.csv", f"path,seed\none,{'7' * 5000}\n", "seed is a number of thousands of digits"),
        ("list.toml", f"[[submission]]\npath = 'one'\nseed = '{'7' * 5000}'", "thousands of digits"),
        ("list.toml", f"[[submission]]\npath = 'one'\nseed = 0x{'7' * 5000}", "thousands of digits"),
        ("list.toml", f"[[submission]]\npath = 'one'\nseed = {'7' * 5000}", "cannot be read"),
        ("list.csv", "path\none,two\n", "line 2 has 2 cells"),
        ("list.csv", "seed\n1\n", "path must be a text"),
        ("list.csv", "path\n", "names no submission"),
        ("list.toml", "submission = 3", "path must be a text"),
        ("list.toml", "[[submissions]]\npath = 'one'", "names no submission"),
        ("list.toml", "[[submission]]\npath = 3", "path must be a text"),
        ("list.toml", "[[submission]", "cannot be read"),
        ("list.csv", "path,received\none,today\n", "received is 'today'"),
        ("list.csv", "path,received\none,2026-05-01 10:00\n", "must be a date and time with a time zone"),
        ("list.csv", "path;sede\none;1\n", "line 1: 'sede' is not a column"),
        ("list.csv", "path,seed\none;1\n", "line 2: there is no"),
    ],
)
def test_a_list_with_a_fault_is_refused_with_its_place(
    tmp_path: Path, name: str, text: str, told: str
) -> None:
    write_submission(tmp_path / "one", TRAIN)
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageProblem, match=told.replace("[", r"\[")):
        find_sources([tmp_path / name])


def test_a_folder_without_submissions_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    with pytest.raises(UsageProblem, match=r"no zip, and no haet\.toml"):
        find_sources([tmp_path])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "lines",
    [
        ["path,seed", "one,7"],
        ["Path;SEED", "one;7", ";"],
        ["path\tseed", "one\t7"],
        ["sep=;", "path;seed", "one; 7"],
        ['"path","seed"', '"one","7"', ","],
    ],
)
def test_lists_are_read_as_spreadsheets_write_them(
    tmp_path: Path, lines: list[str], end: str, encoding: str
) -> None:
    folder = write_submission(tmp_path / "one", TRAIN)
    table = tmp_path / "list.csv"
    table.write_bytes(end.join([*lines, ""]).encode(encoding))
    assert find_sources([table]).sources == (SubmissionSource(folder, seed=7),)


def test_a_list_in_utf_16_is_to_be_saved_as_utf_8(tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text("path\none\n", encoding="utf-16")
    with pytest.raises(UsageProblem, match="is not UTF-8") as caught:
        find_sources([table])
    assert "Save it as UTF-8" in caught.value.hint


def test_a_list_says_when_submissions_were_received(tmp_path: Path) -> None:
    folder = write_submission(tmp_path / "one", TRAIN)
    table = tmp_path / "list.csv"
    table.write_text("path,received\none,2026-05-01T12:00:00+02:00\none,2026-05-01 10:00Z\n")
    expected = SubmissionSource(folder, received=datetime(2026, 5, 1, 10, tzinfo=UTC))
    assert find_sources([table]).sources == (expected, expected)
