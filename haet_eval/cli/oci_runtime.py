"""The option --runtime: which OCI runtime the engine runs containers with."""

import os
from typing import Final

import click

_VARIABLE: Final = "HAET_RUNTIME"


def _choose(ctx: click.Context, _: click.Parameter, name: str | None) -> None:
    """Where it is read is where containers are made, also in processes that this one starts."""
    if name is not None and not ctx.resilient_parsing:
        os.environ[_VARIABLE] = name


oci_runtime_option: Final = click.option(
    "--runtime",
    metavar="NAME",
    envvar=_VARIABLE,
    expose_value=False,
    callback=_choose,
    help="OCI runtime of the Docker engine, such as runsc (gVisor).  [default: the engine's]",
)
