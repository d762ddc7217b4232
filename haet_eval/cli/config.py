"""`haet-eval config`: the settings that are in force beside the command line."""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from haet_eval.cli.boundary import say_line
from haet_eval.cli.examples import CommandWithExamples
from haet_eval.cli.lazy_group import CONFIGURATION
from haet_eval.cli.settings import settings, variable_in_force, variables
from haet_eval.errors import ExitCode
from haet_eval.reports.text import printable
from haet_eval.spelling import suggested_name

if TYPE_CHECKING:
    from haet_eval.cli.configuration import Configuration

# Variables that are read directly. Without this list the remark below would call them misspelt.
_WITHOUT_OPTION: Final = {"HAET_COMPILED_CLIENT", "HAET_CONFIG", "HAET_DEBUG", "HAET_KEY_PASSPHRASE"}


@click.command(
    cls=CommandWithExamples,
    examples=("haet-eval config",),
)
@click.pass_context
def config(ctx: click.Context) -> ExitCode:
    """Show which file of defaults is read, and each setting that it or the environment makes.

    The command line comes before the environment, the environment before the file. The file is TOML: a
    table for each command and, above the tables, settings for all commands that have them (competition,
    data-dir, device, oci-runtime, results, sandbox). Settings are called as the options are:

    \b
        results = "/srv/competition/results"
        [evaluate]
        runs = 3

    Exit status: 0, or 2 if a command would refuse one of the values.
    """  # noqa: D301 the backslash is click's
    configuration: Configuration = ctx.meta[CONFIGURATION]
    exists = configuration.path.exists()
    click.echo(printable(f"file {configuration.path}{'' if exists else ' (not there)'}"))
    places, faults = defaultdict(list), {}
    known = set(_WITHOUT_OPTION)
    for one in _contexts(ctx.find_root(), configuration):
        for parameter, setting in settings(one.command):
            # An empty command line: each value comes from the environment, from the file, or is the default
            # of the option.
            value, source = parameter.consume_value(one, {})
            known.update(variables(parameter))
            if source not in (ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP):
                continue
            name = variable_in_force(parameter) if source is ParameterSource.ENVIRONMENT else "file"
            places[setting, value, name].append(str(one.info_name))
            if fault := _fault(one, parameter, value):
                faults[setting, value, name] = fault
    for place, commands in places.items():
        setting, value, name = place
        click.echo(f"{printable(f'{setting} = {value}')}  from {name}, for {', '.join(commands)}")
        if place in faults:
            say_line(f"Error: {setting} from {name}: {faults[place]}")
    # A remark and no error: the environment belongs to many programs (decision 0083).
    for name in sorted(name for name in os.environ if name.startswith("HAET_") and name not in known):
        click.echo(f"{name} sets nothing{suggested_name(name, known) or '.'}", err=True)
    return ExitCode.USAGE if faults else ExitCode.QUALIFIED


def _fault(ctx: click.Context, parameter: click.Parameter, value: Any) -> str:
    """Why the commands would refuse the value; "" if they would not."""
    try:
        parameter.type_cast_value(ctx, value)
    except click.BadParameter as error:
        return error.message
    return ""


def _contexts(root: click.Context, configuration: "Configuration") -> Iterator[click.Context]:
    """A context of each command, as if it was called without arguments."""
    assert isinstance(root.command, click.Group)
    for name in root.command.list_commands(root):
        command = root.command.get_command(root, name)
        assert command is not None
        yield from _leaves(name, command, configuration.defaults(name, command))


def _leaves(name: str, command: click.Command, defaults: Mapping[str, Any]) -> Iterator[click.Context]:
    if isinstance(command, click.Group):
        for key, inner in command.commands.items():
            yield from _leaves(f"{name} {key}", inner, defaults[key])
    else:
        yield click.Context(command, info_name=name, default_map=dict(defaults))
