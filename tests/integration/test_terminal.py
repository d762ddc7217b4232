"""What people see: in real terminals of several widths, in pipes, without colour, without Unicode."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pexpect
import pyte
import pytest
from click.testing import CliRunner

from haet_eval.cli.main import COMMANDS, cli
from haet_eval.errors import ExitCode
from tests.fixtures.evaluator import FOREVER
from tests.fixtures.submissions import write_submission
from tests.fixtures.terminal import PATIENCE_SECONDS, PROGRAM, in_terminal

pytestmark = pytest.mark.slow

WIDTHS = [80, 120, 200]
ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[()=>][0-9AB]?)")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
TWO_STEPS = """
def train(task):
    model = Linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(2):
        loss = nn.functional.cross_entropy(model(task.images[:64]), task.labels[:64])
        loss.backward()
        optimizer.step()
        task.report(step=step)
    return model
"""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a submission and the record of its evaluation."""
    folder = tmp_path_factory.mktemp("terminal")
    write_submission(folder / "mine", TWO_STEPS, name="Größe × 2")
    done = piped("mine", "--sandbox", "process", cwd=folder)
    assert done.returncode == ExitCode.NOT_QUALIFIED, done.stderr
    return folder


def record(workplace: Path) -> str:
    (path,) = (workplace / "results").glob("*.json")
    return str(path.relative_to(workplace))


def piped(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    return subprocess.run(
        [*PROGRAM, *arguments], cwd=cwd, env=plain | variables, capture_output=True, text=True, check=False
    )


def printed(sent: str) -> list[str]:
    """The lines as the program ended them, not as the terminal broke them."""
    return [ESCAPE.sub("", line) for line in sent.split("\r\n")]


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_terminal(workplace: Path, width: int) -> None:
    looks: list[tuple[str, ...]] = [
        ("leaderboard", "--all"),
        ("explain", record(workplace)),
        ("verify", record(workplace)),
    ]
    if width == min(WIDTHS):
        looks += [("data", "list"), ("config",), ("--help",)]
    for look in looks:
        shown = in_terminal(*look, cwd=workplace, width=width)
        assert shown.status == ExitCode.QUALIFIED, shown.text
        for line in printed(shown.sent):
            assert len(line) <= width or line.startswith(("results/", "file /")), f"{look}: {line}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_fits_80_columns(name: str) -> None:
    help_text = CliRunner().invoke(cli, [name, "--help"], terminal_width=80).output
    assert max(len(line) for line in help_text.splitlines()) <= 80, help_text


def test_an_evaluation_leaves_its_stages_and_its_result(workplace: Path) -> None:
    shown = in_terminal("mine", "--sandbox", "process", "--results", "others", cwd=workplace)
    assert shown.status == ExitCode.NOT_QUALIFIED
    stages = [line.split()[1] for line in shown.lines if line.startswith("✓")]
    assert stages == ["unpack", "start", "train", "predict", "score", "record"]
    (train,) = (line for line in shown.lines if line.startswith("✓ train"))
    assert re.match(r"✓ train    [\d.]+ s of [\d,]+ s, [\d,]+ operations", train)
    assert "verdict       below_threshold" in shown.lines
    assert COLOUR.search(shown.sent)


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_if_the_environment_forbids_it(workplace: Path, variables: Mapping[str, str]) -> None:
    for look in (("explain", record(workplace)), ("verify", record(workplace))):
        shown = in_terminal(*look, cwd=workplace, variables=variables)
        coloured = [code for code in COLOUR.findall(shown.sent) if re.search(r"\[(?:.*;)?[34]\d", code)]
        assert not coloured, look
    if variables.get("TERM") == "dumb":
        shown = in_terminal(
            "mine", "--sandbox", "process", "--results", "o", cwd=workplace, variables=variables
        )
        assert "\x1b" not in shown.sent
        assert "train: Größe × 2" in shown.text


@pytest.mark.parametrize("variables", [{"CI": "true", "GITHUB_ACTIONS": "true"}, {"FORCE_COLOR": "1"}])
def test_a_log_has_no_control_characters(workplace: Path, variables: dict[str, str]) -> None:
    done = piped("mine", "--sandbox", "process", "--results", "piped", cwd=workplace, **variables)
    assert done.returncode == ExitCode.NOT_QUALIFIED
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", done.stderr)
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == [
        "unpack",
        "start",
        "train",
        "predict",
        "score",
        "record",
    ]
    assert bool(COLOUR.search(done.stdout)) == ("FORCE_COLOR" in variables)


def test_a_terminal_without_unicode_is_not_an_error(workplace: Path) -> None:
    for look in (
        ("explain", record(workplace)),
        ("leaderboard", "--all"),
        ("verify", record(workplace)),
        ("mine", "--sandbox", "process", "--results", "ascii"),
        ("nowhere…",),
    ):
        done = subprocess.run(
            [*PROGRAM, *look],
            cwd=workplace,
            env=os.environ | {"PYTHONIOENCODING": "ascii"},
            capture_output=True,
            check=False,
        )
        assert done.returncode in (ExitCode.QUALIFIED, ExitCode.NOT_QUALIFIED, ExitCode.USAGE)
        assert (done.stdout + done.stderr).isascii(), look
        assert b"Traceback" not in done.stderr
        assert b"itself failed" not in done.stderr


def test_a_count_is_not_garbled_without_unicode(workplace: Path) -> None:
    code = (
        "from haet_eval.cli.encoding import use_plain_text_where_needed as use; use(); print('2.962×10¹⁴ …')"
    )
    for encoding in ("ascii", "latin-1", "cp1252"):
        environment = os.environ | {"PYTHONIOENCODING": encoding}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
        assert done.stdout == b"2.962x10^14 ...\n"


@pytest.mark.parametrize(
    ("presses", "told"), [(1, "Interrupted: stopping the workers."), (3, "Interrupted twice: left at once.")]
)
def test_control_c_leaves_a_usable_terminal(tmp_path: Path, presses: int, told: str) -> None:
    write_submission(tmp_path / "endless", FOREVER)
    command = [*PROGRAM[1:], "endless", "--sandbox", "process"]
    with pexpect.spawn(
        PROGRAM[0],
        command,
        cwd=tmp_path,
        env=os.environ | {"TERM": "xterm"},
        dimensions=(40, 100),
        encoding="utf-8",
        timeout=PATIENCE_SECONDS,
    ) as program:
        program.expect(r"[\d.]+ s of 3,600 s, [1-9]")
        sent = program.before + program.after
        for _ in range(presses):
            program.sendcontrol("c")
            time.sleep(0.05)  # two at one time are one to the system
        sent += program.read()
    assert program.exitstatus == ExitCode.INTERRUPTED
    screen = pyte.Screen(100, 40)
    pyte.Stream(screen).feed(sent)
    assert told in "\n".join(screen.display)
    assert not screen.cursor.hidden
    assert len(list(tmp_path.glob("results/*.json"))) == (presses == 1)


def test_what_contestants_need_runs_without_modules_that_windows_lacks(workplace: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('fcntl', 'grp', 'pty', 'pwd', 'resource', 'termios', 'tty'):\n"
        "    sys.modules[name] = None\n"
        "from haet_eval.cli.main import main\n"
        "main()\n"
    )
    for look in (
        ("new", "fresh"),
        ("pack", "fresh"),
        ("leaderboard", "--all"),
        ("explain", record(workplace)),
        ("check", "--help"),
        ("--version",),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, *look], cwd=workplace, capture_output=True, text=True, check=False
        )
        assert done.returncode == ExitCode.QUALIFIED, done.stderr


def test_a_leaderboard_needs_no_torch(workplace: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *PROGRAM[1:], "leaderboard", "--all"],
        cwd=workplace,
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "pydantic" in imported
    assert imported.isdisjoint({"torch", "torchvision", "docker", "sklearn"})


def test_the_version_is_shown_without_torch() -> None:
    code = (
        "import importlib.metadata as metadata\n"
        "known = metadata.version\n"
        "def version(name):\n"
        "    if name == 'torch':\n"
        "        raise metadata.PackageNotFoundError(name)\n"
        "    return known(name)\n"
        "metadata.version = version\n"
        "from haet_eval.cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--version"], capture_output=True, text=True, check=True
    )
    assert "(torch not installed, image haet-eval-sandbox:" in done.stdout
