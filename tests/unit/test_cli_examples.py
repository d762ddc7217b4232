"""The examples on the help pages: each must be a command line that the program takes."""

import shlex
from collections.abc import Iterator, Sequence

import click
import pytest

from haet_eval.cli.examples import CommandWithExamples
from haet_eval.cli.main import COMMANDS, cli
from tests.unit.test_cli_main import run


def _leaves(group: click.Group, words: str = "") -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from _leaves(command, f"{words}{name} ")
        else:
            yield f"{words}{name}"


WITH_EXAMPLES = tuple(_leaves(cli))
"""Every command."""

WIDTH = 80


def command_of(name: str) -> CommandWithExamples:
    first, *inner = name.split()
    command = COMMANDS[first].load()
    for word in inner:
        assert isinstance(command, click.Group)
        command = command.commands[word]
    assert isinstance(command, CommandWithExamples)
    return command


EXAMPLES = [(name, line) for name in WITH_EXAMPLES for line in command_of(name).examples]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_help_ends_in_examples_that_fit_the_terminal(name: str) -> None:
    shown = run(*name.split(), "--help", COLUMNS=str(WIDTH)).stdout
    head, found, examples = shown.partition("\nExamples:\n")
    assert found
    assert "Options:" in head
    assert examples.splitlines() == [f"  {line}" for line in command_of(name).examples]
    assert max(len(line) for line in shown.splitlines()) <= WIDTH


def parsed(words: Sequence[str]) -> tuple[click.Context, dict[str, object]]:
    """Parse a command line as the program does, and run nothing: a path in it need not exist.

    Raises:
        AssertionError, ClickException: the program would refuse it.
    """
    context, rest = click.Context(cli, info_name="haet-eval"), list(words)
    if rest and rest[0] not in COMMANDS and not rest[0].startswith("-"):
        rest.insert(0, "evaluate")
    values: dict[str, object] = {}
    while True:
        command = context.command
        values, rest, _ = command.make_parser(context).parse_args(rest)
        if not isinstance(command, click.Group) or not rest:
            break
        inner = command.get_command(context, rest.pop(0))
        assert inner is not None, words
        context = click.Context(inner, parent=context, info_name=inner.name)
    # A help page is shown whatever else is missing.
    if any(word in ("--help", "-h", "--version") for word in words):
        return context, values
    assert not isinstance(context.command, click.Group), f"{words} names no command"
    assert not rest, f"{rest} is too much"
    for parameter in context.command.params:
        given = values.get(parameter.name or "")
        missing = parameter.required and parameter.value_is_missing(given)
        assert not missing, f"{parameter.human_readable_name} is missing"
        if isinstance(given, str | tuple | list | bool) and not isinstance(parameter.type, click.Path):
            parameter.type_cast_value(context, given)
    return context, values


@pytest.mark.parametrize("words", [(), ("competition",), ("data",)], ids=" ".join)
def test_help_of_a_group_ends_in_examples_of_its_commands(words: tuple[str, ...]) -> None:
    shown = run(*words, "--help", COLUMNS=str(WIDTH)).stdout
    examples = shown.partition("\nExamples:\n")[2].splitlines()
    assert len(examples) >= 3
    for line in examples:
        program, *rest = shlex.split(line)
        assert program == "haet-eval"
        assert tuple(rest[: len(words)]) == words
        parsed(rest)


@pytest.mark.parametrize(("name", "line"), EXAMPLES)
def test_an_example_is_a_command_line_that_the_program_takes(name: str, line: str) -> None:
    program, *words = shlex.split(line)
    assert program == "haet-eval"
    context, values = parsed(words)
    assert context.command is command_of(name)
    # What a command writes must not be what it reads.
    written = [values.get(key) for key in ("output", "bundle", "site", "page")]
    assert all(words.count(path) == 1 for path in written if isinstance(path, str))
