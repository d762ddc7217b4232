"""Fetching over a real HTTP server: checksums, interruption and resumption, mirrors."""

import re
from hashlib import md5
from pathlib import Path

import pytest

from haet_eval.data.download import download
from haet_eval.dataset import fetch_dataset
from haet_eval.errors import EnvironmentProblem, UsageProblem
from haet_eval.progress import Silent
from tests.fixtures.file_server import FileServer, serving

CONTENT = bytes(range(256)) * 4096
CHECKSUM = md5(CONTENT).hexdigest()


class Watching(Silent):
    def __init__(self) -> None:
        self.transfers: list[tuple[str, int, int | None]] = []
        self.notes: list[str] = []

    def transfer(self, what: str, done_bytes: int, total_bytes: int | None) -> None:
        self.transfers.append((what, done_bytes, total_bytes))

    def note(self, text: str) -> None:
        self.notes.append(text)


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_file_arrives_whole_and_is_not_fetched_twice(tmp_path: Path) -> None:
    watching = Watching()
    target = tmp_path / "new" / "file.bin"
    with serving(FileServer({"/file.bin": CONTENT})) as server:
        for _ in range(2):
            assert download([f"{server.address}/file.bin"], target, CHECKSUM, watching) == target
    assert target.read_bytes() == CONTENT
    assert server.requested == [None]
    assert watching.transfers[-1] == ("file.bin", len(CONTENT), len(CONTENT))
    assert names(target.parent) == ["file.bin"]


def test_dropped_connections_are_taken_up_where_they_broke(tmp_path: Path) -> None:
    watching = Watching()
    server = FileServer({"/file.bin": CONTENT}, drops=[2**17, 2**19])
    with serving(server):
        download([f"{server.address}/file.bin"], tmp_path / "file.bin", CHECKSUM, watching)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.requested == [None, "bytes=131072-", "bytes=655360-"]
    assert [done for _, done, _ in watching.transfers] == sorted(done for _, done, _ in watching.transfers)
    assert {total for _, _, total in watching.transfers} == {len(CONTENT)}


def test_the_next_call_goes_on_after_an_interruption(tmp_path: Path) -> None:
    class Interrupting(Silent):
        def transfer(self, what: str, done_bytes: int, total_bytes: int | None) -> None:
            raise KeyboardInterrupt

    with serving(FileServer({"/file.bin": CONTENT})) as server:
        with pytest.raises(KeyboardInterrupt):
            download([f"{server.address}/file.bin"], tmp_path / "file.bin", CHECKSUM, Interrupting())
        (part,) = tmp_path.iterdir()
        received = part.stat().st_size
        assert 0 < received < len(CONTENT)
        download([f"{server.address}/file.bin"], tmp_path / "file.bin", CHECKSUM, Silent())
    assert server.requested == [None, f"bytes={received}-"]
    assert names(tmp_path) == ["file.bin"]


def test_a_server_without_ranges_is_read_from_the_start(tmp_path: Path) -> None:
    server = FileServer({"/file.bin": CONTENT}, drops=[300_000], ranges=False)
    with serving(server):
        download([f"{server.address}/file.bin"], tmp_path / "file.bin", CHECKSUM, Silent())
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_given_up(tmp_path: Path) -> None:
    server = FileServer({"/file.bin": CONTENT * 2}, drops=[len(CONTENT) + 5, 0])
    with serving(server):
        with pytest.raises(EnvironmentProblem):
            download([f"{server.address}/file.bin"], tmp_path / "file.bin", CHECKSUM, Silent())
        server.files["/file.bin"] = CONTENT
        download([f"{server.address}/file.bin"], tmp_path / "file.bin", CHECKSUM, Silent())
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_mirror_that_lacks_or_falsifies_the_file_gives_way_to_the_next(tmp_path: Path) -> None:
    watching = Watching()
    files = {"/false/file.bin": CONTENT[:-1] + b"!", "/good/file.bin": CONTENT}
    with serving(FileServer(files)) as server:
        urls = [f"{server.address}/{mirror}/file.bin" for mirror in ("none", "false", "good")]
        download(urls, tmp_path / "file.bin", CHECKSUM, watching)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert names(tmp_path) == ["file.bin"]
    assert "404" in watching.notes[0]
    assert "hash" in watching.notes[1]


def test_a_false_archive_is_never_put_in_place(tmp_path: Path) -> None:
    with (
        serving(FileServer({"/cifar-10-python.tar.gz": CONTENT})) as server,
        pytest.raises(EnvironmentProblem, match="does not match") as caught,
    ):
        fetch_dataset("cifar10", tmp_path, Silent(), mirrors=[f"{server.address}/"])
    assert str(tmp_path / "cifar-10-python.tar.gz") in caught.value.hint
    assert names(tmp_path) == []


def test_no_server_is_an_environment_problem_that_says_what_to_do(tmp_path: Path) -> None:
    with serving(FileServer({})) as server:
        closed = server.address
    with pytest.raises(EnvironmentProblem, match="could not be fetched") as caught:
        fetch_dataset("cifar100", tmp_path, Silent(), mirrors=[closed, "no-address"])
    assert "mirror" in caught.value.hint


@pytest.mark.parametrize(
    ("mirror", "said"),
    [
        ("CLOSED", "connection refused"),
        ("EMPTY", "the server answered 404"),
        ("http://nowhere.invalid", "name"),
        ("no-address", "no-address"),
    ],
)
def test_what_kept_a_file_from_being_fetched_is_said_in_words(tmp_path: Path, mirror: str, said: str) -> None:
    with serving(FileServer({})) as server:
        closed = server.address
    with serving(FileServer({})) as server:
        address = {"CLOSED": closed, "EMPTY": server.address}.get(mirror, mirror)
        with pytest.raises(EnvironmentProblem) as caught:
            fetch_dataset("cifar100", tmp_path, Silent(), mirrors=[f"{address}/"])
    assert said in caught.value.message
    assert not re.search(r"[A-Z]\w+(Pool|Error|Connection)\b|Errno|object at", caught.value.message)


def test_a_folder_that_cannot_be_made_is_an_environment_problem(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentProblem):
        download(["http://127.0.0.1:9/x"], tmp_path / "file" / "x", CHECKSUM, Silent())


def test_digits_need_no_fetching(tmp_path: Path) -> None:
    watching = Watching()
    assert fetch_dataset("digits", tmp_path, watching) == tmp_path
    assert "nothing to fetch" in watching.notes[0]


def test_an_unknown_data_set_cannot_be_fetched(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="did you mean digits"):
        fetch_dataset("digit", tmp_path, Silent())
