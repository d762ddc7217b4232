"""Commands whose help pages end in examples."""

from collections.abc import Sequence
from typing import Any

import click


class CommandWithExamples(click.Command):
    """A command whose help page ends in a section of command lines that a reader can copy."""

    def __init__(self, *arguments: Any, examples: Sequence[str], **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.examples = tuple(examples)

    def format_epilog(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples unwrapped: a broken line could not be copied."""
        with formatter.section("Examples"):
            for line in self.examples:
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
