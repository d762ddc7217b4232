"""What the README tells people to write and to type works."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from haet_eval.cli.main import COMMANDS
from haet_eval.competition import builtin_competitions, competition_for_task, load_competition
from haet_eval.dataset import default_data_dir
from haet_eval.errors import ExitCode, Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from haet_eval.submission import load_submission

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """The first block in a language."""
    found, *_ = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return str(found)


def test_the_counter_in_it_counts() -> None:
    *_, code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert "OperationCounter" in code
    training = "import torch\ndef train():\n    torch.ones(3) * 2\n"
    done = subprocess.run(
        [sys.executable, "-c", training + code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_submission_in_it_qualifies(tmp_path: Path) -> None:
    folder = tmp_path / "submission"
    folder.mkdir()
    (folder / "haet.toml").write_text(block("toml"), encoding="utf-8")
    (folder / "submission.py").write_text(block("python"), encoding="utf-8")
    request = Request(folder, default_data_dir(), tmp_path / "results", sandbox="process")
    record = evaluate(request).record
    assert record.status.verdict is Verdict.QUALIFIED, record.status.reason
    assert len(record.reports) == 10


def test_the_commands_in_it_exist() -> None:
    named = set(re.findall(r"^haet-eval ([a-z]+) ", README, re.MULTILINE))
    assert {"image", "data", "leaderboard"} <= named <= set(COMMANDS)


def test_every_competition_has_a_row_with_a_command() -> None:
    rows = re.findall(
        r"^\| `([\w-]+)` \| .* \| `haet-eval (\S+)(?: --competition (\S+))?.*` \|$", README, re.MULTILINE
    )
    assert sorted(name for name, _, _ in rows) == list(builtin_competitions())
    for name, submission, competition in rows:
        assert (ROOT / submission / "haet.toml").is_file()
        task = load_submission(ROOT / submission).task
        assert (competition or competition_for_task(task)) == name
        assert task in load_competition(name).tasks


def test_the_table_of_exit_statuses_is_complete() -> None:
    assert [int(status) for status in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)] == sorted(ExitCode)


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")])
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert not [target for target in targets if not (page.parent / target).exists()]
