"""`haet-eval competition`: its output for an organizer's file."""

import json
import re
import subprocess
import sys
import tomllib
import zlib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from haet_eval.cli.competition import competition
from haet_eval.competition import Budgets, builtin_competitions, load_competition
from haet_eval.competition.loading import builtin_text
from haet_eval.data.readback import budgets_with, compressed_bytes, most_readback_bytes
from haet_eval.dataset import load_task_data
from haet_eval.errors import ExitCode, UsageProblem
from tests.fixtures.cifar import write_cifar10
from tests.fixtures.own_data import some_digits, write_competition, write_set


def run(*arguments: object) -> Result:
    return CliRunner().invoke(
        competition, list(map(str, arguments)), standalone_mode=False, catch_exceptions=False
    )


def test_every_built_in_competition_is_listed() -> None:
    lines = run("list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(builtin_competitions())
    assert [one["name"] for one in json.loads(run("list", "--json").stdout)] == list(builtin_competitions())


@pytest.mark.parametrize("name", builtin_competitions())
def test_every_built_in_competition_is_explained_without_warnings_even_without_its_data(
    tmp_path: Path, name: str
) -> None:
    result = run("check", name, "--data-dir", tmp_path)
    rules = load_competition(name)
    assert result.return_value is ExitCode.QUALIFIED
    assert f"{name}: {rules.title}" in result.stdout
    assert rules.digest in result.stdout
    for task in rules.tasks:
        assert f"task {task}\n" in result.stdout
    if rules.awards:
        assert "odd  " not in result.stdout


def test_show_prints_the_file_to_begin_with(tmp_path: Path) -> None:
    copy = tmp_path / "mine.toml"
    copy.write_text(run("show", "haet2021").stdout, encoding="utf-8")
    assert copy.read_text("utf-8") == builtin_text("haet2021")
    assert load_competition(str(copy)).digest == load_competition("haet2021").digest


@pytest.mark.parametrize("name", builtin_competitions())
def test_the_schema_is_one_that_editors_can_check_by(name: str) -> None:
    validator = Draft202012Validator(json.loads(run("schema").stdout))
    rules = tomllib.loads(builtin_text(name))
    assert not list(validator.iter_errors(rules))
    assert list(validator.iter_errors(rules | {"award": 1}))
    assert list(validator.iter_errors(rules | {"ranking": "beauty"}))


def test_show_of_an_unknown_name_proposes_one() -> None:
    with pytest.raises(UsageProblem, match="did you mean haet2021"):
        run("show", "heat2021")


def test_check_prints_the_digest_to_paste_and_finds_no_problem_with_it(tmp_path: Path) -> None:
    file = write_competition(tmp_path, ".npz")
    result = run("check", file)
    assert result.return_value is ExitCode.QUALIFIED
    assert "90 training and 30 test images, 12 by 8 pixels, 3 channels, 3 classes" in result.stdout
    digest = json.loads(run("check", file, "--json").stdout)["data"]["three"]["digest"]
    assert f'no record is official before the task says `digest = "{digest}"`' in result.stdout
    again = run("check", write_competition(tmp_path, ".npz", digest)).stdout
    assert "official: records on these data may be awarded" in again
    assert "No problems found." in again
    changed = run("check", write_competition(tmp_path, ".npz", "0" * 64)).stdout
    assert "not those of the task's `digest`" in changed


def test_own_data_that_are_not_in_order_are_the_organizers_mistake(tmp_path: Path) -> None:
    file = write_competition(tmp_path, ".npz")
    (tmp_path / "data" / "test.npz").unlink()
    result = run("check", file)
    assert result.return_value is ExitCode.USAGE
    assert "test.npz does not exist" in result.stdout
    assert "wrong  Task three has no data to run on; see above." in result.stdout
    assert "No problems found." not in result.stdout
    assert "problem" in json.loads(run("check", file, "--json").stdout)["data"]["three"]


def test_a_secret_test_set_is_checked_if_it_is_given(tmp_path: Path) -> None:
    write_cifar10(tmp_path, train_per_class=500, test_per_class=1)
    secret = write_set(tmp_path / "secret.npz", *some_digits(0, 30, 32, 32))
    result = run("check", "haet2023", "--data-dir", tmp_path, "--test-data", secret)
    assert result.return_value is ExitCode.USAGE
    assert "the test set has 30 images, and the competition asks for 1,000" in result.stdout


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("threshold = 0.8", "threshold = 0", "any accuracy qualifies, so a model that is not trained at all"),
        ("threshold = 0.8", "threshold = 0.3", "guessing one class always reaches 36.7 %, which qualifies"),
        ("awards = 1", "awards = 0", "Nothing is awarded"),
        ("[budgets]", "[budgets]\nwall_seconds = 3", "3 s may not do for the first steps"),
        (
            "[budgets]",
            "[budgets]\nmemory_bytes = 1000000",
            "may not fit into less than 1 GiB",
        ),
        (
            "readback_bytes = 20",
            'readback_bytes = 30000\nreadback_reason = "A trial."',
            "all training images can be read",
        ),
        ('"complexity"', '"training_time"\nrunner = "native"', "Time is ranked on one machine"),
        ('test = "data/test.npz"', 'test = "data/train.npz"', "90 test images are training images as well"),
    ],
)
def test_unusual_choices_are_pointed_out(tmp_path: Path, old: str, new: str, told: str) -> None:
    file = write_competition(tmp_path, ".npz")
    text = file.read_text("utf-8")
    assert old in text
    assert told not in run("check", file).stdout
    file.write_text(text.replace(old, new), encoding="utf-8")
    result = run("check", file)
    assert result.return_value is ExitCode.QUALIFIED
    assert told in result.stdout


def test_more_than_one_percent_of_the_images_is_refused_and_a_reason_lets_it_pass(tmp_path: Path) -> None:
    file = write_competition(tmp_path, ".npz")
    images = load_task_data(load_competition(str(file)).task("three"), tmp_path, tmp_path).train_images
    most = most_readback_bytes(images)
    text = file.read_text("utf-8")
    for readback_bytes, status in ((most, ExitCode.QUALIFIED), (most + 1, ExitCode.USAGE)):
        file.write_text(text.replace("readback_bytes = 20", f"readback_bytes = {readback_bytes}"), "utf-8")
        result = run("check", file)
        assert result.return_value is status
        assert ("wrong  " in result.stdout) == (status is ExitCode.USAGE)
    assert f"Set `readback_bytes` under [budgets] to {most:,} or less" in result.stdout
    assert json.loads(run("check", file, "--json").stdout)["wrong"]
    text = file.read_text("utf-8")
    file.write_text(text.replace("[tasks.three]", 'readback_reason = "A trial."\n[tasks.three]'), "utf-8")
    result = run("check", file)
    assert result.return_value is ExitCode.QUALIFIED
    assert "read back because: A trial." in result.stdout


@pytest.mark.parametrize("image_count", [3, 30, 3000])
def test_a_file_that_does_not_name_the_read_back_gets_what_its_images_allow(
    tmp_path: Path, image_count: int
) -> None:
    file = write_competition(tmp_path, ".npz")
    file.write_text(file.read_text("utf-8").replace("readback_bytes = 20\n", ""), "utf-8")
    rules = load_competition(str(file))
    task = rules.task("three")
    images = np.random.default_rng(0).integers(0, 256, (image_count, 3, 32, 32), dtype=np.uint8)
    allowed = budgets_with(rules, task, images, official=False).readback_bytes
    assert allowed == min(Budgets().readback_bytes, most_readback_bytes(images))
    assert allowed > 0
    result = run("check", file)
    assert result.return_value is ExitCode.QUALIFIED, result.stdout
    assert "wrong" not in result.stdout
    share = re.search(r"what can be read back is ([0-9.]+) %", result.stdout)
    assert share is not None
    assert 0 < float(share[1]) <= 1
    assert rules.digest == load_competition(str(file)).digest  # the images decide, and no rule is changed


def test_the_digits_may_be_read_back_to_one_percent_and_their_rules_leave_room_for_a_loss_each_epoch() -> (
    None
):
    rules = load_competition("digits")
    task = rules.task("digits")
    data = load_task_data(task, Path())
    assert budgets_with(rules, task, data.train_images, official=True) == task.budgets
    assert 4 * 200 <= task.budgets.readback_bytes <= most_readback_bytes(data.train_images)


@pytest.mark.parametrize("count", [7, 1000, 1437])
def test_the_compressed_size_is_estimated_from_a_sample_of_the_images(count: int) -> None:
    images = load_task_data(load_competition("digits").task("digits"), Path()).train_images[:count]
    whole = len(zlib.compress(images.tobytes(), 6))
    assert compressed_bytes(images) == pytest.approx(whole, rel=0.05)


def test_a_wrong_file_ends_with_status_2_and_no_traceback(tmp_path: Path) -> None:
    file = write_competition(tmp_path, ".npz")
    file.write_text(file.read_text("utf-8").replace("awards", "prizes"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "haet_eval.cli.main", "competition", "check", file],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "`awards` is missing; `prizes` is no key of a competition" in done.stderr
    assert "Traceback" not in done.stderr
