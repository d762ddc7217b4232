"""A click group that imports a command when it is run, and takes a submission where a command is due."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import click


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """Where a command lives (`package.module:attribute`) and what the group's help says of it."""

    target: str
    summary: str

    def load(self) -> click.Command:
        """Import the command. Its options can be set by variables HAET_<OPTION>, alike in all commands."""
        module, _, attribute = self.target.partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        command.context_settings.setdefault("auto_envvar_prefix", "HAET")
        return command


class LazyGroup(click.Group):
    """`lazy_commands` by name; what is no command but may be a path goes to `default_command`."""

    def __init__(
        self,
        name: str,
        *,
        lazy_commands: Mapping[str, LazyCommand],
        default_command: str,
        help: str,  # noqa: A002
    ) -> None:
        super().__init__(name, help=help)
        self.lazy_commands = lazy_commands
        self.default_command = default_command

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.lazy_commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        lazy = self.lazy_commands.get(cmd_name)
        return lazy.load() if lazy else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.summary) for name, lazy in self.lazy_commands.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and self._is_for_default_command(ctx, args[0]):
            args = [self.default_command, *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.lazy_commands and not ctx.resilient_parsing:
            message = f"{args[0]!r} is neither a command nor an existing file or folder."
            raise click.exceptions.NoSuchCommand(args[0], message, self.lazy_commands, ctx)
        return super().resolve_command(ctx, args)

    def _is_for_default_command(self, ctx: click.Context, first: str) -> bool:
        if first.startswith("-"):
            own = {option for parameter in self.get_params(ctx) for option in parameter.opts}
            return first != "--" and first not in own
        looks_like_path = "/" in first or first.endswith(".zip")
        return first not in self.lazy_commands and (looks_like_path or Path(first).exists())
