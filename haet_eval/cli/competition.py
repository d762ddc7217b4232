"""`haet-eval competition`: explain, list and print the rules that submissions are judged by."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from haet_eval.cli.examples import CommandWithExamples, GroupWithExamples
from haet_eval.cli.options import data_dir_option, json_option, secret_test_option
from haet_eval.cli.suggestions import suggest_competitions
from haet_eval.errors import EnvironmentProblem, ExitCode, HaetError, UsageProblem

if TYPE_CHECKING:
    from haet_eval.competition import Competition
    from haet_eval.dataset import Dataset


@click.group(
    cls=GroupWithExamples,
    examples=(
        "haet-eval competition list",
        "haet-eval competition check haet2021",
        "haet-eval competition show haet2021",
    ),
)
def competition() -> None:
    """Explain, list and print the rules that submissions are judged by."""


@competition.command(
    cls=CommandWithExamples,
    examples=(
        "haet-eval competition check haet2021",
        "haet-eval competition check rules.toml --test-data secret.npz",
    ),
)
@click.argument("rules", metavar="NAME|FILE", shell_complete=suggest_competitions)
@data_dir_option()
@secret_test_option()
@json_option()
def check(rules: str, data_dir: Path | None, test_data: Path | None, as_json: bool) -> ExitCode:
    """Say in words what a competition asks.

    Its file is checked, its data are loaded, and odd choices are pointed out. Exit status: 0 the
    competition can be run, 2 the file or the organizer's own data are not in order, or more than 1 % of
    the training images can be read back for no reason. Published data that are not here are no fault of
    the file.
    """
    from haet_eval.competition import load_competition
    from haet_eval.dataset import Dataset, default_data_dir
    from haet_eval.reports.doubts import doubts

    loaded = load_competition(rules)
    # Problems are collected and not raised: the organizer sees all tasks in one go.
    found = _load(loaded, data_dir or default_data_dir(), test_data)
    doubtful = doubts(loaded, {name: data for name, data in found.items() if isinstance(data, Dataset)})
    wrong = [
        f"Task {name} has no data to run on; see above."
        for name, data in found.items()
        # An EnvironmentProblem is about this machine, such as data not fetched: it is no fault of the file.
        if isinstance(data, UsageProblem)
    ] + _given_away(loaded, found)
    if as_json:
        click.echo(json.dumps(_facts(loaded, found, doubtful) | {"wrong": wrong}, indent=2))
    else:
        _print(loaded, found, doubtful, wrong)
    return ExitCode.USAGE if wrong else ExitCode.QUALIFIED


@competition.command(
    "list",
    cls=CommandWithExamples,
    examples=("haet-eval competition list", "haet-eval competition list --json"),
)
@json_option()
def list_competitions(as_json: bool) -> None:
    """List the built-in competitions."""
    from haet_eval.competition import builtin_competitions, load_competition

    known = [load_competition(name) for name in builtin_competitions()]
    if as_json:
        facts = [{"name": one.name, "title": one.title, "ranking": one.ranking} for one in known]
        click.echo(json.dumps(facts, indent=2))
        return
    for one in known:
        click.echo(f"{one.name:18} {one.ranking:17} {one.title}")


@competition.command(cls=CommandWithExamples, examples=("haet-eval competition show haet2021",))
@click.argument("name", metavar="NAME", shell_complete=suggest_competitions)
def show(name: str) -> None:
    """Print the file of a built-in competition.

    One of your own can begin with it.
    """
    from haet_eval.competition.loading import builtin_text

    click.echo(builtin_text(name), nl=False)


@competition.command(cls=CommandWithExamples, examples=("haet-eval competition schema",))
def schema() -> None:
    """Print the JSON schema of competition files.

    Editors check them by it.
    """
    from haet_eval.competition import schema_text

    click.echo(schema_text(), nl=False)


def _load(rules: "Competition", data_dir: Path, test_data: Path | None) -> "dict[str, Dataset | HaetError]":
    """The data of each task, or the problem with them. A secret test set may be missing."""
    from haet_eval.dataset import load_task_data

    found: dict[str, Dataset | HaetError] = {}
    for name, task in rules.tasks.items():
        # Asked here because the loader raises UsageProblem for it, and a file with a secret test set is in
        # order.
        if task.secret_test and test_data is None:
            found[name] = EnvironmentProblem(
                "the test set is secret", "--test-data PATH names it.", code="test-data-needed"
            )
            continue
        try:
            found[name] = load_task_data(
                task, data_dir, rules.folder, test_data if task.secret_test else None
            )
        except HaetError as problem:
            found[name] = problem
    return found


def _given_away(rules: "Competition", found: "dict[str, Dataset | HaetError]") -> list[str]:
    """The tasks of which too much can be read back, with what to do about it."""
    from haet_eval.data.readback import budgets_with

    faults = []
    for name, data in found.items():
        if isinstance(data, HaetError):
            continue
        try:
            budgets_with(rules, rules.tasks[name], data.train_images, official=data.official)
        except UsageProblem as problem:
            faults.append(f"Task {name}: {problem.with_hint}")
    return faults


def _print(
    rules: "Competition", found: "dict[str, Dataset | HaetError]", doubtful: list[str], wrong: list[str]
) -> None:
    from rich.text import Text

    from haet_eval.cli.text import print_row, result_console, safe
    from haet_eval.reports.rules import explain_rules

    console = result_console()
    for section in explain_rules(rules, found):
        console.print(safe(section.title, "bold"))
        for line in section.lines:
            print_row(console, Text(f"  {line.name:14}"), safe(line.text))
        console.print()
    for doubt in doubtful:
        print_row(console, Text("unusual  ", "yellow"), safe(doubt))
    for fault in wrong:
        print_row(console, Text("wrong  ", "red"), safe(fault))
    if not doubtful and not wrong:
        console.print("No problems found.")


def _facts(
    rules: "Competition", found: "dict[str, Dataset | HaetError]", doubtful: list[str]
) -> dict[str, Any]:
    return {
        "digest": rules.digest,
        "rules": rules.model_dump(mode="json"),
        "data": {name: _data_facts(data) for name, data in found.items()},
        # The key has its name from the first version: programs read it.
        "odd": doubtful,
    }


def _data_facts(data: "Dataset | HaetError") -> dict[str, Any]:
    if isinstance(data, HaetError):
        return {"problem": data.message, "hint": data.hint}
    return {
        "name": data.name,
        "digest": data.digest,
        "official": data.official,
        "train_images": list(data.train_images.shape),
        "test_images": list(data.test_images.shape),
        "num_classes": data.num_classes,
    }
