"""What a user gets who installs the wheel and has no checkout."""

import os
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

import haet_eval
from haet_eval.errors import ExitCode
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


@pytest.fixture(scope="module")
def without_torch(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment that has the wheel and all that it requires, and no PyTorch."""
    packages = tmp_path_factory.mktemp("packages")
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(("torch", "functorch", "haet_eval", "_haet")) and entry.suffix != ".pth":
            (packages / entry.name).symlink_to(entry)
    return os.environ | {"PYTHONPATH": f"{installed}{os.pathsep}{packages}"}


def run_without_torch(environment: dict[str, str], folder: Path, *arguments: str) -> tuple[int, str]:
    """Runs the program; gives its exit status and all that it says."""
    command = [sys.executable, "-S", "-c", "from haet_eval.cli.main import main; main()", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


RECORDS = ROOT / "docs" / "reference-leaderboard"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        ["new", "entry", "--team", "Ada"],
        ["check", str(ROOT / "submissions" / "digits-cnn"), "--static"],
        ["pack", str(ROOT / "submissions" / "digits-cnn")],
        ["leaderboard", str(RECORDS)],
        ["verify", *sorted(map(str, RECORDS.glob("*small-cnn*.json")))],
        ["explain", str(min(RECORDS.glob("*.json")))],
        ["competition", "check", "digits"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_without_pytorch_everything_works_that_trains_nothing(
    without_torch: dict[str, str], tmp_path: Path, arguments: list[str]
) -> None:
    status, said = run_without_torch(without_torch, tmp_path, *arguments)
    assert status == 0, said


@pytest.mark.parametrize("arguments", [["check"], ["evaluate", "--sandbox", "process"]], ids=" ".join)
def test_without_pytorch_what_trains_here_names_what_to_install(
    without_torch: dict[str, str], tmp_path: Path, arguments: list[str]
) -> None:
    submission = str(ROOT / "submissions" / "digits-cnn")
    status, said = run_without_torch(without_torch, tmp_path, *arguments, submission)
    assert status == ExitCode.ENVIRONMENT
    assert "PyTorch is not installed here" in said
    assert "pip install 'haet-eval[local]'" in said


def test_without_pytorch_the_counter_names_what_to_install(without_torch: dict[str, str]) -> None:
    command = [sys.executable, "-S", "-c", "import haet_eval; haet_eval.OperationCounter"]
    done = subprocess.run(command, env=without_torch, capture_output=True, text=True, check=False)
    assert "pip install 'haet-eval[local]'" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", RESOURCES)
def test_the_wheel_has_what_the_package_reads(installed: Path, name: str) -> None:
    assert (installed / "haet_eval" / "resources" / name).is_file()


def test_the_wheel_has_no_tests_and_every_module(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "haet_eval").rglob("*.py")}
    assert modules <= names
    assert not [name for name in names if name.startswith(("tests", "submissions"))]


def test_the_wheel_has_the_sources_of_the_compiled_client_and_nothing_compiled(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    folder = ROOT / "haet_eval" / "remote" / "client" / "compiled" / "source"
    assert {str(path.relative_to(ROOT)) for path in folder.iterdir()} <= names
    assert not [name for name in names if name.endswith((".so", ".o"))]


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
