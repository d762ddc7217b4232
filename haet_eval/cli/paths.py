"""Paths on the command line that must exist."""

from pathlib import Path
from typing import Any

import click

from haet_eval.reports.text import printable


class ExistingPath(click.Path):
    """A file or a folder that exists. If it does not, the error proposes one of a similar name."""

    def __init__(self, *, file_okay: bool = True) -> None:
        super().__init__(exists=True, file_okay=file_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            from haet_eval.spelling import suggested_path

            # click raises the same exception for a file where a folder is wanted: a similar name is no help
            # then.
            if not Path(value).exists():
                meant = printable(suggested_path(Path(value))) or "."
                raise click.BadParameter(error.message.rstrip(".") + meant, ctx, param) from None
            raise
