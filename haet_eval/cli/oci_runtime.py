"""The option --oci-runtime: which OCI runtime the engine runs containers with."""

import os
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click
from click.core import ParameterSource

_VARIABLE: Final = "HAET_OCI_RUNTIME"
_SEEN: Final = "haet_eval.runtime"

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _choose(ctx: click.Context, parameter: click.Parameter, name: str | None) -> None:
    """Where it is read is where containers are made, also in processes that this one starts."""
    if name is not None and not ctx.resilient_parsing:
        os.environ[_VARIABLE] = name
        # A runtime in the environment or a file is a setting of the machine, and harmless next to a local
        # process.
        if ctx.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE:
            ctx.meta[_SEEN] = name
            refuse_runtime_without_engine(ctx, ctx.params.get("sandbox"))


def refuse_runtime_without_engine(ctx: click.Context, sandbox: str | None) -> None:
    """Refuse --oci-runtime next to --sandbox process, which gives no isolation.

    Each of the two options calls this, as click converts them in the order of the command line.

    Raises:
        UsageError: the command line names a runtime, and the sandbox is a process.
    """
    if sandbox == "process" and _SEEN in ctx.meta:
        raise click.UsageError(
            "--oci-runtime is an option of the Docker engine, and --sandbox process does not use the engine:"
            " leave --oci-runtime out, or add --sandbox docker.",
            ctx,
        )


def oci_runtime_option(command: _Function) -> _Function:
    """Add the option, and its name of version 0.1.0, which no help shows."""
    named = click.option(
        "--oci-runtime",
        metavar="NAME",
        expose_value=False,
        callback=_choose,
        help="OCI runtime of the Docker engine, such as runsc (gVisor).  [default: the engine's]",
    )
    formerly = click.option("--runtime", hidden=True, expose_value=False, callback=_choose)
    return named(formerly(command))
