"""Workflows for other repositories: no code of an entry runs where something could be written or stolen."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from haet_eval.cli.main import COMMANDS
from tests.fixtures.submissions import write_submission

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[2]
WORKFLOWS = [
    ROOT / ".github" / "workflows" / "check-submission.yml",
    *sorted((ROOT / "docs" / "templates" / "github").glob("*.yml")),
]
RUNS_ENTRIES = ("haet-eval check", "haet-eval batch", "haet-eval evaluate", "haet-eval confirm")


def jobs_of(path: Path) -> dict[str, dict[str, Any]]:
    """The jobs, each with the permissions that it has."""
    workflow = yaml.safe_load(path.read_text("utf-8"))
    shared = workflow["permissions"]
    return {name: {"permissions": shared} | job for name, job in workflow["jobs"].items()}


def scripts_of(job: dict[str, Any]) -> str:
    return "\n".join(step.get("run", "") for step in job["steps"])


JOBS = [(path, name, job) for path in WORKFLOWS for name, job in jobs_of(path).items()]


@pytest.mark.parametrize(("path", "name", "job"), JOBS, ids=lambda value: getattr(value, "stem", None))
def test_code_of_entries_runs_only_in_jobs_that_can_read_and_have_no_secret(
    path: Path, name: str, job: dict[str, Any]
) -> None:
    if not any(command in scripts_of(job) for command in RUNS_ENTRIES):
        return
    assert set(job["permissions"].values()) <= {"read"}
    text = yaml.safe_dump(job)
    assert "secrets." not in text
    assert "github.token" not in text
    assert "environment" not in job


@pytest.mark.parametrize(("path", "name", "job"), JOBS, ids=lambda value: getattr(value, "stem", None))
def test_jobs_that_can_write_never_have_the_files_of_a_pull_request(
    path: Path, name: str, job: dict[str, Any]
) -> None:
    writes = "write" in job["permissions"].values()
    for step in job["steps"]:
        if step.get("uses", "").startswith("actions/checkout"):
            assert step["with"]["persist-credentials"] is False
            assert "ref" not in step["with"]
            assert not writes or job["if"] == "github.event_name == 'push'"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_nothing_that_a_stranger_writes_becomes_part_of_a_script(path: Path) -> None:
    text = path.read_text("utf-8")
    assert "pull_request_target" not in text
    for job in jobs_of(path).values():
        assert "${{" not in scripts_of(job)


def test_commands_of_the_workflows_have_only_options_that_exist() -> None:
    found = 0
    for path in WORKFLOWS:
        for job in jobs_of(path).values():
            text = re.sub(r"\$\{\w+:\+([^}]*)\}", r"\1", scripts_of(job)).replace("\\\n", " ")
            for command in re.findall(r"haet-eval ([a-z]+[^|\n>]*)", text):
                name, *words = shlex.split(command)
                options = {option for parameter in COMMANDS[name].load().params for option in parameter.opts}
                assert {word for word in words if word.startswith("--")} <= options, command
                found += 1
    assert found >= 5


def test_hook_looks_at_the_submission_in_its_folder(tmp_path: Path) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    program, *words = shlex.split(hook["entry"])
    assert program == "haet-eval"
    submission = write_submission(tmp_path / "mine", "import os\ndef train(task):\n    os.fork()\n")
    done = subprocess.run(
        [sys.executable, "-m", "haet_eval.cli.main", *words, *hook["args"]],
        cwd=submission,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    assert re.search(hook["files"], "submission.py")
    assert "submission" in done.stdout
