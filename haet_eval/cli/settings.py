"""What the options of the commands are called outside the command line: in the environment and in files."""

import os
from collections.abc import Iterator

import click


def setting_name(parameter: click.Parameter) -> str | None:
    """The name in a configuration file: `data-dir` for --data-dir. None for what is no setting."""
    if isinstance(parameter, click.Option):
        longest = max(parameter.opts, key=len)
        return None if parameter.name == "help" else longest.removeprefix("--")
    # Arguments have no variable unless they ask for one.
    if isinstance(parameter.envvar, str):
        return parameter.envvar.removeprefix("HAET_").lower().replace("_", "-")
    return None


def name_variables(command: click.Command) -> None:
    """Let each option without a variable have HAET_<OPTION>, alike in all commands."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            name_variables(inner)
    for option, name in settings(command):
        if option.envvar is None:
            option.envvar = f"HAET_{name.upper().replace('-', '_')}"


def variables(parameter: click.Parameter) -> tuple[str, ...]:
    """The environment variables of a parameter; the first one that is set is read."""
    names = parameter.envvar
    return (names,) if isinstance(names, str) else tuple(names or ())


def variable_in_force(parameter: click.Parameter) -> str:
    """The variable that a value from the environment comes from."""
    # click takes an empty variable for one that is not set, so this does as well.
    return next(name for name in variables(parameter) if os.environ.get(name))


def settings(command: click.Command) -> Iterator[tuple[click.Parameter, str]]:
    """The command's parameters that have a name outside the command line, with it."""
    for parameter in command.params:
        name = setting_name(parameter)
        if name is not None:
            yield parameter, name
