import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

import pytest

from haet_eval.atomic import LEFTOVER_SECONDS, Draft, _sync_directory
from haet_eval.errors import EnvironmentProblem, UsageProblem, Verdict
from haet_eval.files import open_file
from haet_eval.ranking import rank, summarize
from haet_eval.record import Record, to_json
from haet_eval.store import RecordTooLarge, Store, read_listed, read_record
from tests.fixtures.records import make_record, make_training

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "haet-eval"


@pytest.fixture
def store(tmp_path: Path, cache: Path) -> Store:
    return Store(tmp_path / "results")


def files_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_record_comes_back_as_it_was_written(store: Store) -> None:
    record = make_record()
    path = store.add(record)
    assert read_record(path) == record
    assert path.name == f"20260501T120000Z-lovelace-resnet-9-ten-epochs-{record.record_id}.json"
    assert store.listing().records == {path: summarize(record)}


def test_names_of_files_are_harmless_whatever_the_submission_is_called(store: Store) -> None:
    path = store.add(make_record(team="../../etc\0\x1b[2J", name="$(reboot) Ümläut " + "x" * 400))
    assert path.parent == store.directory
    assert path.name.startswith("20260501T120000Z-etc-2j-reboot-umlaut-xxxxx")
    assert len(path.name) < 90
    assert store.add(make_record(team="日本", name="!")).name.startswith("20260501T120000Z-record-")


def test_a_record_is_never_overwritten(store: Store) -> None:
    record = make_record()
    path = store.add(record)
    before = path.stat()
    assert store.add(record) == path
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert files_in(store.directory) == [path.name]


def test_a_name_that_is_taken_stays_as_it_is(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"first")
    with Draft(tmp_path) as draft:
        draft.write(b"second")
        with pytest.raises(FileExistsError):
            draft.create(target)
    assert target.read_bytes() == b"first"
    assert files_in(tmp_path) == ["target"]


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_a_folder_that_cannot_be_synchronized_is_no_failure() -> None:
    """The file has its name by then."""
    folder = os.open("/proc", os.O_RDONLY)
    with pytest.raises(OSError, match="Invalid argument"):
        os.fsync(folder)
    os.close(folder)
    _sync_directory(Path("/proc"))


def test_an_artifact_is_named_by_its_digest(store: Store, tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    source = tmp_path / "weights"
    source.write_bytes(data)
    artifact = store.put_artifact(source, "safetensors")
    assert artifact == store.put_artifact(data, "safetensors")
    assert artifact.sha256 == hashlib.sha256(data).hexdigest()
    assert artifact.bytes == len(data)
    path = store.artifact_path(artifact)
    assert path is not None
    assert path.read_bytes() == data
    assert files_in(store.artifacts) == [f"{artifact.sha256}.safetensors"]


def test_an_artifact_that_is_not_there_has_no_path(store: Store) -> None:
    training = make_record().training
    assert training is not None
    assert store.artifact_path(training.histogram) is None


WRITER = """
import sys
from pathlib import Path
from haet_eval.store import Store
from tests.fixtures.records import make_record
store = Store(Path(sys.argv[1]))
for n in range(40):
    store.put_artifact(f"shared {n}".encode(), "bin")
    store.add(make_record(name=f"shared {n}"))
    store.add(make_record(name=f"writer {sys.argv[2]}, record {n}"))
    store.listing()
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)


def test_many_processes_write_at_once(store: Store) -> None:
    writers = [start(WRITER, store.directory, number) for number in range(4)]
    assert [writer.communicate(timeout=120) and writer.returncode for writer in writers] == [0] * 4
    listing = store.listing()
    assert listing.problems == ()
    assert len(listing.records) == 40 + 4 * 40
    assert len(files_in(store.artifacts)) == 40
    assert not list(store.directory.rglob(".haet-*"))


KILLED = """
import sys, time
from pathlib import Path
from haet_eval.atomic import Draft
with Draft(Path(sys.argv[1])) as draft:
    draft.write(b"half a record")
    print("writing", flush=True)
    time.sleep(600)
"""


def test_what_a_killed_writer_left_is_passed_over_and_removed_when_old(store: Store) -> None:
    store.prepare()
    path = store.add(make_record())
    writer = start(KILLED, store.directory)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "writing\n"
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    (leftover,) = store.directory.glob(".haet-*.tmp")
    store.prepare()
    assert leftover.exists(), "it may belong to a living writer"
    assert list(store.listing().records) == [path]
    long_ago = time.time() - LEFTOVER_SECONDS - 60
    os.utime(leftover, (long_ago, long_ago))
    store.prepare()
    assert not leftover.exists()
    assert path.exists()


def test_a_living_writers_draft_stays_however_old_it_looks(store: Store) -> None:
    store.prepare()
    writer = start(KILLED, store.directory)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "writing\n"
    (draft,) = store.directory.glob(".haet-*.tmp")
    long_ago = time.time() - LEFTOVER_SECONDS - 60
    os.utime(draft, (long_ago, long_ago))
    store.prepare()
    assert draft.exists()
    writer.kill()
    writer.communicate()
    store.prepare()
    assert not draft.exists()


def test_a_clock_that_is_25_hours_ahead_makes_no_draft_old_with_a_made_up_clock(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No test may set the machine's clock. The draft is of a writer on a host whose lock is not seen here."""
    store.prepare()
    draft = store.directory / ".haet-0123456789abcdef.tmp"
    draft.write_bytes(b"half a record")
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 25 * 3600)
    store.prepare()
    assert draft.exists()


def test_nothing_that_has_the_name_of_a_draft_is_waited_for(store: Store) -> None:
    store.prepare()
    pipe, loop = store.directory / ".haet-1.tmp", store.directory / ".haet-2.tmp"
    os.mkfifo(pipe)
    loop.symlink_to(loop)
    store.prepare()


def test_other_files_in_the_folder_are_skipped(store: Store) -> None:
    path = store.add(make_record())
    (store.directory / "notes.txt").write_text("hello")
    (store.directory / "package.json").write_text('{"name": "other"}')
    (store.directory / "broken.json").write_text("{")
    (store.directory / "list.json").write_text("[1, 2]")
    (store.directory / "binary.json").write_bytes(b"\xff\x00\xfe")
    (store.directory / "deep.json").write_text("[" * 100_000)
    (store.directory / "folder.json").mkdir()
    os.mkfifo(store.directory / "pipe.json")
    listing = store.listing()
    assert list(listing.records) == [path]
    assert listing.problems == ()


def test_a_copied_record_counts_once_under_any_name(store: Store) -> None:
    record = make_record()
    path = store.add(record)
    (store.directory / "copy.json").write_text(to_json(record))
    assert store.listing().entries == [summarize(record)]
    path.unlink()
    assert list(store.listing().records) == [store.directory / "copy.json"]


def cut_off(text: str) -> str:
    return text[:500]


def with_less_complexity(text: str) -> str:
    return text.replace("100000011000000", "1").replace("100000000000000000", "1")


def with_another_team(text: str) -> str:
    return text.replace("Lovelace", "Babbage")


def of_the_future(text: str) -> str:
    return text.replace('"schema_version": 2', '"schema_version": 3')


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut_off, "Invalid JSON"),
        (lambda text: "", "Invalid JSON"),
        (with_another_team, "does not match its digest"),
        (with_less_complexity, "add up"),
        (of_the_future, "schema_version"),
    ],
    ids=["cut off", "empty", "other team", "less complexity", "newer"],
)
def test_a_broken_record_is_reported(store: Store, damage: Callable[[str], str], reason: str) -> None:
    good = store.add(make_record(name="good"))
    bad = store.add(make_record(name="bad"))
    bad.write_text(damage(bad.read_text()))
    for listing in (store.listing(), store.listing()):
        assert list(listing.records) == [good]
        (problem,) = listing.problems
        assert problem.path == bad
        assert reason in problem.reason
    with pytest.raises(UsageProblem, match="no sound record"):
        read_record(bad)


def test_an_edited_record_is_reported_under_any_name(store: Store) -> None:
    store.add(make_record())
    edited = store.directory / "mine.json"
    edited.write_text(with_another_team(to_json(make_record())))
    assert [problem.path for problem in store.listing().problems] == [edited]


def test_the_listing_notices_every_change(store: Store) -> None:
    assert store.add(make_record(name="a")) in store.listing().records
    second = store.add(make_record(name="b"))
    assert len(store.listing().records) == 2
    text = second.read_text()
    second.write_text(text.replace("Lovelace", "Babbages"))
    assert len(store.listing().problems) == 1
    second.write_text(text)
    assert store.listing().problems == ()
    second.unlink()
    assert len(store.listing().records) == 1


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"{",
        b"[]",
        b'{"version": 1, "files": {"x.json": 3}}',
        b'{"version": 5}\n["x.json",[1],3]\n',
        b'{"version": 5}\n["x.j',
    ],
)
def test_the_cache_may_be_deleted_or_destroyed(store: Store, cache: Path, content: bytes | None) -> None:
    store.add(make_record())
    expected = store.listing()
    (remembered,) = cache.iterdir()
    if content is None:
        remembered.unlink()
    else:
        remembered.write_bytes(content)
    assert store.listing() == expected


def test_a_cache_with_one_damaged_byte_is_not_believed(store: Store, cache: Path) -> None:
    store.add(make_record())
    expected = store.listing()
    (remembered,) = cache.iterdir()
    whole = remembered.read_bytes()
    for place in range(0, len(whole), 5):
        damaged = bytearray(whole)
        damaged[place] ^= 1  # of a digit it makes another digit
        remembered.write_bytes(damaged)
        assert store.listing() == expected, whole[: place + 1]


def test_the_cached_listing_grows_only_by_the_changes(store: Store, cache: Path) -> None:
    paths = [store.add(make_record(name=f"submission {number}")) for number in range(5)]
    store.listing()
    (remembered,) = cache.iterdir()
    before = remembered.read_bytes()
    paths.append(store.add(make_record(name="one more")))
    paths.pop(0).unlink()
    assert list(store.listing().records) == sorted(paths)
    assert remembered.read_bytes().startswith(before)
    assert len(remembered.read_bytes().splitlines()) == 1 + 5 + 2
    for number in range(8):  # most of it is out of date now
        paths.append(store.add(make_record(name=f"later {number}")))
        paths.pop(0).unlink()
        assert list(store.listing().records) == sorted(paths)
        assert len(remembered.read_bytes().splitlines()) <= 1 + 2 * len(paths)


@contextmanager
def one_more_file_at_a_time() -> Iterator[None]:
    """In this block a process may open one more file, and then not a second one."""
    first, second = (os.open(os.devnull, os.O_RDONLY) for _ in range(2))
    os.close(first)
    os.close(second)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (second, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_record_that_could_not_be_read_for_a_while_is_read_again(store: Store) -> None:
    path = store.add(make_record())
    with one_more_file_at_a_time():
        (problem,) = store.listing().problems
    assert problem.reason == "cannot be read: Too many open files"
    listing = store.listing()
    assert (list(listing.records), listing.problems) == ([path], ())


def test_an_artefact_that_was_damaged_is_written_again_with_the_next_record(
    store: Store, tmp_path: Path
) -> None:
    other = Store(tmp_path / "other")
    for content in (b"trace", b"model"):
        other.put_artifact(content, "trace")
        kept = store.put_artifact(content, "trace")
        path = store.artifact_path(kept)
        assert path is not None
        path.write_bytes(content[:3] if content == b"trace" else b"MODEL")
    store.take_in(other)
    for path in other.artifacts.iterdir():
        assert (store.artifacts / path.name).read_bytes() == path.read_bytes()


def test_an_artefact_that_was_taken_in_is_read_once(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record of several runs takes in those of its earlier runs after each of them."""
    read: list[Path] = []

    def noted(path: Path, limit: int) -> BufferedReader:
        read.append(path)
        return open_file(path, limit)

    monkeypatch.setattr("haet_eval.store.open_file", noted)
    other = Store(tmp_path / "other")
    kept = [other.put_artifact(content, "trace") for content in (b"first", b"second")]
    Store(store.directory).take_in(other)
    for _ in range(3):
        store.take_in(other)
    assert len(read) == len(set(read)) == len(kept)


def test_no_record_is_written_that_no_reader_would_read(store: Store) -> None:
    made = make_record(log="x" * 16 * 1024**2)
    with pytest.raises(RecordTooLarge, match="and may have 16,777,216"):
        store.add(made)
    assert not list(store.directory.glob("*.json"))


def test_nothing_but_records_and_artifacts_lies_in_the_results(store: Store) -> None:
    path = store.add(make_record())
    store.put_artifact(b"x", "bin")
    store.listing()
    assert files_in(store.directory) == sorted([path.name, "artifacts"])


def test_a_machine_without_a_place_for_the_cache_lists_all_the_same(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    store.add(make_record())
    assert len(store.listing().records) == 1


def test_the_remembered_summary_is_the_one_that_was_read(store: Store) -> None:
    failed: list[Record] = [make_record(verdict=verdict, name=verdict, reason="x") for verdict in Verdict]
    for record in [*failed, make_record(training=make_training(10**30))]:
        store.add(record)
    fresh = store.listing()
    assert store.listing() == fresh
    assert rank(fresh.entries)[0].entry.complexity == 10**17 + 11_000_000


def test_a_directory_that_cannot_be_written_is_our_problem_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file")
    for write in (store.prepare, lambda: store.add(make_record()), lambda: store.put_artifact(b"", "x")):
        with pytest.raises(EnvironmentProblem, match="cannot be written") as caught:
            write()
        assert "--results" in caught.value.hint


def test_a_record_that_was_removed_after_it_was_listed_is_named_with_what_helps(store: Store) -> None:
    path = store.add(make_record())
    assert read_listed(path)[1] == path.read_bytes()
    path.unlink()
    with pytest.raises(EnvironmentProblem, match="was removed after it was listed") as caught:
        read_listed(path)
    assert caught.value.hint == "Run the command again."
    path.write_text("{}")
    with pytest.raises(UsageProblem):
        read_listed(path)


def test_what_has_the_name_of_a_folder_of_the_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "artifacts").touch()
    store = Store(tmp_path)
    for write in (store.prepare, lambda: store.put_artifact(b"", "x")):
        with pytest.raises(EnvironmentProblem, match="artifacts is not a folder") as caught:
            write()
        assert caught.value.hint.startswith(f"Move away {tmp_path / 'artifacts'}")


def test_a_directory_that_is_not_there_is_the_users_problem(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="cannot be read: No such file"):
        Store(tmp_path / "nothing").listing()


def test_a_record_is_found_by_the_beginning_of_its_id(store: Store) -> None:
    record = make_record()
    path = store.add(record)
    store.add(make_record(name="other"))
    assert store.find(record.record_id[:8]) == path
    with pytest.raises(UsageProblem, match="no record"):
        store.find("xyz")
    with pytest.raises(UsageProblem, match="2 records"):
        store.find("")


def test_records_are_plain_json_for_everyone_else(store: Store) -> None:
    document = json.loads(store.add(make_record(log="Ω\x1b[31m")).read_bytes())
    assert list(document)[:2] == ["schema_version", "record_id"]
    assert document["log"]["head"] == "Ω\x1b[31m"
