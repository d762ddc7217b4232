"""Completion in the shells themselves: a key is pressed, and the line is read."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

from haet_eval.cli.suggestions import DATASETS
from haet_eval.competition import builtin_competitions
from haet_eval.dataset import dataset_names
from tests.fixtures.submissions import write_submission

SHELLS = ["bash", "zsh", "fish"]
RECORD = "20260102T030405Z-ada-a-net-0123456789abcdef.json"
START = {
    "bash": (["--norc", "--noprofile", "-i"], "source completion.bash"),
    "zsh": (["-f", "-i"], "autoload -Uz compinit; compinit -u -D; source completion.zsh"),
    "fish": (["--no-config", "-i"], "source completion.fish"),
}
CONTROL = re.compile(r"\x1b(\[[0-9;?<>=]*[A-Za-z]|\][^\x07]*\x07|[()=>][0-9AB]?)|[\r\x07\x08]")


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder with submissions, rules and a record, and the program on the path."""
    write_submission(tmp_path / "zubmission", "def train(task): ...")
    (tmp_path / "zipped one.zip").touch()
    (tmp_path / "zrules.toml").touch()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / RECORD).touch()
    program = tmp_path / "bin" / "haet-eval"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom haet_eval.cli.main import main\nmain()\n", encoding="utf-8")
    program.chmod(0o755)
    return tmp_path


@contextmanager
def shell(name: str, folder: Path) -> Iterator[pexpect.spawn]:
    """The shell, interactive in a terminal of its own, with completion switched on as the help says."""
    if shutil.which(name) is None:
        pytest.skip(f"needs {name}")
    environment = os.environ | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "HOME": str(folder)}
    environment |= {"TERM": "xterm", "PS1": "> ", "INPUTRC": "/dev/null"}
    script = subprocess.run(
        ["haet-eval", "completion", name], env=environment, capture_output=True, text=True, check=True
    )
    (folder / f"completion.{name}").write_text(script.stdout, encoding="utf-8")
    options, setup = START[name]
    with pexpect.spawn(
        name, options, cwd=folder, env=environment, dimensions=(50, 160), encoding="utf-8", timeout=60
    ) as terminal:
        terminal.sendline(f"{setup}; echo set''up")
        terminal.expect("setup")
        yield terminal
        terminal.sendcontrol("c")


def complete(terminal: pexpect.spawn, line: str, wanted: str) -> None:
    """Type the line, press the key, and wait for the completed word."""
    terminal.sendcontrol("u")
    terminal.send(line)
    seen = ""
    for _ in range(3):  # zsh and fish show a list at the second
        terminal.send("\t")
        try:
            while wanted not in CONTROL.sub("", seen):
                seen += terminal.read_nonblocking(4096, timeout=8)
        except pexpect.TIMEOUT:
            continue
        return
    pytest.fail(f"{line!r} was not completed to {wanted!r}: {CONTROL.sub('', seen)!r}")


@pytest.mark.parametrize("name", SHELLS)
def test_commands_options_and_values(name: str, workplace: Path) -> None:
    with shell(name, workplace) as terminal:
        complete(terminal, "haet-eval leade", "haet-eval leaderboard")
        complete(terminal, "haet-eval evaluate --sandb", "--sandbox")
        complete(terminal, "haet-eval evaluate --sandbox pro", "process")
        complete(terminal, "haet-eval data fe", "fetch")
        complete(terminal, "haet-eval data fetch dig", "digits")


@pytest.mark.parametrize("name", SHELLS)
def test_submissions_competitions_tasks_and_records(name: str, workplace: Path) -> None:
    with shell(name, workplace) as terminal:
        complete(terminal, "haet-eval zu", "zubmission/")
        complete(terminal, "haet-eval zubmission --competition haet2023-pr", "haet2023-practice")
        complete(terminal, "haet-eval zubmission --competition zru", "zrules.toml")
        complete(terminal, "haet-eval zubmission --competition digits --task d", "digits")
        complete(terminal, "haet-eval explain results/2026", RECORD)
        complete(terminal, "haet-eval explain 0123", "0123456789abcdef")


def test_names_with_spaces_are_quoted_and_equals_signs_understood_in_bash(workplace: Path) -> None:
    with shell("bash", workplace) as terminal:
        complete(terminal, "haet-eval zi", r"zipped\ one.zip")
        complete(terminal, "haet-eval zubmission --competition=haet2023-pr", "haet2023-practice")


def test_a_completion_brings_in_nothing_heavy(workplace: Path) -> None:
    asked = {
        "_HAET_EVAL_COMPLETE": "bash_complete",
        "COMP_WORDS": "haet-eval\nx.zip\n--task\n",
        "COMP_CWORD": "3",
    }
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "haet_eval.cli.main"],
        env=os.environ | asked,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["plain,cifar10", "plain,cifar100", "plain,digits"]
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "click" in imported
    assert imported.isdisjoint({"torch", "docker", "numpy", "pydantic", "requests", "rich"})


def test_completion_offers_exactly_the_existing_names() -> None:
    assert sorted(DATASETS) == sorted(dataset_names())
    asked = {
        "_HAET_EVAL_COMPLETE": "bash_complete",
        "COMP_WORDS": "haet-eval\nx.zip\n--competition\n",
        "COMP_CWORD": "3",
    }
    done = subprocess.run(
        [sys.executable, "-m", "haet_eval.cli.main"],
        env=os.environ | asked,
        cwd="/proc/self",
        capture_output=True,
        text=True,
        check=True,
    )
    names = [line.removeprefix("plain,") for line in done.stdout.split() if not line.endswith("/")]
    assert sorted(names) == sorted(builtin_competitions())
