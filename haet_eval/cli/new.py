"""`haet-eval new`: start a submission from a template."""

import shlex
from pathlib import Path

import click

from haet_eval.cli.examples import CommandWithExamples

TASKS = ("digits", "cifar10", "cifar100")


@click.command(
    cls=CommandWithExamples,
    examples=(
        "haet-eval new my-first-try",
        "haet-eval new my-first-try --task cifar10 --team Lovelace",
    ),
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--task",
    default="digits",
    show_default=True,
    type=click.Choice(TASKS),
    help="Task that haet.toml names; one line there, easily changed.",
)
@click.option("--name", help="Title of the submission.  [default: from the folder's name]")
@click.option("--team", help="Who submits it.  [default: your name, as git or the machine knows it]")
def new(folder: Path, task: str, name: str | None, team: str | None) -> None:
    """Start a submission in DIR, a new folder: a small network that qualifies on the digits as it is."""
    from haet_eval.submission.starter import start_submission

    for path in start_submission(folder, task, name, team):
        click.echo(path)
    # The lines below are for copying, so a folder with a space in its name is quoted.
    shown = shlex.quote(str(folder))
    click.echo(
        f"\nNext:\n  haet-eval check {shown}               see in seconds what it costs"
        f"\n  haet-eval {shown} --sandbox process   train and judge it on this machine"
        f"\n  haet-eval pack {shown}                make the zip to hand in",
        err=True,
    )
