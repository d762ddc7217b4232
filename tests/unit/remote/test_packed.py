"""Packed files and their snapshots."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haet_eval.errors import EnvironmentProblem
from haet_eval.remote import answers
from haet_eval.remote.answers import AnswersWriter, read_answers
from haet_eval.remote.packed import Broken
from haet_eval.remote.wire import AnswerStatus

ANSWERS = st.lists(
    st.tuples(st.sampled_from([AnswerStatus.OK, AnswerStatus.REFUSED]), st.binary(max_size=200_000))
)


@given(before=ANSWERS, after=ANSWERS)
def test_a_snapshot_is_a_whole_file_and_changes_nothing(
    before: list[tuple[AnswerStatus, bytes]], after: list[tuple[AnswerStatus, bytes]]
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        plain, writer = AnswersWriter(folder / "plain"), AnswersWriter(folder / "with a snapshot")
        for answer in before:
            plain.add(*answer)
            writer.add(*answer)
        snapshot = writer.snapshot()
        for answer in after:
            plain.add(*answer)
            writer.add(*answer)
        plain.close()
        writer.close()
        assert plain.path.read_bytes() == writer.path.read_bytes()
        (folder / "then").write_bytes(writer.path.read_bytes()[: snapshot.file_bytes] + snapshot.tail)
        assert list(read_answers(folder / "then")) == before
        assert list(read_answers(writer.path)) == before + after


def test_an_answer_that_ends_a_run_is_not_kept(tmp_path: Path) -> None:
    writer = AnswersWriter(tmp_path / "answers")
    writer.add(AnswerStatus.FATAL, b"over")
    writer.add(AnswerStatus.MISMATCH, b"over")
    writer.close()
    assert list(read_answers(tmp_path / "answers")) == []


def test_a_file_of_answers_that_has_grown_too_large_takes_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "MAX_ANSWERS_BYTES", 1000)
    writer = AnswersWriter(tmp_path / "answers")
    for _ in range(10):
        writer.add(AnswerStatus.OK, os.urandom(100_000))
    assert writer.end == "the file of answers has more than 1,000 bytes"
    entries = writer.entries
    writer.add(AnswerStatus.OK, b"more")
    assert writer.entries == entries
    writer.close()


def test_answers_that_cannot_be_written_end_no_run(tmp_path: Path) -> None:
    writer = AnswersWriter(tmp_path / "answers")
    with a_disk_of(1000):
        writer.add(AnswerStatus.OK, os.urandom(100_000))
    assert writer.end
    assert "cannot be written" in writer.end
    writer.add(AnswerStatus.OK, b"more")
    writer.close()
    assert not (tmp_path / "answers").exists()


def test_an_end_of_the_answers_that_cannot_be_written_ends_no_run(tmp_path: Path) -> None:
    writer = AnswersWriter(tmp_path / "answers")
    writer.add(AnswerStatus.OK, os.urandom(1000))
    with a_disk_of(100):
        writer.close()
    assert writer.end


def test_a_file_that_cannot_be_begun_is_a_fault_of_the_machine(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="the file of answers cannot be written"):
        AnswersWriter(tmp_path / "missing" / "answers")


@contextmanager
def a_disk_of(size_bytes: int) -> Iterator[None]:
    """No file can grow beyond this size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("content", [b"", b"haet-answers-2\nxx", b"haet-answers-1\nxx", b"haet-answers-1\n"])
def test_other_files_are_no_answers(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "answers").write_bytes(content)
    with pytest.raises(Broken):
        list(read_answers(tmp_path / "answers"))
