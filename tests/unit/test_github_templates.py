"""Workflows for other repositories: no code of an entry runs where something could be written or stolen."""

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from haet_eval import __version__
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


@pytest.mark.parametrize("path", [*WORKFLOWS, *WORKFLOWS[0].parent.glob("*.yml")], ids=lambda path: path.stem)
def test_actions_are_pinned_to_a_commit_that_nobody_can_move(path: Path) -> None:
    used = re.findall(r"uses: (\S+)(.*)", path.read_text("utf-8"))
    foreign = [(action, note) for action, note in used if not action.startswith("OWNER/haet-eval/")]
    assert foreign
    for action, note in foreign:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", note), f"{action} does not say its version"


def test_workflows_install_this_version_with_what_their_commands_need() -> None:
    for path in WORKFLOWS:
        text = path.read_text("utf-8")
        installed = re.findall(r"haet-eval(\[\w+\])?==([0-9.]+)", text)
        assert {version for _, version in installed} == {__version__}
        assert not re.search(r"pip install '?haet-eval(?!\S*==)", text)
        extras = {extra for extra, _ in installed}
        assert ("run: haet-eval check " in text) <= ("[local]" in extras), "check trains in local processes"
        assert ("--site" in text) <= ("[page]" in extras)


needs_jq = pytest.mark.skipif(shutil.which("jq") is None, reason="the steps filter JSON with jq")


def step_of(workflow: str, job: str, name: str) -> str:
    """The script of a step."""
    jobs = jobs_of(ROOT / "docs" / "templates" / "github" / f"{workflow}.yml")
    (script,) = [step["run"] for step in jobs[job]["steps"] if step.get("name", "").startswith(name)]
    return str(script)


def shell(script: str, folder: Path, **environment: str) -> str:
    """Runs a step as GitHub does; gives what it prints."""
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    command = ["git", *who, *words]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@needs_jq
def test_pull_request_is_listed_entry_by_entry_with_the_time_of_its_push(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    for name in ("kept/haet.toml", "gone/haet.toml", "changed/haet.toml"):
        (tmp_path / "entries" / name).parent.mkdir(parents=True)
        (tmp_path / "entries" / name).write_text("")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "Before")
    base = git(tmp_path, "rev-parse", "HEAD")
    git(tmp_path, "rm", "--quiet", "-r", "entries/gone")
    (tmp_path / "entries" / "changed" / "haet.toml").write_text("changed")
    (tmp_path / "entries" / "changed" / "model.py").write_text("")
    (tmp_path / "entries" / 'Ada, "first" $(touch no).zip').write_text("")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "After")

    script = step_of("entries", "evaluate", "List what")
    shell(script, tmp_path, BASE=base, RECEIVED="2026-05-01T12:00:00Z")
    rows = list(csv.DictReader((tmp_path / "received.csv").read_text().splitlines()))
    assert [row["path"] for row in rows] == ['entries/Ada, "first" $(touch no).zip', "entries/changed"]
    assert {row["received"] for row in rows} == {"2026-05-01T12:00:00Z"}
    assert not (tmp_path / "no").exists()


@pytest.fixture
def github(tmp_path: Path) -> Path:
    """A stand-in for GitHub's `gh`, which answers from files and keeps the comment; GitHub is not here."""
    program = tmp_path / "bin" / "gh"
    program.parent.mkdir()
    program.write_text(
        """#!/bin/bash
        while [ $# -gt 0 ]; do case "$1" in
            --jq) filter=$2; shift;;
            --body-file) body=$2; shift;;
            *) words="$words $1";;
        esac; shift; done
        case "$words" in
            *" pr list"*) jq -r "$filter" pulls.json;;
            *" api "*) jq -r "$filter" files.json;;
            *" pr comment 7 "*) cp "$body" comment.md;;
        esac
        """
    )
    program.chmod(0o755)
    (tmp_path / "verdict.md").write_text("qualified")
    (tmp_path / "pulls.json").write_text(json.dumps([{"number": 7, "headRefOid": "abc"}]))
    return tmp_path


def commented(folder: Path, commit: str, *files: dict[str, str]) -> str | None:
    (folder / "files.json").write_text(json.dumps(files))
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    script = step_of("publish", "comment", "Comment on")
    shell(script, folder, PATH=path, COMMIT=commit, REPOSITORY="o/r")
    comment = folder / "comment.md"
    return comment.read_text().strip() if comment.exists() else None


@needs_jq
def test_verdict_is_commented_on_a_pull_request_of_entries(github: Path) -> None:
    assert commented(github, "abc", {"filename": "entries/a.zip"}) == "qualified"


@needs_jq
def test_records_of_a_pull_request_that_changes_the_workflow_are_not_shown(github: Path) -> None:
    moved = {"filename": "entries/a.yml", "previous_filename": ".github/workflows/entries.yml"}
    said = "No verdict is shown: this pull request changes files outside of entries/."
    assert commented(github, "abc", {"filename": "entries/a.zip"}, moved) == said


@needs_jq
def test_nothing_is_commented_when_the_pull_request_went_on_or_is_closed(github: Path) -> None:
    assert commented(github, "older", {"filename": "entries/a.zip"}) is None


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
