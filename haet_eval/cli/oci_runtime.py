"""The option --runtime: which OCI runtime the engine runs containers with."""

import os
from typing import Final

import click
from click.core import ParameterSource

_VARIABLE: Final = "HAET_RUNTIME"
_SEEN: Final = "haet_eval.runtime"


def _choose(ctx: click.Context, parameter: click.Parameter, name: str | None) -> None:
    """Where it is read is where containers are made, also in processes that this one starts."""
    if name is not None and not ctx.resilient_parsing:
        os.environ[_VARIABLE] = name
        if ctx.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE:
            ctx.meta[_SEEN] = name
            refuse_runtime_without_engine(ctx, ctx.params.get("sandbox"))


def refuse_runtime_without_engine(ctx: click.Context, sandbox: str | None) -> None:
    """Refuse --runtime next to --sandbox process: its isolation would be expected, and there is none.

    Each of the two options calls this, as click converts them in the order of the command line.

    Raises:
        UsageError: the command line names a runtime, and the sandbox is a process.
    """
    if sandbox == "process" and _SEEN in ctx.meta:
        raise click.UsageError(
            "--runtime is an option of the Docker engine, and --sandbox process does not use the engine:"
            " leave --runtime out, or add --sandbox docker.",
            ctx,
        )


oci_runtime_option: Final = click.option(
    "--runtime",
    metavar="NAME",
    envvar=_VARIABLE,
    expose_value=False,
    callback=_choose,
    help="OCI runtime of the Docker engine, such as runsc (gVisor).  [default: the engine's]",
)
