"""Suggestions for whatever is typed: an error would be printed into the line that the user types."""

from collections.abc import Callable
from pathlib import Path

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haet_eval.cli import suggestions
from haet_eval.cli.suggestions import Suggestions

SUGGEST: dict[str, Callable[[click.Context, click.Parameter, str], Suggestions]] = {
    name: getattr(suggestions, name) for name in dir(suggestions) if name.startswith("suggest_")
}
OPTION = click.Option(["--task"])


def context(**values: object) -> click.Context:
    found = click.Context(click.Command("evaluate"))
    found.params.update(values)
    return found


@pytest.mark.parametrize("name", SUGGEST)
@given(typed=st.text(), competition=st.one_of(st.none(), st.text()), results=st.one_of(st.none(), st.text()))
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
def test_nothing_that_is_typed_raises(
    name: str, typed: str, competition: str | None, results: str | None
) -> None:
    values = {"competition": competition, "results": results}
    assert isinstance(SUGGEST[name](context(**values), OPTION, typed), list)


@pytest.mark.parametrize("typed", ["~nobody-of-this-name/", "\0", "x" * 5000, "\udcff", "a/\0/"])
@pytest.mark.parametrize("name", SUGGEST)
def test_paths_that_cannot_be_are_no_error(name: str, typed: str) -> None:
    assert SUGGEST[name](context(competition=typed, results=typed), OPTION, typed) == []


@pytest.mark.parametrize(
    "text", ["[tasks", "tasks = 1", "", "tasks = [1]", "[tasks.\xff", "x = " + "[" * 5000], ids=len
)
def test_rules_that_are_half_written_give_no_tasks(tmp_path: Path, text: str) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(text, "latin-1")
    assert SUGGEST["suggest_tasks"](context(competition=str(rules)), OPTION, "") == []


def test_tasks_of_the_named_rules_are_suggested(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("[tasks.mine]\n[tasks.other]\n", "utf-8")
    (found,) = SUGGEST["suggest_tasks"](context(competition=str(rules)), OPTION, "m")
    assert found.value == "mine"
