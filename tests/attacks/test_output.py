"""What a submission prints is bounded, kept at both ends, and reaches no terminal as it is."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from haet_eval.errors import Verdict
from haet_eval.remote.log import KEPT_BYTES, OutputLog
from tests.attacks.evaluating import evaluate_attack


def test_printing_without_end_ends_the_run(tmp_path: Path) -> None:
    record = evaluate_attack("prints_without_end", tmp_path).record
    assert record.status.verdict is Verdict.LIMIT_OUTPUT
    assert record.log.head.startswith("the first line\nline 0\n")
    assert record.log.dropped_bytes > 0
    assert len(record.log.head) <= KEPT_BYTES
    assert len(record.log.tail) <= KEPT_BYTES


def test_output_and_errors_are_kept_as_text_with_the_place_of_the_error(tmp_path: Path) -> None:
    attack = evaluate_attack("prints_some_and_fails", tmp_path)
    assert attack.record.status.verdict is Verdict.FAILED
    assert "ValueError: " in attack.record.status.reason
    assert "<b>broken</b> (submission.py, line 13)" in attack.record.status.reason
    assert "to the standard error" in attack.output
    assert 'File "submission.py", line 13, in train' in attack.output
    assert "<script>" in attack.output


@given(st.lists(st.binary(max_size=3 * KEPT_BYTES), max_size=8))
def test_a_log_keeps_both_ends_and_counts_the_rest(parts: list[bytes]) -> None:
    log = OutputLog()
    for part in parts:
        log.add(part)
    whole = b"".join(parts)
    assert log.total_bytes == len(whole)
    assert log.head == whole[:KEPT_BYTES].decode(errors="replace")
    rest = whole[KEPT_BYTES:]
    assert log.tail == rest[-KEPT_BYTES:].decode(errors="replace")
    assert log.dropped_bytes == max(0, len(whole) - 2 * KEPT_BYTES)
