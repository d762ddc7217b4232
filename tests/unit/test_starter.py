"""`haet-eval new`: what it guesses, what it refuses, what it writes."""

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from haet_eval.check.manifest import PLACEHOLDER
from haet_eval.check.static import look_at
from haet_eval.cli.new import TASKS
from haet_eval.cli.new import new as new_command
from haet_eval.competition import competition_for_task, load_competition
from haet_eval.errors import EnvironmentProblem, UsageProblem
from haet_eval.submission import load_submission
from haet_eval.submission.starter import start_submission


@pytest.fixture
def no_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home without a git configuration; gives the file that would be one."""
    config = tmp_path / "gitconfig"
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    return config


def test_it_guesses_name_and_team(tmp_path: Path, no_git: Path) -> None:
    subprocess.run(["git", "config", "--file", no_git, "user.name", 'Ada "Countess" Lovelace'], check=True)
    start_submission(tmp_path / "my-first_try", "digits", None, None)
    submission = load_submission(tmp_path / "my-first_try")
    assert (submission.name, submission.team) == ("My first try", 'Ada "Countess" Lovelace')


def test_without_git_the_team_is_named_after_the_login(tmp_path: Path, no_git: Path) -> None:
    start_submission(tmp_path / "mine", "digits", None, None)
    assert load_submission(tmp_path / "mine").team


@pytest.mark.parametrize("name", ["ünïcode 🐱", 'a"b\\c', "$task", "x" * 200, "---", "tab\there"])
def test_any_folder_name_gives_a_valid_manifest(tmp_path: Path, name: str, no_git: Path) -> None:
    start_submission(tmp_path / name, "digits", None, "T")
    assert 1 <= len(load_submission(tmp_path / name).name) <= 80


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_one_of_a_competition(tmp_path: Path, task: str) -> None:
    start_submission(tmp_path / "mine", task, "n", "t")
    submission = load_submission(tmp_path / "mine")
    assert load_competition(competition_for_task(submission.task)).task(task)


def test_the_task_is_changed_in_one_line(tmp_path: Path) -> None:
    for task in ("digits", "cifar10"):
        start_submission(tmp_path / task, task, "n", "t")
    texts = [
        (tmp_path / task / "haet.toml").read_text("utf-8").splitlines() for task in ("digits", "cifar10")
    ]
    assert len([pair for pair in zip(*texts, strict=True) if pair[0] != pair[1]]) == 1
    assert (tmp_path / "digits/submission.py").read_bytes() == (
        tmp_path / "cifar10/submission.py"
    ).read_bytes()


def test_an_empty_folder_is_taken_and_a_full_one_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    assert len(start_submission(folder, "digits", "n", "t")) == 2
    (folder / "submission.py").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageProblem, match=r"not empty: it has haet\.toml, submission\.py"):
        start_submission(folder, "digits", "n", "t")
    assert (folder / "submission.py").read_text(encoding="utf-8") == "mine"


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(UsageProblem, match="is a file"):
        start_submission(tmp_path / "mine", "digits", "n", "t")
    with pytest.raises(EnvironmentProblem, match="cannot be written"):
        start_submission(tmp_path / "mine" / "below", "digits", "n", "t")


def test_a_name_that_no_manifest_may_have_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"`team` has the control"):
        start_submission(tmp_path / "mine", "digits", "n", "a\x07b")
    assert not (tmp_path / "mine").exists()


def test_the_command_says_what_comes_next(tmp_path: Path) -> None:
    result = CliRunner().invoke(new_command, [str(tmp_path / "my try"), "--team", "t"])
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        str(tmp_path / "my try" / name) for name in ("haet.toml", "submission.py")
    ]
    assert f"haet-eval '{tmp_path}/my try' --sandbox process" in result.stderr
    assert f"haet-eval pack '{tmp_path}/my try'" in result.stderr


def test_the_templates_description_is_remarked_on_until_it_is_replaced(tmp_path: Path) -> None:
    start_submission(tmp_path / "mine", "digits", "n", "t")
    manifest = tmp_path / "mine" / "haet.toml"
    (remark,) = look_at(load_submission(tmp_path / "mine")).remarks
    assert remark.path == "haet.toml"
    assert PLACEHOLDER in manifest.read_text("utf-8").splitlines()[remark.line - 1]
    manifest.write_text(manifest.read_text("utf-8").replace(PLACEHOLDER, "A note:"), "utf-8")
    assert look_at(load_submission(tmp_path / "mine")).remarks == ()
