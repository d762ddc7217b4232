"""The trace file: a reader gets the written entries back, and finds any damage."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haet_eval.errors import EnvironmentProblem, SubmissionFailure, Verdict
from haet_eval.remote.trace import BrokenTrace, Kind, TraceWriter, read_trace


def write(path: Path, entries: list[tuple[Kind, bytes]]) -> None:
    writer = TraceWriter(path, {"seed": 3})
    for kind, body in entries:
        writer.add(kind, body)
    writer.close()


@given(st.lists(st.tuples(st.sampled_from(Kind), st.binary(max_size=1 << 10)), max_size=50))
def test_entries_come_back_in_order(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[Kind, bytes]]
) -> None:
    path = tmp_path_factory.mktemp("trace") / "trace"
    write(path, entries)
    assert list(read_trace(path)) == [(Kind.HEADER, b'{"seed": 3}'), *entries]


def test_a_long_trace_comes_back(tmp_path: Path) -> None:
    entries = [(Kind.PASSED, bytes([number % 256]) * (300_000 + number)) for number in range(20)]
    write(tmp_path / "trace", entries)
    assert list(read_trace(tmp_path / "trace"))[1:] == entries


def test_a_trace_that_is_cut_short_is_broken(tmp_path: Path) -> None:
    write(tmp_path / "trace", [(Kind.PASSED, b"records")])
    whole = (tmp_path / "trace").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "cut").write_bytes(whole[:length])
        with pytest.raises(BrokenTrace):
            list(read_trace(tmp_path / "cut"))


def test_a_trace_with_a_changed_byte_is_broken(tmp_path: Path) -> None:
    write(tmp_path / "trace", [(Kind.PASSED, b"records")])
    whole = bytearray((tmp_path / "trace").read_bytes())
    whole[-3] ^= 1
    (tmp_path / "changed").write_bytes(whole)
    with pytest.raises(BrokenTrace):
        list(read_trace(tmp_path / "changed"))


def test_bytes_after_the_trace_are_not_ignored(tmp_path: Path) -> None:
    write(tmp_path / "trace", [])
    with (tmp_path / "trace").open("ab") as file:
        file.write(b"more")
    with pytest.raises(BrokenTrace):
        list(read_trace(tmp_path / "trace"))


def test_a_trace_has_a_greatest_size_and_is_whole_when_it_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haet_eval.remote.charges.MAX_TRACE_BYTES", 1 << 18)
    writer = TraceWriter(tmp_path / "trace", {})
    written: list[bytes] = []

    def write_without_end() -> None:
        while True:
            written.append(os.urandom(1 << 10))
            writer.add(Kind.PASSED, written[-1])

    with pytest.raises(SubmissionFailure, match="trace") as caught:
        write_without_end()
    writer.close()
    assert caught.value.verdict is Verdict.LIMIT_MESSAGES
    assert [body for _, body in read_trace(tmp_path / "trace")] == [b"{}", *written]
    assert (tmp_path / "trace").stat().st_size < 1 << 19


def test_a_full_disk_is_a_fault_of_the_machine() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with pytest.raises(EnvironmentProblem, match="the trace cannot be written"):
        TraceWriter(Path("/dev/full"), {})
