"""What completion offers for the values of options and arguments.

The shell runs `haet-eval` itself for each completion, so nothing slow is imported here.
"""

from collections.abc import Callable, Iterable
from functools import wraps
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final, ParamSpec, TypeAlias

import click
from click.shell_completion import CompletionItem

from haet_eval.results_folder import RECORD_NAME, SIGNATURE

# A copy, as importing the data sets takes too long here (decision 0084). A test compares both.
DATASETS: Final = ("cifar10", "cifar100", "digits")

_COMPETITIONS: Final = files("haet_eval") / "resources" / "competitions"

Suggestions: TypeAlias = list["CompletionItem[str]"]
_Arguments = ParamSpec("_Arguments")


def _quiet(suggest: Callable[_Arguments, Suggestions]) -> Callable[_Arguments, Suggestions]:
    """Nothing instead of an error, which the shell would print into the line that is typed."""

    @wraps(suggest)
    def suggested(*arguments: _Arguments.args, **named: _Arguments.kwargs) -> Suggestions:
        try:
            return suggest(*arguments, **named)
        # Whatever it is: the words are not finished, and neither may be the files that they name.
        except Exception:
            return []

    return suggested


@_quiet
def suggest_submissions(_: click.Context, __: click.Parameter, incomplete: str) -> Suggestions:
    """Zip files and folders."""
    return submission_paths(incomplete)


@_quiet
def submission_paths(incomplete: str) -> Suggestions:
    """Zip files and folders; before anything is typed only such folders as have a manifest."""
    found = _paths(incomplete, {".zip"})
    return [
        item
        for item in found
        if incomplete or item.value[-1] != "/" or Path(item.value, "haet.toml").exists()
    ]


@_quiet
def suggest_competitions(_: click.Context, __: click.Parameter, incomplete: str) -> Suggestions:
    """Built-in competitions, and TOML files."""
    return _words(sorted(_built_in()), incomplete) + _paths(incomplete, {".toml"})


@_quiet
def suggest_tasks(ctx: click.Context, _: click.Parameter, incomplete: str) -> Suggestions:
    """The tasks of the competition that the command line names, or else of the built-in ones."""
    import tomllib

    named = ctx.params.get("competition")
    # Read as bare TOML: the models that validate it need pydantic, which is slow to import.
    if named and Path(named).is_file():
        texts = [Path(named).read_text("utf-8")]
    else:
        texts = [file.read_text("utf-8") for name, file in _built_in().items() if named in (None, name)]
    return _words(sorted({task for text in texts for task in tomllib.loads(text)["tasks"]}), incomplete)


@_quiet
def suggest_datasets(_: click.Context, __: click.Parameter, incomplete: str) -> Suggestions:
    """The data sets."""
    return _words(DATASETS, incomplete)


@_quiet
def suggest_records(ctx: click.Context, _: click.Parameter, incomplete: str) -> Suggestions:
    """JSON files, and the ids of records in the results folder."""
    results = Path(ctx.params.get("results") or "results")
    found = [one for path in listed(results) if (one := RECORD_NAME.fullmatch(path.name))]
    ids = [CompletionItem(one["id"], help=one["words"]) for one in found if one["id"].startswith(incomplete)]
    files = [item for item in _paths(incomplete, {".json"}) if not item.value.endswith(SIGNATURE)]
    # Before anything is typed, a results folder would offer each record twice, by its file and by its id.
    return files + (ids if incomplete else [])


def _built_in() -> dict[str, Traversable]:
    """The rule files of this version by name. Rules of earlier versions lie in folders beside them."""
    return {file.name[:-5]: file for file in _COMPETITIONS.iterdir() if file.name.endswith(".toml")}


def _words(words: Iterable[str], incomplete: str) -> Suggestions:
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


def _paths(incomplete: str, suffixes: set[str]) -> Suggestions:
    """Folders, with a slash, and files with one of the suffixes; hidden ones where a dot is typed."""
    folder, slash, beginning = incomplete.rpartition("/")
    return [
        CompletionItem(f"{folder}{slash}{path.name}{'/' * path.is_dir()}")
        for path in listed(Path(folder + slash).expanduser())
        if path.name.startswith(beginning)
        and (not path.name.startswith(".") or beginning)
        and (path.is_dir() or path.suffix in suffixes)
    ]


def listed(folder: Path) -> list[Path]:
    """The content of the folder, sorted; nothing if it cannot be read."""
    try:
        # Whatever cannot be listed has nothing to offer: an error would be printed into the line that is
        # typed.
        return sorted(folder.iterdir())
    except OSError:
        return []
