"""Competitions from their TOML files: those that come with the package, and an organizer's own."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from haet_eval.competition.faults import faults, shown, unknown_task
from haet_eval.competition.rules import Competition, key_names
from haet_eval.errors import InvalidSubmission, UsageProblem
from haet_eval.files import exists, read_file, real_path
from haet_eval.spelling import suggested_name, suggested_path
from haet_eval.toml import parse_toml

_COMPETITION_OF_TASK = {"cifar10": "haet2021", "cifar100": "haet2021", "digits": "digits"}
# Far more than any rules need. A huge file, or a pipe, in their place must not stop the program.
_MAX_BYTES = 1024 * 1024
_BUILTIN = files("haet_eval") / "resources" / "competitions"
# Records of 0.1.0 have the digest of the rules as they were, so changed files stay here as well.
_OF_VERSION_1 = _BUILTIN / "0.1.0"


def builtin_competitions() -> tuple[str, ...]:
    """Names of the competitions that come with the package, sorted."""
    return tuple(sorted(file.name.removesuffix(".toml") for file in _BUILTIN.iterdir() if file.is_file()))


def builtin_tasks() -> tuple[str, ...]:
    """The tasks that a manifest may name if the command line names no competition."""
    return tuple(_COMPETITION_OF_TASK)


def competition_for_task(task: str) -> str:
    """The built-in competition that judges a task if the command line names none.

    Raises:
        InvalidSubmission: no built-in competition has such a task.
    """
    if task not in _COMPETITION_OF_TASK:
        raise InvalidSubmission(
            unknown_task(task, _COMPETITION_OF_TASK, "any built-in competition"), code="task-unknown"
        )
    return _COMPETITION_OF_TASK[task]


def load_competition(name_or_path: str) -> Competition:
    """A built-in competition by its name, or an organizer's own by the path of its TOML file.

    Raises:
        UsageProblem: there is no such competition, or its file is not valid.
    """
    # Names first: a file of that name in the current folder must not change what an official name means.
    if name_or_path in builtin_competitions():
        return _parse(builtin_text(name_or_path), name_or_path)
    path = Path(name_or_path)
    if not exists(path):
        raise _no_such_competition(name_or_path)
    # The real path: a link to the rules lies elsewhere than the data next to them.
    return _parse(read_rules(path), name_or_path).located(real_path(path).parent)


def read_rules(path: Path) -> str:
    """The text of an organizer's own competition file.

    Raises:
        UsageProblem: it cannot be read.
    """
    try:
        return read_file(path, _MAX_BYTES).decode()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageProblem(
            f"{path} cannot be read: {why}",
            "Rules are a file of text in UTF-8 that this user may read.",
            code="competition-unreadable",
        ) from error


def builtin_in_version_1(name: str) -> Competition:
    """A built-in competition as it was in 0.1.0: the rules of records of schema version 1.

    Raises:
        UsageProblem: there is none of that name.
    """
    return _parse(builtin_text(name, version=1), name).as_in_version_1()


def builtin_text(name: str, version: Literal[1, 2] = 2) -> str:
    """The TOML file of a built-in competition; of version 1, that of 0.1.0 if it has changed since.

    Raises:
        UsageProblem: there is none of that name.
    """
    if name not in builtin_competitions():
        raise _no_such_competition(name)
    older = _OF_VERSION_1 / f"{name}.toml"
    file = older if version == 1 and older.is_file() else _BUILTIN / f"{name}.toml"
    return file.read_text("utf-8")


def schema_text() -> str:
    """The JSON schema of a competition file, as it stands in `resources/competition.schema.json`."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Competition.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _parse(text: str, source: str) -> Competition:
    try:
        return Competition.model_validate(parse_toml(text))
    except ValidationError as error:
        hint = (
            "`haet-eval competition show haet2021` prints a valid one; `haet-eval competition schema` prints"
            " every key."
        )
        raise UsageProblem(
            f"{source} is no valid competition: {faults(error, key_names())}",
            hint,
            code="competition-invalid",
        ) from error
    except ValueError as error:
        raise UsageProblem(
            f"{source} is no valid TOML: {error}", "Correct the file at that place.", code="competition-toml"
        ) from error


def _no_such_competition(name: str) -> UsageProblem:
    """A name with a folder or a suffix in it is meant as a path: names of built-in rules would mislead."""
    if exists(Path(name)):
        return UsageProblem(
            f"{name} is a file, and no built-in competition has that name",
            f"`haet-eval competition check {name}` explains the rules in a file.",
            code="competition-unknown",
        )
    if "/" in name or name.endswith(".toml"):
        return UsageProblem(
            f"there is no competition file {name}{suggested_path(Path(name))}",
            "`haet-eval competition show haet2021` prints one to begin with.",
            code="competition-unknown",
        )
    names = ", ".join(builtin_competitions())
    return UsageProblem(
        f"there is no competition {shown(name)}{suggested_name(name, builtin_competitions())}",
        f"Built in are {names}. Name your own rules by the path of their TOML file.",
        code="competition-unknown",
    )
