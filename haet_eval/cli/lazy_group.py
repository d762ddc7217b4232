"""A click group that imports a command when it is run, and takes a submission where a command is due."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from haet_eval.cli.examples import GroupWithExamples
from haet_eval.cli.settings import name_variables
from haet_eval.reports.text import printable
from haet_eval.spelling import quoted

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from haet_eval.cli.configuration import Configuration

CONFIGURATION: Final = "configuration"
"""The name of the group's parameter, and what a context calls the `Configuration` in force."""


_MEANT: Final = {
    **dict.fromkeys(("judge", "run", "score", "submit", "test", "train"), "evaluate"),
    **dict.fromkeys(("board", "list", "rank", "ranking", "results"), "leaderboard"),
    **dict.fromkeys(("info", "show", "view"), "explain"),
    **dict.fromkeys(("init", "start", "template"), "new"),
    **dict.fromkeys(("download", "fetch"), "data"),
    **dict.fromkeys(("lint", "validate"), "check"),
    "zip": "pack",
}
"""Words that other programs use for what a command of ours does."""


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """Where a command lives (`package.module:attribute`) and what the group's help says of it.

    One that is `hidden` is the former name of something: it works, and nothing lists it.
    """

    target: str
    summary: str
    hidden: bool = False

    def load(self) -> click.Command:
        """Import the command. Its options can be set by variables HAET_<OPTION>, alike in all commands."""
        module, _, attribute = self.target.partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        # click's own names for variables have the command's name in them; these have not (decision 0083).
        name_variables(command)
        return command


def _long_options(command: click.Command, ctx: click.Context) -> list[str]:
    options = [name for parameter in command.get_params(ctx) for name in parameter.opts]
    return [name for name in options if name.startswith("--")]


class LazyGroup(GroupWithExamples):
    """`lazy_commands` by name, the `first` of them at the head of the help.

    A word that is not a command but may be a path goes to `default_command`.
    """

    def __init__(
        self,
        name: str,
        *,
        lazy_commands: Mapping[str, LazyCommand],
        first: Collection[str],
        default_command: str,
        help: str,  # noqa: A002
        examples: Collection[str],
    ) -> None:
        names = {"help_option_names": ["-h", "--help"]}
        super().__init__(name, help=help, examples=tuple(examples), context_settings=names)
        self.lazy_commands = lazy_commands
        self.first = first
        self.default_command = default_command

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name, lazy in self.lazy_commands.items() if not lazy.hidden]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        lazy = self.lazy_commands.get(cmd_name)
        return lazy.load() if lazy else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, self.lazy_commands[name].summary) for name in self.list_commands(ctx)]
        with formatter.section("Commands to begin with"):
            formatter.write_dl([row for row in rows if row[0] in self.first])
        with formatter.section("More commands"):
            formatter.write_dl([row for row in rows if row[0] not in self.first])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # The default command must stand before its first argument, and behind options of the group such as
        # --config.
        own = self._count_own(ctx, args)
        # Completion parses unfinished lines with `resilient_parsing`, and must not raise.
        if args[own:] and args[own].startswith("--") and args[own] != "--" and not ctx.resilient_parsing:
            self._refuse_unknown_option(ctx, args[own])
        # Here and not in `resolve_command`: click would refuse an option of the default command before it
        # comes there.
        if args[own:] and self._is_for_default_command(args[own]):
            args = [*args[:own], self.default_command, *args[own:]]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.lazy_commands and not ctx.resilient_parsing:
            # The text names files too: a misspelt path comes here, as it is neither a command nor a path that
            # exists.
            message = (
                f"{quoted(args[0])} is neither a command nor an existing file or folder. Name a .zip file or "
                "a folder to evaluate, or a command: `haet-eval --help` lists them."
            )
            raise click.exceptions.NoSuchCommand(args[0], message, self._meant_by(ctx, args[0]), ctx)
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None and command is not None and not ctx.resilient_parsing:
            # click gives a command the part of its parent's map that has the command's name.
            ctx.default_map = {name: self._configuration(ctx).defaults(name, command)}
        return name, command, rest

    def _meant_by(self, ctx: click.Context, word: str) -> list[str]:
        """Names like the word. Commands and options come first: files only if there is none of those.

        An option that is meant stands for its word, as in `haet-eval help`.
        """
        from haet_eval.cli.suggestions import listed

        options = {name.lstrip("-"): name for name in _long_options(self, ctx)}
        meant = options.get(word) or _MEANT.get(word.casefold())
        if meant:
            raise click.exceptions.NoSuchCommand(
                word, f"There is no command {quoted(word)}; use {meant}.", ctx=ctx
            )
        close = get_close_matches(word, self.list_commands(ctx))
        return close or [printable(path.name) for path in listed(Path())]

    def _refuse_unknown_option(self, ctx: click.Context, word: str) -> None:
        """Look for the option here and in the default command: a misspelt --version may be of either.

        Raises:
            NoSuchOption: neither has an option of that name or beginning.
        """
        name = word.partition("=")[0]
        command = self.lazy_commands[self.default_command].load()
        known = [*_long_options(self, ctx), *_long_options(command, ctx)]
        if not any(option.startswith(name) for option in known):
            closest = get_close_matches(name, known, n=1)
            raise click.exceptions.NoSuchOption(name, possibilities=closest, ctx=ctx)

    def _configuration(self, ctx: click.Context) -> "Configuration":
        # Each import costs time at every start and at every press of the completion key (decision 0084).
        from haet_eval.cli.configuration import load_configuration  # not for --help

        found = load_configuration(ctx.params.get(CONFIGURATION), self.lazy_commands)
        # The error boundary names this file when a value in it is wrong, and `config` shows it.
        ctx.meta[CONFIGURATION] = found
        return found

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem[str]]":
        """Commands and submissions, or options: the default command's, too."""
        from click.shell_completion import CompletionItem

        from haet_eval.cli.suggestions import submission_paths

        # Not Group's, which would import every command to ask whether it is hidden.
        found = click.Command.shell_complete(self, ctx, incomplete)
        if incomplete.startswith("-"):
            command = self.lazy_commands[self.default_command].load()
            more = command.shell_complete(click.Context(command, parent=ctx), incomplete)
            return found + [option for option in more if option.value not in ("-h", "--help")]
        found += [
            CompletionItem(name, help=self.lazy_commands[name].summary)
            for name in self.list_commands(ctx)
            if name.startswith(incomplete)
        ]
        return found + submission_paths(incomplete)

    def _count_own(self, ctx: click.Context, args: list[str]) -> int:
        """How many arguments at the beginning are options of the group itself, and their values."""
        own = {name: parameter for parameter in self.get_params(ctx) for name in parameter.opts}
        count = 0
        while count < len(args):
            name, equals, _ = args[count].partition("=")
            if name not in own:
                break
            parameter = own[name]
            takes_value = isinstance(parameter, click.Option) and not parameter.is_flag
            count += 2 if takes_value and not equals else 1
        return count

    def _is_for_default_command(self, first: str) -> bool:
        if first.startswith("-"):
            # After `--` all words are arguments of the group, so the next one is a command.
            return first != "--"
        # A path that does not exist goes to the default command as well, whose error proposes a similar one.
        looks_like_path = "/" in first or first.endswith(".zip")
        return first not in self.lazy_commands and (looks_like_path or Path(first).exists())
