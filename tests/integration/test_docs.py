"""Every command in the documentation is run, page by page, as a reader would type it.

A ```console block is run: its `$` lines in order, in one folder for the page, and what they print must be
what the page shows, but for numbers, names of records and the lines that it leaves out with `…`. A command
that no test machine can run, for want of a network or a cluster, stands in a ```sh block: the program must
take its words.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.unit.test_cli_examples import parsed

ROOT = Path(__file__).parents[2]
PAGES = sorted(path for path in ROOT.glob("docs/**/*.md") if "```console" in path.read_text("utf-8"))
NEEDS_DOCKER = {"organizers.md"}
SHELL = {"|", "||", "&&", "&", ";", ">", "2>&1", "<"}


@dataclass(frozen=True)
class Step:
    """A command, and what the page says it prints."""

    command: str
    shown: list[str]


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def _steps(page: Path) -> Iterator[Step]:
    for block in _blocks(page, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = part.splitlines()
            while shown and f"{shown[0]} ".startswith("> "):
                command += "\n" + shown.pop(0)[2:]
            yield Step(command, shown)


def _comparable(line: str) -> str:
    """Without what differs from run to run: digests, times, counts, the bars that they draw."""
    line = re.sub(r"\b[0-9a-f]{8,64}\b…?", "#", line)
    line = re.sub(r"[0-9][0-9.,⁰¹²³⁴⁵⁶⁷⁸⁹×T]*[a-zA-Z]?", "#", line)
    return re.sub(r"\s+", " ", re.sub(r"[█-▏━╸╺─]+", "", line)).strip()


def _missing(shown: list[str], printed: str) -> list[str]:
    """Lines of the page that were not printed, in their order."""
    lines = iter([_comparable(line) for line in printed.splitlines()])
    wanted = [line for line in shown if line.strip() not in ("", "…")]
    return [line for line in wanted if not any(_comparable(line) == found for found in lines)]


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """The environment of a reader's shell: haet-eval and its Python on the path, a home."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "haet-eval"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m haet_eval.cli.main "$@"\n')
    program.chmod(0o755)
    return {
        "PATH": f"{program.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "COLUMNS": "160",
        **{name: value for name, value in os.environ.items() if name.startswith(("DOCKER_", "HAET_REQUIRE"))},
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.docker] if page.name in NEEDS_DOCKER else []) for page in PAGES],
    ids=lambda page: page.stem,
)
def test_the_commands_of_a_page(page: Path, shell: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "reader"
    folder.mkdir()
    for name in ("docs", "submissions", "tests"):
        (folder / name).symlink_to(ROOT / name)
    for step in _steps(page):
        done = subprocess.run(
            ["bash", "-c", step.command],
            cwd=folder,
            env=shell,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        assert done.returncode == 0, f"$ {step.command}\n{done.stdout}"
        missing = _missing(step.shown, done.stdout)
        assert not missing, f"$ {step.command}\nis said to print\n{missing}\nand prints\n{done.stdout}"


def _commands_not_run() -> Iterator[tuple[Path, list[str]]]:
    for page in [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]:
        for block in _blocks(page, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words and words[0] == "haet-eval":
                    yield page, words[1:]


@pytest.mark.parametrize(
    ("page", "words"),
    list(_commands_not_run()),
    ids=lambda value: value.stem if isinstance(value, Path) else None,
)
def test_a_command_that_is_not_run_is_a_command_line_that_the_program_takes(
    page: Path, words: list[str]
) -> None:
    # What follows is the shell's.
    end = next((place for place, word in enumerate(words) if word in SHELL), len(words))
    parsed(words[:end])
