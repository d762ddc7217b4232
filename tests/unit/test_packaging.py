"""What a user gets who installs the wheel and has no checkout."""

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import haet_eval
from haet_eval.runtimes.image_files import build_context
from scripts.release_notes import CHANGELOG, release_notes

ROOT = Path(haet_eval.__file__).parents[1]
RESOURCES = (
    "competition.schema.json",
    "record.schema.json",
    "competitions/haet2021.toml",
    "competitions/digits.toml",
    "image/Dockerfile",
    "image/sandbox/constraints.txt",
    "image/sandbox/executor.py",
    "image/sandbox/submission.py",
    "image/sandbox/seccomp.json",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run_installed(installed: Path, code: str) -> str:
    """Runs code far from the checkout. The installed folder comes before the checkout's on the path."""
    environment = os.environ | {"PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=installed, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("name", RESOURCES)
def test_the_wheel_has_what_the_package_reads(installed: Path, name: str) -> None:
    assert (installed / "haet_eval" / "resources" / name).is_file()


def test_the_wheel_has_no_tests_and_every_module(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "haet_eval").rglob("*.py")}
    assert modules <= names
    assert not [name for name in names if name.startswith(("tests", "submissions"))]


def test_the_installed_package_is_typed_and_names_its_program(installed: Path) -> None:
    assert (installed / "haet_eval" / "py.typed").exists()
    (entry_points,) = installed.glob("*.dist-info/entry_points.txt")
    assert "haet-eval = haet_eval.cli.main:main" in entry_points.read_text()


def test_the_installed_package_builds_the_same_image(installed: Path) -> None:
    code = "from haet_eval.runtimes.image_files import build_context; print(build_context().digest)"
    assert run_installed(installed, code).strip() == build_context().digest


def test_every_requirement_has_a_tested_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    requirements = [*project["dependencies"], *(one for extra in extras.values() for one in extra)]
    names = {requirement.partition(">=")[0].lower() for requirement in requirements}
    required = {name for name in names if not name.startswith("haet-eval[")}
    files = (ROOT / "constraints.txt", ROOT / "sandbox" / "constraints.txt")
    lines = [line for file in files for line in file.read_text().lower().splitlines()]
    assert required <= {line.partition("==")[0] for line in lines}


def test_the_changelog_has_notes_for_this_version_and_none_for_others() -> None:
    changelog = CHANGELOG.read_text(encoding="utf-8")
    assert release_notes(haet_eval.__version__, changelog).startswith("### ")
    with pytest.raises(LookupError, match=r"nothing of 99\.0\.0"):
        release_notes("99.0.0", changelog)
