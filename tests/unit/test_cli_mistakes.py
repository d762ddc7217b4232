"""Mistakes at the command line, and what a new user reads: what happened, to what, and what to do next."""

from pathlib import Path

import pytest

from haet_eval.cli.boundary import run_guarded
from haet_eval.cli.main import cli
from haet_eval.spelling import quoted, suggested_name, suggested_path
from haet_eval.store import Store
from tests.fixtures.records import make_record
from tests.fixtures.submissions import write_submission


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The option --oci-runtime sets a variable of this process. It is restored after each test."""
    monkeypatch.setenv("HAET_OCI_RUNTIME", "")
    monkeypatch.delenv("HAET_OCI_RUNTIME")


MISTAKES = [
    ("evalute mine", 2, ["'evalute' is neither a command nor", "Did you mean 'evaluate'?"]),
    ("list", 2, ["There is no command 'list'; use leaderboard."]),
    ("qqqq", 2, ["'qqqq' is neither a command", "Name a .zip file or a folder", "`haet-eval --help` lists"]),
    (r"sub\zz", 2, [r"'sub\zz' is neither a command"]),
    ("mien", 2, ["'mien' is neither a command nor an existing file or folder", "'mine'"]),
    ("mime.zip", 2, ["'mime.zip' does not exist; did you mean mine.zip?"]),
    ("mine --sandbax process", 2, ["No such option '--sandbax'", "Did you mean '--sandbox'?"]),
    ("mine --sandbox proces", 2, ["'proces' is not one of 'docker', 'process'"]),
    ("mine --seed -1", 2, ["--seed", "-1 is not allowed; the value must be 0 to 4294967295."]),
    ("mine --runs abc", 2, ["'abc' is not a whole number; the value must be 1 to 100."]),
    ("check mine --within 0", 2, ["0.0 is not allowed; the value must be more than 0."]),
    ("check mine --within nan", 2, ["'nan' is not a number"]),
    ("explain mine --balance -1", 2, ["-1.0 is not allowed; the value must be 0 or more."]),
    ("--verison", 2, ["No such option '--verison'", "Did you mean '--version'?"]),
    ("help", 2, ["There is no command 'help'; use --help."]),
    ("leaderbord.json", 2, ["Did you mean 'leaderboard'?"]),
    ("leaderboard --csv --json", 2, ["--csv and --json exclude each other"]),
    ("leaderboard results --results other", 2, ["DIRECTORY and --results name the same thing"]),
    ("mine --sandbox process --oci-runtime runsc", 2, ["--oci-runtime is an option of the Docker engine"]),
    ("mine --runtime runsc --sandbox process", 2, ["--oci-runtime is an option of the Docker engine"]),
    ("check mine --runtime runsc", 2, ["--oci-runtime is an option of the Docker engine"]),
    ("pack mine -o out.tar.gz", 2, ["out.tar.gz does not end in .zip"]),
    ("export results -o out.txt", 2, ["export writes no .txt file"]),
    ("competition show rules.toml", 2, ["rules.toml is a file", "`haet-eval competition check rules.toml`"]),
    ("mine --competition nope.toml", 2, ["there is no competition file nope.toml"]),
    ("verify empty", 2, ["there is no record in the folder empty"]),
    ("sign ffff --key k", 2, ["no record in results with an id that begins with 'ffff'"]),
    ("mine --competition digts", 2, ["no competition 'digts'; did you mean digits?", "Built in are"]),
    ("mine --competition rules.toml", 2, ["rules.toml is no valid competition", "`title` is missing"]),
    ("mine --task digts", 2, ["'digts' is no task", "did you mean digits?", "Correct --task"]),
    ("mine --results mine.zip", 2, ["--results", "'mine.zip' is a file"]),
    (
        "mine --results mine.zip/there --sandbox process",
        4,
        ["cannot be written: Not a directory", "--results"],
    ),
    ("empty --sandbox process", 3, ["has no files in it"]),
    ("mine.zip --sandbox process", 3, ["not a zip archive"]),
    ("data fetch cifar11", 2, ["no data set 'cifar11'; did you mean cifar10?"]),
    ("data fecth cifar10", 2, ["No such command 'fecth'", "Did you mean 'fetch'?"]),
    ("explain resluts/x.json", 2, ["no record resluts/x.json; did you mean results?", "leaderboard --all"]),
    ("explain ffff", 2, ["no record in results with an id that begins with 'ffff'", "leaderboard --all"]),
    ("explain other.json", 2, ["other.json is no sound record", "Records are the .json files"]),
    ("explain mine", 2, ["there is no record in the folder mine", "the beginning of its id"]),
    ("verify nope", 2, ["no record in results"]),
    ("leaderboard reslts", 2, ["reslts cannot be read", "did you mean results?"]),
    ("leaderboard mine.zip", 2, ["mine.zip cannot be read: Not a directory"]),
    ("new mine", 2, ["mine is not empty: it has haet.toml, submission.py in it"]),
    ("pack mien", 2, ["'mien' does not exist; did you mean mine?"]),
    ("pack mine -o nowhere/mine.zip", 4, ["nowhere/mine.zip cannot be written: No such file", "-o"]),
    ("rerun ffff --submission mien", 2, ["'mien' does not exist; did you mean mine?"]),
    ("completion tcsh", 2, ["'tcsh' is not one of 'bash', 'zsh', 'fish'"]),
    ("--config nope.toml config", 2, ["nope.toml cannot be read", "HAET_CONFIG"]),
    ("clean up", 2, ["Got unexpected extra argument (up)"]),
]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-configuration"))
    write_submission(tmp_path / "mine", "def train(task): ...")
    (tmp_path / "empty").mkdir()
    (tmp_path / "mine.zip").write_text("not a zip", encoding="utf-8")
    (tmp_path / "rules.toml").write_text('name = "mine"\n', encoding="utf-8")
    (tmp_path / "other.json").write_text("{}", encoding="utf-8")
    Store(tmp_path / "results").add(make_record())
    return tmp_path


def run(line: str) -> int:
    return run_guarded(lambda: cli.main(line.split(), "haet-eval", standalone_mode=False))


@pytest.mark.parametrize(("line", "status", "words"), MISTAKES, ids=[line for line, _, _ in MISTAKES])
@pytest.mark.usefixtures("workplace")
def test_a_mistake_is_explained(
    line: str, status: int, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(line) == status
    captured = capsys.readouterr()
    said = captured.err + captured.out
    assert "Traceback" not in said
    assert "itself failed" not in said
    for word in words:
        assert word in " ".join(said.split()), said


@pytest.mark.parametrize(
    "line",
    [
        "LONG",
        "check LONG",
        "pack LONG",
        "batch LONG --dry-run",
        "verify LONG",
        "explain LONG.json",
        "leaderboard LONG",
        "verify x --results LONG",
        "clean --results LONG",
    ],
)
@pytest.mark.usefixtures("workplace")
def test_a_path_that_is_too_long_is_a_mistake_of_the_command_line(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(line.replace("LONG", "a" * 5_000)) == 2
    said = capsys.readouterr().err
    assert "itself failed" not in said
    assert "is too long for the name of a file" in said
    assert len(said) < 500


@pytest.mark.parametrize(
    "line",
    [
        "HERE/mine --sandbox process --results HERE/results",
        "check HERE/mine --sandbox process",
        "new mine",
        "pack HERE/mine",
        "batch HERE/mine --dry-run",
        "batch HERE/mine --sandbox process --results HERE/results",
        "verify HERE/results",
        "explain HERE/results",
        "leaderboard HERE/results --html page.html",
        "sign --new-key judge.key",
        "competition list",
        "doctor",
        "clean --dry-run",
    ],
)
def test_a_current_folder_that_was_removed_is_no_fault_of_ours(
    workplace: Path, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (gone := workplace / "gone").mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    status = run(line.replace("HERE", str(workplace)))
    captured = capsys.readouterr()
    assert "itself failed" not in captured.err
    # What needs no current folder works all the same.
    assert status in (0, 1) or "was removed" in captured.err or "No such file" in captured.err


@pytest.mark.usefixtures("workplace")
def test_a_refused_output_is_not_written() -> None:
    before = sorted(path.name for path in Path().iterdir())
    run("pack mine -o out.tar.gz")
    run("export results -o out.txt")
    assert sorted(path.name for path in Path().iterdir()) == before


@pytest.mark.usefixtures("workplace")
def test_commands_are_suggested_before_files(capsys: pytest.CaptureFixture[str]) -> None:
    Path("evalute.md").touch()
    run("evalute")
    assert "Did you mean 'evaluate'?" in capsys.readouterr().err


@pytest.mark.usefixtures("workplace")
def test_names_of_files_cannot_drive_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Path("evil\x1b[2J.zip").touch()
    Path("evil\x1b[2J.txt").touch()
    for line in ("evil[2J", "evil[2J.zip", "explain evil[2J.json", "batch . --dry-run"):
        run(line)
    told = capsys.readouterr().err
    assert "Passed over: evil" in told
    assert "\x1b" not in told


@pytest.mark.parametrize(
    "text", ["sub\\haet.toml", "it's", 'a "name"', "é", "line\nbreak", "\x1b[2J", "\udce9"]
)
def test_a_name_in_quotes_is_as_it_was_typed_if_it_can_be_printed(text: str) -> None:
    shown = quoted(text)
    assert shown.isprintable()
    assert shown[0] == shown[-1]
    assert (shown[1:-1] == text) is text.isprintable()


def test_suggestions(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "record.json").touch()
    assert suggested_name("digts", ["digits", "cifar10"]) == "; did you mean digits?"
    assert suggested_name("mnist", ["digits", "cifar10"]) == ""
    assert suggested_path(tmp_path / "resluts" / "x") == f"; did you mean {tmp_path / 'results'}?"
    assert suggested_path(tmp_path / "results" / "recrod.json").endswith("/results/record.json?")
    assert suggested_path(tmp_path / "quite different") == ""
