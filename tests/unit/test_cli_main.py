import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import haet_eval
from haet_eval.cli.boundary import BROKEN_PIPE_STATUS, run_guarded
from haet_eval.cli.main import COMMANDS, cli
from haet_eval.errors import EnvironmentProblem, ExitCode, HaetError, UsageProblem
from haet_eval.store import Store
from tests.fixtures.records import make_record
from tests.fixtures.submissions import write_submission

PROGRAM = (sys.executable, "-m", "haet_eval.cli.main")


def run(*arguments: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | variables
    return subprocess.run(
        [*PROGRAM, *arguments], capture_output=True, text=True, cwd=cwd, env=environment, check=False
    )


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(cli, ["--help"])
    assert result.exit_code == 0
    for name, command in COMMANDS.items():
        assert (f"  {name}" in result.output) is not command.hidden
        assert (command.summary in result.output) is not command.hidden


def test_version() -> None:
    torch, image = version("torch"), f"haet-eval-sandbox:{haet_eval.__version__}"
    assert run("--version").stdout == f"haet-eval {haet_eval.__version__} (torch {torch}, image {image})\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_be_loaded_and_has_help(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("evaluate", "--help")])
def test_help_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "haet_eval.cli.main", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "click" in imported
    assert imported.isdisjoint({"torch", "torchvision", "docker", "numpy", "pydantic", "requests", "rich"})


def test_a_mistyped_command_is_answered_with_the_right_one(tmp_path: Path) -> None:
    done = run("leadrboard", cwd=tmp_path)
    assert done.returncode == ExitCode.USAGE
    assert "'leadrboard' is neither a command nor an existing file or folder." in done.stderr
    assert "Did you mean 'leaderboard'?" in done.stderr
    assert done.stdout == ""


def test_what_looks_like_a_path_is_a_submission(tmp_path: Path) -> None:
    done = run("missing.zip", cwd=tmp_path)
    assert done.returncode == ExitCode.USAGE
    assert "'missing.zip' does not exist" in done.stderr
    assert "Usage: haet-eval evaluate" in done.stderr


def test_an_existing_folder_is_a_submission_and_its_faults_are_its_own(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    done = run("mine", "--sandbox", "process", cwd=tmp_path)
    assert done.returncode == ExitCode.INVALID_SUBMISSION
    assert "invalid_submission" in done.stdout
    assert "Traceback" not in done.stderr


def test_options_may_come_before_the_submission(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    done = run("--sandbox", "process", "mine", cwd=tmp_path)
    assert done.returncode == ExitCode.INVALID_SUBMISSION


def test_a_command_wins_over_a_folder_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "leaderboard").mkdir()
    assert run("leaderboard", "--help", cwd=tmp_path).stdout.startswith("Usage: haet-eval leaderboard")
    assert run("./leaderboard", "--sandbox", "process", cwd=tmp_path).returncode == 3


def test_an_unknown_option_is_a_usage_error() -> None:
    done = run("--sandbax", "process", "x.zip")
    assert done.returncode == ExitCode.USAGE
    assert "Did you mean '--sandbox'?" in done.stderr


def test_options_are_read_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    done = run("mine", cwd=tmp_path, HAET_SANDBOX="process", HAET_RESULTS="elsewhere", HAET_JSON="1")
    assert done.returncode == ExitCode.INVALID_SUBMISSION
    assert done.stdout.startswith("{")
    assert list((tmp_path / "elsewhere").glob("*.json"))


def test_a_wrong_value_from_the_environment_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    done = run("mine", cwd=tmp_path, HAET_SEED="-1")
    assert done.returncode == ExitCode.USAGE
    assert "--seed" in done.stderr


@pytest.mark.parametrize("error_class", [EnvironmentProblem, UsageProblem])
def test_a_problem_of_ours_is_reported_with_its_hint(
    error_class: type[HaetError], capsys: pytest.CaptureFixture[str]
) -> None:
    def program() -> None:
        raise error_class("No engine answers.", "Start one.", code="engine-absent")

    assert run_guarded(program) == error_class.exit_code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "Error: No engine answers. [engine-absent]\nHint: Start one.\n"


def test_an_unexpected_error_shows_a_traceback_only_on_request(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def program() -> None:
        raise ZeroDivisionError("by accident")

    monkeypatch.delenv("HAET_DEBUG", raising=False)
    assert run_guarded(program) == ExitCode.ENVIRONMENT
    told = capsys.readouterr().err
    assert "ZeroDivisionError: by accident" in told
    assert "report it" in told
    assert "Traceback" not in told

    monkeypatch.setenv("HAET_DEBUG", "1")
    assert run_guarded(program) == ExitCode.ENVIRONMENT
    assert 'raise ZeroDivisionError("by accident")' in capsys.readouterr().err


DATA = [
    "competition list --json",
    "leaderboard . --json",
    "leaderboard . --csv",
    "verify . --json",
    "check entry --static --json",
    "batch entry --dry-run --json",
]


def _closed_terminal() -> int:
    master, terminal = os.openpty()
    os.close(master)
    return terminal


def _pipe_without_a_reader() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


UNWRITABLE: dict[str, Callable[[], int]] = {
    "a full disk": lambda: os.open("/dev/full", os.O_WRONLY),
    "a file that is open for reading": lambda: os.open("/dev/null", os.O_RDONLY),
    "a terminal that was closed": _closed_terminal,
    "a reader that left": _pipe_without_a_reader,
}


@pytest.mark.parametrize("unwritable", UNWRITABLE.values(), ids=UNWRITABLE)
@pytest.mark.parametrize("command", DATA)
def test_a_result_that_is_lost_is_neither_a_verdict_nor_a_fault_of_ours(
    tmp_path: Path, command: str, unwritable: Callable[[], int]
) -> None:
    Store(tmp_path).add(make_record())
    write_submission(tmp_path / "entry", "def train(task):\n    return Linear()")
    stdout = unwritable()
    done = subprocess.run(
        [*PROGRAM, *command.split()],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    os.close(stdout)
    if unwritable is UNWRITABLE["a reader that left"]:
        assert done.returncode == BROKEN_PIPE_STATUS, done.stderr
    else:
        assert done.returncode == ExitCode.ENVIRONMENT
        assert "Error: the result could not be printed: " in done.stderr


def test_a_pipe_that_does_not_block_gets_all_of_a_result(tmp_path: Path) -> None:
    Store(tmp_path).add(make_record())
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    filling = 0
    with suppress(BlockingIOError):
        while True:
            filling += os.write(writer, b"x" * 4096)
    with subprocess.Popen([*PROGRAM, "leaderboard", ".", "--json"], stdout=writer, cwd=tmp_path) as process:
        os.close(writer)
        with suppress(subprocess.TimeoutExpired):  # time to find the pipe full
            process.wait(timeout=5)
        with os.fdopen(reader, "rb") as pipe:
            shown = pipe.read()[filling:]
        assert process.wait() == ExitCode.QUALIFIED
    assert len(json.loads(shown)["entries"]) == 1


@pytest.mark.parametrize("redirection", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    "command", ["competition list --json", "leaderboard . --json", "leaderboard . --csv", "verify . --json"]
)
def test_data_for_a_closed_stdout_are_lost_as_for_a_full_disk(
    tmp_path: Path, command: str, redirection: str
) -> None:
    Store(tmp_path).add(make_record())
    script = f"{shlex.join([*PROGRAM, *command.split()])} {redirection}"
    done = subprocess.run(
        ["bash", "-c", script], stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == ExitCode.ENVIRONMENT
    if "2>&-" not in redirection:
        assert "Error: the result could not be printed: stdout is closed [stdout-closed]" in done.stderr


STARTS_A_PROCESS = """
import subprocess, sys
from haet_eval.cli.streams import hold_streams
hold_streams()
look = (
    "import os, sys\\n"
    "found = [os.readlink(f'/proc/self/fd/{number}') for number in (0, 1, 2)]\\n"
    "open(sys.argv[1], 'w').write(' '.join(found))"
)
subprocess.run([sys.executable, "-c", look, sys.argv[1]], check=True)
"""


def test_no_file_of_a_process_that_we_start_stands_for_a_stream_that_was_closed(tmp_path: Path) -> None:
    found = tmp_path / "found"
    script = f"{shlex.join([sys.executable, '-c', STARTS_A_PROCESS, str(found)])} <&- >&- 2>&-"
    subprocess.run(["bash", "-c", script], check=True)
    assert found.read_text() == "/dev/null /dev/null /dev/null"


def test_a_closed_stdout_costs_nothing_if_nothing_is_printed_there(tmp_path: Path) -> None:
    Store(tmp_path).add(make_record())
    script = f"{shlex.join([*PROGRAM, 'leaderboard', '.', '--html', 'page.html'])} >&-"
    done = subprocess.run(
        ["bash", "-c", script], stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == ExitCode.QUALIFIED, done.stderr
    assert (tmp_path / "page.html").exists()


def test_a_file_that_may_not_be_used_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    def program() -> None:
        raise PermissionError(13, "Permission denied", "locked/rules.toml")

    assert run_guarded(program) == ExitCode.ENVIRONMENT
    told = capsys.readouterr().err
    assert "locked/rules.toml may not be used by this user: Permission denied [not-permitted]" in told
    assert "Hint: Check its owner and permissions" in told


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(24, "Too many open files"), "Too many open files [too-many-files]"),
        (MemoryError("Unable to allocate 5 MiB"), "Unable to allocate 5 MiB [out-of-memory]"),
    ],
)
def test_a_lack_of_the_machine_is_not_a_fault_of_ours(
    error: Exception, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def program() -> None:
        raise error

    assert run_guarded(program) == ExitCode.ENVIRONMENT
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith(words)
    assert second.startswith("Hint: ")


def test_a_closed_stdout_is_not_a_failure() -> None:
    command = f"{sys.executable} -m haet_eval.cli.main competition list >&-"
    done = subprocess.run(command, shell=True, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_messages_cannot_drive_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    def program() -> None:
        raise UsageProblem("a file named \x1b[2J\u202egpj.exe", code="file-type")

    run_guarded(program)
    told = capsys.readouterr().err
    assert "\x1b" not in told
    assert "\u202e" not in told


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupt_has_its_own_status(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    def program() -> None:
        raise error

    assert run_guarded(program) == ExitCode.INTERRUPTED
    assert capsys.readouterr().err == "Interrupted.\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_unwinds_the_program(number: signal.Signals) -> None:
    code = (
        "import sys, time\n"
        "from haet_eval.cli.boundary import run_guarded\n"
        "def program():\n"
        "    try:\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(60)\n"
        "    finally:\n"
        "        print('cleaned up', flush=True)\n"
        "sys.exit(run_guarded(program))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.read() == "cleaned up\n"
        assert process.wait() == ExitCode.INTERRUPTED


def test_a_reader_that_goes_away_is_not_an_error() -> None:
    code = (
        "import sys\n"
        "from haet_eval.cli.boundary import run_guarded\n"
        "sys.exit(run_guarded(lambda: print('x' * 10_000_000)))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == BROKEN_PIPE_STATUS


def test_the_status_is_what_the_program_returns() -> None:
    assert run_guarded(lambda: ExitCode.LIMIT) == ExitCode.LIMIT
    assert run_guarded(lambda: None) == ExitCode.QUALIFIED


def test_a_reader_that_goes_away_from_a_table_does_not_change_the_verdict() -> None:
    program = (
        "import sys, time; from haet_eval.cli.boundary import run_guarded;"
        "from haet_eval.cli.text import result_console; time.sleep(1);"
        "sys.exit(run_guarded(lambda: [result_console().print('row') for _ in range(10_000)]))"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait() == BROKEN_PIPE_STATUS


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("option", "status"), [("--version", ExitCode.QUALIFIED), ("--nonsense", ExitCode.USAGE)]
)
def test_a_signal_while_the_program_ends_does_not_change_its_status(
    option: str, status: ExitCode, number: signal.Signals
) -> None:
    program = f"""
import atexit, os, sys
from haet_eval.cli.main import main
atexit.register(lambda: os.kill(os.getpid(), {int(number)}))
sys.argv = ["haet-eval", {option!r}]
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert "Traceback" not in done.stderr
