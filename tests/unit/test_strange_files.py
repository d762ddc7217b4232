"""What lies where a record, an artefact or a key is looked for: it is refused by name, and nothing waits."""

import json
import os
import shutil
import signal
import socket
import stat
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from haet_eval.atomic import write_output
from haet_eval.batch.node import reserved
from haet_eval.check.standing import rivals_on
from haet_eval.cli.main import cli
from haet_eval.errors import EnvironmentProblem, ExitCode, UsageProblem, Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from haet_eval.files import StrangeFile, open_file, read_file
from haet_eval.incidents import describe
from haet_eval.record import Record
from haet_eval.remote.answers import read_answers
from haet_eval.remote.recount import recount
from haet_eval.remote.trace import BrokenTrace, trace_version
from haet_eval.signing import make_keys
from haet_eval.spelling import suggested_path
from haet_eval.store import Store
from tests.fixtures.records import make_record
from tests.fixtures.submissions import write_submission

_PATIENCE_SECONDS = 60


def named_pipe(path: Path) -> None:
    os.mkfifo(path)


def endless_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def terminal(path: Path) -> None:
    path.symlink_to("/dev/tty")


def link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def link_to_nowhere(path: Path) -> None:
    path.symlink_to("nowhere")


def directory(path: Path) -> None:
    path.mkdir()


def listening_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's path may have 107 bytes only
        try:
            one.bind(path.name)
        finally:
            os.chdir(here)


def hundred_megabytes(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b'{"x":"')
        file.truncate(100 * 2**20)


STRANGE = [
    named_pipe,
    endless_device,
    terminal,
    link_to_itself,
    link_to_nowhere,
    directory,
    listening_socket,
    hundred_megabytes,
]
Maker = Callable[[Path], None]
strange = pytest.mark.parametrize("make", STRANGE, ids=lambda make: make.__name__)


@pytest.fixture(autouse=True)
def _impatient() -> Iterator[None]:
    """A command that waits for ever fails its test instead of stopping them all."""

    def waited(*_: object) -> None:
        raise TimeoutError("it waits")

    before = signal.signal(signal.SIGALRM, waited)
    signal.alarm(_PATIENCE_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def record() -> Record:
    return make_record()


@pytest.fixture
def path(tmp_path: Path, record: Record) -> Path:
    return Store(tmp_path / "results").add(record)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, list(map(str, arguments)))


def differing(path: Path, data_dir: Path) -> dict[str, str]:
    """What `verify` says of the checks that differ."""
    (found,) = json.loads(run("verify", path, "--data-dir", data_dir, "--json").stdout)
    assert found["result"] == "contradicted"
    return {one["subject"]: one["detail"] for one in found["checks"] if one["result"] == "differs"}


TEXTS = {
    "receipts": ["leaderboard", "RESULTS", "--receipts", "TEXT"],
    "settings": ["--config", "TEXT", "config"],
}
OUTPUTS = {
    "pack": ["pack", "MINE", "-o"],
    "leaderboard": ["leaderboard", "RESULTS", "--html"],
}
PLACES = {
    "results": ["evaluate", "MINE", "--sandbox", "process", "--results", "LOOP"],
    "in-results": ["evaluate", "MINE", "--sandbox", "process", "--results", "INSIDE"],
    "data": ["data", "verify", "cifar10", "--data-dir", "LOOP"],
    "batch": ["batch", "MINE", "--sandbox", "process", "--results", "LOOP"],
    "leaderboard": ["leaderboard", "LOOP"],
    "ids": ["verify", "3f2a", "--results", "LOOP"],
    "page": ["leaderboard", "RESULTS", "--html", "LOOP"],
    "site": ["leaderboard", "RESULTS", "--site", "LOOP"],
    "resume": ["resume", "run", "--results", "LOOP"],
    "new": ["new", "LOOP"],
}
DEEP = {
    "settings": ["--config", "deep.toml", "config"],
    "rules": ["competition", "check", "deep.toml"],
    "list": ["batch", "deep.toml", "--dry-run"],
}
COMMANDS = {
    "verify": ["verify"],
    "explain": ["explain"],
    "export": ["export", "-o", "bundle.zip"],
    "sign": ["sign", "--key", "judge"],
}


@strange
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_as_a_record_it_is_refused(
    path: Path, make: Maker, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_keys(Path("judge"))
    other = path.with_name("other.json")
    make(other)
    problem = run(*command, other).exception
    assert isinstance(problem, UsageProblem), problem
    assert str(other) in problem.message


@strange
def test_among_records_it_is_reported(path: Path, make: Maker) -> None:
    make(path.with_name(path.name.replace("-res", "-another-res")))
    make(path.with_name("no-name-of-a-record.json"))
    listing = Store(path.parent).listing()
    assert list(listing.records) == [path]
    (problem,) = listing.problems
    assert "cannot be read" in problem.reason
    assert problem.path.name in run("leaderboard", path.parent).stderr


@strange
def test_as_an_artefact_it_is_named(path: Path, record: Record, make: Maker, tmp_path: Path) -> None:
    (path.parent / "artifacts").mkdir()
    assert record.trace is not None
    target = path.parent / "artifacts" / f"{record.trace.sha256}.trace"
    make(target)
    found = differing(path, tmp_path)["trace"]
    assert target.name in found
    assert "bytes" in found if make is hundred_megabytes else "cannot be read" in found
    problem = run("export", path, "-o", tmp_path / "bundle.zip").exception
    assert isinstance(problem, UsageProblem), problem
    assert not (tmp_path / "bundle.zip").exists()


@strange
@pytest.mark.parametrize("option", ["--modules", "--memory"])
def test_as_a_trace_that_is_explained_it_is_named(
    path: Path, record: Record, make: Maker, option: str
) -> None:
    (path.parent / "artifacts").mkdir()
    assert record.trace is not None
    target = path.parent / "artifacts" / f"{record.trace.sha256}.trace"
    make(target)
    problem = run("explain", path, option).exception
    assert isinstance(problem, UsageProblem), problem
    assert target.name in str(problem)
    assert ("was changed" if make is hundred_megabytes else "cannot be read") in str(problem)


@pytest.mark.parametrize("make", [named_pipe, endless_device, directory])
def test_as_a_trace_it_is_no_trace(make: Maker, tmp_path: Path) -> None:
    make(tmp_path / "trace")
    for read in (recount, trace_version, lambda path: list(read_answers(path))):
        with pytest.raises(BrokenTrace, match="cannot be read"):
            read(tmp_path / "trace")


@strange
def test_as_a_signature_it_is_named(path: Path, make: Maker, tmp_path: Path) -> None:
    signature = path.with_suffix(".dsse.json")
    make(signature)
    assert f"{signature.name} cannot be read" in differing(path, tmp_path)["signature"]


@strange
def test_as_a_key_it_is_refused(path: Path, make: Maker, tmp_path: Path) -> None:
    make(tmp_path / "key")
    for command in (["verify", path], ["sign", path]):
        problem = run(*command, "--key", tmp_path / "key").exception
        assert isinstance(problem, UsageProblem), problem
        assert str(tmp_path / "key") in problem.message


@strange
def test_as_rules_it_is_refused(path: Path, make: Maker, tmp_path: Path) -> None:
    make(tmp_path / "rules.toml")
    problem = run("leaderboard", path.parent, "--competition", tmp_path / "rules.toml").exception
    assert isinstance(problem, UsageProblem), problem
    assert "rules.toml" in problem.message


@strange
@pytest.mark.parametrize("command", TEXTS.values(), ids=TEXTS)
def test_as_a_text_that_a_command_reads_it_is_refused(
    path: Path, make: Maker, command: list[str], tmp_path: Path
) -> None:
    make(tmp_path / "text")
    places = {"TEXT": str(tmp_path / "text"), "RESULTS": str(path.parent)}
    done = run(*(places.get(word, word) for word in command))
    problem = done.exception
    assert isinstance(problem, UsageProblem) or done.exit_code == ExitCode.USAGE, problem
    assert str(tmp_path / "text") in done.output + getattr(problem, "message", "")


@strange
def test_as_a_leaderboard_to_compare_with_it_is_refused(make: Maker, tmp_path: Path) -> None:
    make(tmp_path / "leaderboard.json")
    with pytest.raises(UsageProblem, match="is no leaderboard"):
        rivals_on(tmp_path / "leaderboard.json", "digits", "digits")


@strange
def test_as_an_incident_it_is_named(make: Maker, tmp_path: Path) -> None:
    make(tmp_path / "incident.json")
    assert describe(tmp_path / "incident.json") == "incident.json cannot be read"


@pytest.mark.parametrize("command", OUTPUTS.values(), ids=OUTPUTS)
def test_an_output_that_is_a_device_or_a_pipe_stays_one(
    path: Path, command: list[str], tmp_path: Path
) -> None:
    places = {
        "MINE": str(write_submission(tmp_path / "mine", "def train(task): ...")),
        "RESULTS": str(path.parent),
    }
    words = [places.get(word, word) for word in command]
    (tmp_path / "device.zip").symlink_to("/dev/null")
    assert run(*words, tmp_path / "device.zip").exit_code == 0
    assert (tmp_path / "device.zip").is_char_device()

    named_pipe(tmp_path / "pipe.zip")
    unread = run(*words, tmp_path / "pipe.zip").exception
    assert isinstance(unread, EnvironmentProblem), unread
    assert str(tmp_path / "pipe.zip") in unread.message
    assert (tmp_path / "pipe.zip").is_fifo()


def test_an_output_goes_through_a_pipe_and_through_links(tmp_path: Path) -> None:
    named_pipe(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_output(tmp_path / "pipe", b"content")
    assert os.read(reader, 100) == b"content"
    os.close(reader)
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("file")
    write_output(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"new"


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755])
def test_an_output_keeps_the_permissions_of_the_file_that_it_replaces(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(mode)
    write_output(path, b"new")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", mode)


@pytest.mark.parametrize("command", DEEP.values(), ids=DEEP)
def test_brackets_in_brackets_in_brackets_are_a_mistake_of_the_file(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep.toml").write_text(f"x = {'[' * 100_000}{']' * 100_000}", "utf-8")
    problem = run(*command).exception
    assert isinstance(problem, UsageProblem), problem
    assert "deep.toml" in problem.message


@pytest.mark.parametrize("command", PLACES.values(), ids=PLACES)
def test_as_a_folder_a_loop_of_links_is_named(path: Path, command: list[str], tmp_path: Path) -> None:
    link_to_itself(tmp_path / "loop")
    places = {
        "LOOP": str(tmp_path / "loop"),
        "INSIDE": str(tmp_path / "loop" / "inside"),
        "MINE": str(write_submission(tmp_path / "mine", "def train(task): ...")),
        "OTHER": str(tmp_path / "other"),
        "RESULTS": str(path.parent),
    }
    done = run(*(places.get(word, word) for word in command))
    problem = done.exception
    assert isinstance(problem, UsageProblem | EnvironmentProblem) or done.exit_code == ExitCode.USAGE, problem
    assert str(tmp_path / "loop") in done.output + getattr(problem, "message", "")
    assert (tmp_path / "loop").is_symlink()


@strange
def test_as_the_rules_of_an_evaluation_it_is_refused(make: Maker, tmp_path: Path) -> None:
    """An evaluation keeps a copy of them for the checkpoints, before it reads them as rules."""
    rules = tmp_path / "rules.toml"
    make(rules)
    mine = write_submission(tmp_path / "mine", "def train(task): ...")
    results = tmp_path / "results"
    problem = run(
        "evaluate", mine, "--competition", rules, "--sandbox", "process", "--results", results
    ).exception
    assert isinstance(problem, UsageProblem), problem
    assert f"{rules} cannot be read" in problem.message


def test_an_archive_of_a_terabyte_is_refused_and_not_read_to_its_end(tmp_path: Path) -> None:
    archive = tmp_path / "entry.zip"
    with archive.open("wb") as file:
        file.truncate(2**40)
    request = Request(archive, tmp_path, tmp_path / "results", sandbox="process")
    record = evaluate(request).record
    assert record.status.verdict is Verdict.INVALID_SUBMISSION
    assert "larger than" in record.status.reason
    assert (record.submission.archive_bytes, record.submission.archive_sha256) == (2**40, None)


@pytest.mark.parametrize("make", [link_to_itself, link_to_nowhere])
def test_what_does_not_exist_is_not_proposed_in_its_own_place(make: Maker, tmp_path: Path) -> None:
    make(tmp_path / "entry.zip")
    assert suggested_path(tmp_path / "entry.zip") == ""
    (tmp_path / "entry2.zip").touch()
    assert suggested_path(tmp_path / "entry.zip") == f"; did you mean {tmp_path / 'entry2.zip'}?"


def test_an_incident_of_brackets_in_brackets_is_named(tmp_path: Path) -> None:
    (tmp_path / "incident.json").write_text("[" * 100_000, "utf-8")
    assert describe(tmp_path / "incident.json") == "incident.json cannot be read"


@strange
def test_as_the_lock_of_a_machine_it_is_refused(make: Maker, tmp_path: Path) -> None:
    if make is hundred_megabytes:
        pytest.skip("the size of a lock does not matter")
    lock = tmp_path / "lock"
    make(lock)
    with pytest.raises(EnvironmentProblem, match="lock"), reserved(alone=True, lock=lock):
        pass


def test_a_file_that_grows_while_it_is_read_is_refused_as_well(tmp_path: Path) -> None:
    """A file in /proc states a size of 0 and has a content."""
    with pytest.raises(StrangeFile, match="larger than 10 bytes"):
        read_file(Path("/proc/self/status"), 10)


def test_what_is_a_file_is_read_through_links(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_file(tmp_path / "link", 7) == b"content"
    with open_file(tmp_path / "file", 7) as file:
        assert file.read() == b"content"
    shutil.rmtree(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "link", 7)


def test_a_small_file_takes_no_more_memory_than_it_has_bytes(tmp_path: Path) -> None:
    # The remembered summaries of a results folder may be a gigabyte: `leaderboard` of a single record asked
    # for that much, and failed under `ulimit -v`.
    path = tmp_path / "small"
    path.write_bytes(b"0123456789")
    tracemalloc.start()
    try:
        content = read_file(path, 1024**3)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert content == b"0123456789"
    assert peak_bytes < 1024**2


def test_a_file_whose_size_is_not_known_beforehand_is_read_whole() -> None:
    # The kernel gives such files a size of 0. The same happens to one that grows after it was opened.
    assert read_file(Path("/proc/self/status"), 1024**2).startswith(b"Name:")
    with pytest.raises(StrangeFile, match="larger than 10 bytes"):
        read_file(Path("/proc/self/status"), 10)
