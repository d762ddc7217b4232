"""The program `haet-eval`: its table of commands. Each command is imported when it is run."""

import os
import sys
from pathlib import Path
from typing import Final, NoReturn

import click

from haet_eval import __version__
from haet_eval.cli.boundary import run_guarded
from haet_eval.cli.encoding import use_plain_text_where_needed
from haet_eval.cli.lazy_group import CONFIGURATION, LazyCommand, LazyGroup
from haet_eval.cli.streams import hold_streams
from haet_eval.errors import ExitCode
from haet_eval.interruption import leave_quietly

_HELP = """Judge training code: run a submission, count every operation of its training, check the
accuracy of the trained model, write a record, and rank it.

`haet-eval SUBMISSION` evaluates a .zip file or a folder, as `haet-eval evaluate SUBMISSION` does.

Every option can be set by an environment variable, alike for all commands: --data-dir by HAET_DATA_DIR;
and in a TOML file, which `haet-eval config` tells about.

\b
Exit status: 0 qualified, 1 judged but not qualified, 2 usage,
3 invalid submission, 4 the environment failed, 5 a limit was exceeded,
6 a check has not finished, 130 interrupted.
"""

_EXAMPLES: Final = (
    "haet-eval new my-submission",
    "haet-eval check my-submission/",
    "haet-eval my-submission/ --sandbox process",
    "haet-eval leaderboard --all",
)

FIRST: Final = {
    "evaluate": LazyCommand("haet_eval.cli.evaluate:evaluate", "Evaluate a submission."),
    "check": LazyCommand("haet_eval.cli.check:check", "Check a submission before handing it in."),
    "new": LazyCommand("haet_eval.cli.new:new", "Start a submission from a template."),
    "leaderboard": LazyCommand("haet_eval.cli.leaderboard:leaderboard", "Rank the records of a folder."),
    "verify": LazyCommand("haet_eval.cli.verify:verify_records", "Check a record against all that it names."),
}
"""What most people need."""

# The summaries stand here, so that the help page and completion import no command (decision 0084).
COMMANDS: Final = FIRST | {
    "batch": LazyCommand("haet_eval.cli.batch:batch", "Evaluate many submissions, here or on a cluster."),
    "pack": LazyCommand("haet_eval.cli.pack:pack", "Make a submission's zip."),
    "resume": LazyCommand("haet_eval.cli.resume:resume", "Go on with a run that was interrupted."),
    "confirm": LazyCommand("haet_eval.cli.confirm:confirm", "Check the podium before awards are paid."),
    "sign": LazyCommand("haet_eval.cli.sign:sign", "Sign records, or make a key for that."),
    "export": LazyCommand("haet_eval.cli.export:export", "Bundle records for an archive."),
    "explain": LazyCommand("haet_eval.cli.explain:explain", "Show where a record's operations went."),
    "competition": LazyCommand("haet_eval.cli.competition:competition", "Explain and list competitions."),
    "data": LazyCommand("haet_eval.cli.data:data", "Fetch and verify the data sets."),
    "image": LazyCommand("haet_eval.cli.image:image", "Build the sandbox image."),
    "doctor": LazyCommand("haet_eval.cli.doctor:doctor", "Say whether this machine is ready and safe."),
    "clean": LazyCommand("haet_eval.cli.clean:clean", "Remove what interrupted runs left behind."),
    "config": LazyCommand("haet_eval.cli.config:config", "Show the settings in force, and where from."),
    "completion": LazyCommand("haet_eval.cli.completion:completion", "Print a shell's completion script."),
    # Names of version 0.1.0: scripts of organizers go on working.
    "keygen": LazyCommand("haet_eval.cli.sign:keygen", "Now sign --new-key.", hidden=True),
    "rerun": LazyCommand("haet_eval.cli.rerun:rerun", "Now verify --rerun.", hidden=True),
}


def _tell_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Print what a record depends on: this program, the torch beside it, the image of the sandbox."""
    if not wanted or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    from haet_eval.runtimes.image_files import IMAGE

    try:
        # From the metadata: importing torch takes seconds.
        torch = version("torch")
    except PackageNotFoundError:
        torch = "not installed"
    click.echo(f"haet-eval {__version__} (torch {torch}, image {IMAGE})")
    ctx.exit()


_VERSION: Final = click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_tell_version,
    help="Show the version, with torch's and the sandbox image, and exit.",
)

_CONFIG: Final = click.option(
    "--config",
    CONFIGURATION,
    metavar="FILE",
    envvar="HAET_CONFIG",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Defaults of the options, instead of the user's own file.",
)


cli: Final = _CONFIG(
    _VERSION(
        LazyGroup(
            "haet-eval",
            lazy_commands=COMMANDS,
            first=FIRST,
            default_command="evaluate",
            help=_HELP,
            examples=_EXAMPLES,
        )
    )
)


def main() -> NoReturn:
    """Run the command line and leave with its exit status."""
    # What a signal makes of the program before it has a result. After that, a signal no longer changes the
    # status.
    status: int = ExitCode.INTERRUPTED
    leave_quietly(lambda: os._exit(status))
    # Before any file: one that is opened before would get the number of a closed stream, and messages would
    # go there.
    hold_streams()
    use_plain_text_where_needed()
    # `completion.VARIABLE`, written out: the module is imported only when a shell asks.
    if "_HAET_EVAL_COMPLETE" in os.environ:  # a shell asks
        import haet_eval.cli.completion  # noqa: F401 its shells are known from here on
    # Standalone, click would print errors itself and end with 1, which is a verdict here.
    status = run_guarded(lambda: cli.main(prog_name="haet-eval", standalone_mode=False))
    sys.exit(status)


if __name__ == "__main__":
    main()
