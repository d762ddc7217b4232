"""The examples on the help pages: each must be a command line that the program takes."""

import shlex
from collections.abc import Iterator

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


@pytest.mark.parametrize("words", [(), ("competition",), ("data",)], ids=" ".join)
def test_help_of_a_group_ends_in_examples_of_its_commands(words: tuple[str, ...]) -> None:
    shown = run(*words, "--help", COLUMNS=str(WIDTH)).stdout
    examples = shown.partition("\nExamples:\n")[2].splitlines()
    assert len(examples) >= 3
    for line in examples:
        program, *rest = shlex.split(line)
        assert program == "haet-eval"
        assert tuple(rest[: len(words)]) == words
        command = next(
            (name for name in WITH_EXAMPLES if rest[: len(name.split())] == name.split()), "evaluate"
        )
        options = {name for parameter in command_of(command).params for name in parameter.opts}
        assert {word for word in rest if word.startswith("-")} <= options


@pytest.mark.parametrize(("name", "line"), EXAMPLES)
def test_an_example_has_only_options_and_values_that_exist(name: str, line: str) -> None:
    program, *words = shlex.split(line)
    assert program == "haet-eval"
    assert words[: len(name.split())] == name.split()
    command = command_of(name)
    arguments = words[len(name.split()) :]
    context = click.Context(command, parent=click.Context(cli), info_name=name)
    values, _, _ = command.make_parser(context).parse_args(list(arguments))
    for parameter in command.params:
        given = values.get(parameter.name or "")
        if isinstance(parameter.type, click.Path) or not isinstance(given, str | tuple | list | bool):
            continue  # the files of an example are not here, and not every option is in it
        parameter.type_cast_value(context, values[parameter.name])
