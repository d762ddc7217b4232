"""Commands whose help pages end in examples, and whose data for other programs must be delivered."""

from collections.abc import Sequence
from typing import Any, Final

import click

from haet_eval.cli.streams import demand_stdout

_DATA: Final = ("as_json", "json", "csv", "markdown")
"""The options that ask for data, by the names of their parameters."""


class EndsInExamples(click.Command):
    """A command or a group whose help page ends in a section of command lines that a reader can copy."""

    def __init__(self, *arguments: Any, examples: Sequence[str], **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.examples = tuple(examples)

    def format_epilog(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples unwrapped: a broken line could not be copied."""
        with formatter.section("Examples"):
            for line in self.examples:
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


class CommandWithExamples(EndsInExamples):
    """A command with examples."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. It fails if data for a program cannot be delivered; texts may be lost."""
        # One place for all commands: an option with one of these names needs no line of its own.
        if any(ctx.params.get(name) for name in _DATA):
            demand_stdout()
        return super().invoke(ctx)


class GroupWithExamples(EndsInExamples, click.Group):
    """A group of commands with examples."""
