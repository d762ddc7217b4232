"""A user's or an organizer's defaults: a TOML file, below the environment and the command line."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from platformdirs import user_config_path

from haet_eval.cli.settings import settings
from haet_eval.errors import UsageProblem
from haet_eval.files import MAX_TEXT_BYTES, exists, read_file
from haet_eval.spelling import suggested_name
from haet_eval.toml import parse_toml

if TYPE_CHECKING:
    from haet_eval.cli.lazy_group import LazyCommand

SHARED: Final = ("competition", "data-dir", "device", "oci-runtime", "results", "runtime", "sandbox")
"""Settings that may stand above the tables, for every command that has them; `runtime` is a former name."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The content of a file; empty if there is no such file. `path` is where it is or would be."""

    path: Path
    content: Mapping[str, Any] = field(default_factory=dict)

    def check(self, commands: "Mapping[str, LazyCommand]") -> None:
        """Look at the first level: tables of commands, and shared settings.

        Raises:
            UsageProblem: there is something else.
        """
        # Looking for the right table imports every command, which is slow. Only a wrong key pays for it.
        for key in self.content:
            if key not in commands and key not in SHARED:
                self._refuse_outside_of_table(key, commands)
        self._check_keys(self.content, (*commands, *SHARED), "command and not a setting of all commands")
        for key, value in self.content.items():
            if key not in SHARED:
                self._table(value, key)

    def defaults(self, name: str, command: click.Command) -> dict[str, Any]:
        """The command's defaults by the names of its parameters, as click takes them.

        Raises:
            UsageProblem: the command's table has a setting that the command has not, or of another type.
        """
        table = self.content.get(name, {})
        # `competition` is both a command, with a table, and a shared setting, with a text.
        if not isinstance(table, dict):  # a shared setting that is called as a command is
            table = {}
        if not isinstance(command, click.Group):
            return self._defaults(name, command, table)
        self._check_keys(table, command.commands, f"command of {name}")
        inner = {key: self._table(table.get(key, {}), f"{name}.{key}") for key in command.commands}
        return {key: self._defaults(f"{name} {key}", command.commands[key], inner[key]) for key in inner}

    def _defaults(self, name: str, command: click.Command, table: Mapping[str, Any]) -> dict[str, Any]:
        known = {setting: parameter for parameter, setting in settings(command)}
        self._check_keys(table, known, f"setting of {name}")
        shared: dict[str, Any] = {
            key: self.content[key] for key in SHARED if key in self.content and key in known
        }
        # The dictionary is the table of a command of the same name, such as [competition].
        values = {key: value for key, value in shared.items() if not isinstance(value, dict)}
        # The table of a command says more than a setting for all commands.
        values.update(table)
        return {str(known[key].name): self._value(key, value, known[key]) for key, value in values.items()}

    def _value(self, key: str, value: Any, parameter: click.Parameter) -> Any:
        """The value as text, which click converts as it does those of the command line."""
        if isinstance(parameter, click.Option) and parameter.is_flag:
            if not isinstance(value, bool):
                raise self._wrong(key, "true or false", value)
            return value
        if parameter.multiple:
            if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
                raise self._wrong(key, "a list of texts", value)
            return value
        # In Python a bool is an int. Without the first test it would pass as the text `True`.
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self._wrong(key, "a text or a number", value)
        if not isinstance(value, str) and not isinstance(parameter.type, click.IntRange | click.FloatRange):
            raise self._wrong(key, "text in quotes", value)
        text = str(value)
        # On the command line the shell expands `~`. In a file nobody else does.
        return str(Path(text).expanduser()) if isinstance(parameter.type, click.Path) else text

    def _check_keys(self, table: Mapping[str, Any], known: Iterable[str], what: str) -> None:
        names = list(known)
        for key in table:
            if key not in names:
                hint = f"Allowed are {', '.join(names)}." if names else "No key is allowed there."
                raise UsageProblem(
                    f"{self.path}: `{key}` is not a {what}{suggested_name(key, names)}",
                    hint,
                    code="config-key",
                )

    def _refuse_outside_of_table(self, key: str, commands: "Mapping[str, LazyCommand]") -> None:
        """Look in all commands for a setting of this name.

        Raises:
            UsageProblem: a command has it, so it belongs in the command's table.
        """
        tables = [table for name in commands for table in _tables_with(key, name, commands[name].load())]
        if tables:
            shown = " or ".join(f"[{table}]" for table in tables)
            raise UsageProblem(
                f"{self.path}: `{key}` stands above the tables, and it is not a setting of all commands",
                f"Put it under {shown}.",
                code="config-key",
            )

    def _table(self, value: Any, name: str) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise self._wrong(name, f"a table, [{name}]", value)
        return value

    def _wrong(self, key: str, wanted: str, value: Any) -> UsageProblem:
        return UsageProblem(
            f"{self.path}: `{key}` must be {wanted}, but is {value!r}",
            "Correct the file.",
            code="config-value",
        )


def _tables_with(setting: str, name: str, command: click.Command) -> Iterator[str]:
    if isinstance(command, click.Group):
        for key, inner in command.commands.items():
            yield from _tables_with(setting, f"{name}.{key}", inner)
    elif any(setting == known for _, known in settings(command)):
        yield name


def load_configuration(path: Path | None, commands: "Mapping[str, LazyCommand]") -> Configuration:
    """The named file, or the user's own file if no file is named; the user's own may be absent.

    Raises:
        UsageProblem: the file cannot be read, or has an unknown key.
    """
    wanted = path or user_config_path("haet-eval", appauthor=False) / "config.toml"
    # A file that was named must exist: defaults that are silently missing would be other rules for a run.
    if path is None and not exists(wanted):
        return Configuration(wanted)
    try:
        text = read_file(wanted, MAX_TEXT_BYTES).decode()
        configuration = Configuration(wanted, parse_toml(text))
    except OSError as error:
        raise UsageProblem(
            f"the configuration {wanted} cannot be read: {error.strerror}",
            "Name a TOML file that you may read with --config or HAET_CONFIG.",
            code="config-unreadable",
        ) from None
    # Also of bytes that are not UTF-8.
    except ValueError as error:
        raise UsageProblem(
            f"{wanted} is no valid TOML: {error}", "Correct the file at that place.", code="config-toml"
        ) from None
    configuration.check(commands)
    return configuration
