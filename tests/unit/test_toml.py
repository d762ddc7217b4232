"""TOML of users: mistakes are named in words for whoever wrote the file."""

import pytest

from haet_eval.toml import parse_toml


def test_a_byte_order_mark_is_passed_over() -> None:
    assert parse_toml("\ufeffa = 1") == {"a": 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = 1\nb = ?", "line 2"),
        (f"a = {'7' * 5000}", "thousands of digits"),
        (f"a = {'[' * 100_000}", "nested too deep"),
    ],
    ids=["unfinished", "a long number", "brackets"],
)
def test_a_mistake_is_named(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as raised:
        parse_toml(text)
    assert "sys." not in str(raised.value)
