"""Predictions are read in one way by all checks, whatever a hostile file holds."""

import pytest

from haet_eval.verification.labels import read_labels


def test_labels_are_one_in_each_line() -> None:
    assert read_labels(b"3\n-1\n0\n").tolist() == [3, -1, 0]
    assert read_labels(b"").tolist() == []


@pytest.mark.parametrize(
    "stored", [b"3\n9999999999999999999999\n", b"9" * 5000, b"1 2\n", b"\n", b"x\n", b"1.5\n", b"\xff\n"]
)
def test_anything_else_is_no_label(stored: bytes) -> None:
    with pytest.raises(ValueError, match=r"label|int|integer|ascii"):
        read_labels(stored)
