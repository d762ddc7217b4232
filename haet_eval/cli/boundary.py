"""The one place where exceptions become messages and exit codes."""

import os
import sys
import traceback
from collections.abc import Callable
from errno import EDQUOT, EMFILE, ENAMETOOLONG, ENFILE, ENOSPC
from pathlib import Path
from typing import Final, NoReturn

import click

from haet_eval.cli.lazy_group import CONFIGURATION
from haet_eval.cli.settings import variable_in_force
from haet_eval.cli.streams import ResultLost, drop_stdout, write_last_words
from haet_eval.errors import EnvironmentProblem, ExitCode, HaetError, SubmissionFailure, UsageProblem
from haet_eval.interruption import listening
from haet_eval.reports.text import printable, printable_lines

_SHOWN_LETTERS: Final = 60
"""Of a name that is too long."""

BROKEN_PIPE_STATUS: Final = 128 + 13  # SIGPIPE, which Windows lacks
"""What a shell reports of a program whose reader went away, as in `haet-eval leaderboard | head -1`."""


def run_guarded(program: Callable[[], object]) -> int:
    """Run the program, and report every exception on stderr. Returns the exit status.

    If the program returns an integer, that is its status. SIGTERM and SIGHUP are treated
    like Ctrl-C: containers and temporary files are cleaned up, unless a second one comes. The traceback of
    an unexpected error is shown where the environment variable HAET_DEBUG is set.
    """
    with listening(_leave_at_once):
        return _run(program)


def _run(program: Callable[[], object]) -> int:
    try:
        status = program()
        # What is still buffered is written here, inside of the boundary: at exit Python could only complain.
        sys.stdout.flush()
    # click raises Abort for Ctrl-C and for the end of the input at a prompt.
    except (KeyboardInterrupt, click.Abort):
        say("Interrupted.")
        return ExitCode.INTERRUPTED
    except click.ClickException as error:
        # click would give 1 for some of its exceptions, and 1 is a verdict here.
        error.show(sys.stderr)
        _tell_source(error)
        return ExitCode.USAGE
    # The order of these clauses matters: ResultLost, BrokenPipeError and PermissionError are OSErrors.
    except (ResultLost, BrokenPipeError) as error:
        return _tell_of_stdout(error)
    except SubmissionFailure as failure:  # of a command that writes no record
        say(f"Error: {failure.reason} [{failure.code}]")
        return failure.verdict.exit_code
    except HaetError as error:
        return _tell(error)
    except MemoryError as error:
        return _tell(_out_of_memory(error))
    except PermissionError as error:
        return _tell(_not_permitted(error))
    except OSError as error:
        return _tell_of_the_system(error)
    except Exception as error:  # the last resort: anything else is a fault of ours
        return _tell_unexpected(error)
    return status if isinstance(status, int) else ExitCode.QUALIFIED


def _leave_at_once() -> NoReturn:
    """Whatever runs, locks or writes is left as it is; no Python code of it gets to clean up."""
    # rich hides the cursor in a live view, and nothing else will show it again.
    show_cursor = "\x1b[?25h\n" if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else ""
    told = "Interrupted twice: left at once. The next run, or haet-eval clean, removes what is left.\n"
    write_last_words(show_cursor + told)
    # `sys.exit` would unwind `with` blocks, and these wait for the engine that the user no longer waits for.
    os._exit(ExitCode.INTERRUPTED)


def _tell_source(error: click.ClickException) -> None:
    """Where a wrong value comes from, if not from the command line."""
    if not isinstance(error, click.BadParameter) or error.ctx is None or error.param is None:
        return
    match error.ctx.get_parameter_source(str(error.param.name)):
        case click.core.ParameterSource.ENVIRONMENT:
            say(f"Hint: The value comes from the environment variable {variable_in_force(error.param)}.")
        case click.core.ParameterSource.DEFAULT_MAP:
            say(f"Hint: The value comes from {error.ctx.meta[CONFIGURATION].path}.")


def _tell(error: HaetError) -> ExitCode:
    say(f"Error: {error.message} [{error.code}]")
    if error.hint:
        say(f"Hint: {error.hint}")
    _traceback_where_wanted()
    return error.exit_code


def _tell_of_the_system(error: OSError) -> ExitCode:
    if error.errno in (ENOSPC, EDQUOT):
        return _tell(_disk_full(error))
    if error.errno in (EMFILE, ENFILE):
        return _tell(_too_many_files(error))
    if error.errno == ENAMETOOLONG:
        return _tell(_name_too_long(error))
    return _tell_unexpected(error)


def _tell_of_stdout(error: ResultLost | BrokenPipeError) -> int:
    drop_stdout()
    # A reader that has left, such as `head`, has what it wanted: there is nothing to report.
    if not isinstance(error, ResultLost) or error.reader_left:
        return BROKEN_PIPE_STATUS
    return _tell(_lost(error))


def _lost(error: ResultLost) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"the result could not be printed: {error.strerror}",
        "Run the command again with a stdout that takes it: an open pipe, or a file on a disk with room. The "
        "files that it writes are there: `export` and `sign --new-key` need not run again.",
        code="stdout-closed",
    )


def _out_of_memory(error: MemoryError) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"haet-eval ran out of memory{f': {error}' if str(error) else ''}",
        "Free memory on this machine, or run it where `ulimit -v` says unlimited.",
        code="out-of-memory",
    )


def _too_many_files(error: OSError) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"{error.filename or 'a file or a connection'} cannot be opened: {error.strerror}",
        "Allow more with `ulimit -n 1024`, or close what else is open on this machine.",
        code="too-many-files",
    )


def _name_too_long(error: OSError) -> UsageProblem:
    """Of a path that the command line, a variable or a file named: haet-eval makes short names."""
    name = str(error.filename or "a path")
    shown = name if len(name) <= _SHOWN_LETTERS else f"{name[:_SHOWN_LETTERS]}…"
    return UsageProblem(
        f"{shown} is too long for the name of a file ({len(name):,} characters)",
        "Correct the path, or use a shorter one.",
        code="filename-too-long",
    )


def _current_folder_is_gone() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False


def _folder_gone() -> UsageProblem:
    return UsageProblem(
        "the current folder was removed or replaced after this shell went there",
        "Change to a folder that exists (`cd`), and run the command again.",
        code="current-folder-gone",
    )


def _not_permitted(error: PermissionError) -> EnvironmentProblem:
    """Of a file or folder that no module has named before."""
    return EnvironmentProblem(
        f"{error.filename or 'a file'} may not be used by this user: {error.strerror}",
        "Check its owner and permissions, and those of the folders that it lies in.",
        code="not-permitted",
    )


def _disk_full(error: OSError) -> EnvironmentProblem:
    """Of a temporary file: whoever writes others names them."""
    from haet_eval.runtimes.folder import temporary_folder  # only a full disk needs it

    return EnvironmentProblem(
        f"{error.filename or 'a temporary file'} cannot be written: {error.strerror}",
        f"Make room there or in {temporary_folder()}, and run the command again.",
        code="disk-full",
    )


def _tell_unexpected(error: Exception) -> ExitCode:
    # Paths, processes and others need the current folder, and each fails in its own way without it.
    if _current_folder_is_gone():
        return _tell(_folder_gone())
    say(f"Error: haet-eval itself failed: {type(error).__name__}: {error}")
    say(
        "This says nothing about the submission. Please report it to the project's issue tracker,"
        " with what the same command prints under HAET_DEBUG=1."
    )
    _traceback_where_wanted()
    return ExitCode.ENVIRONMENT


def _traceback_where_wanted() -> None:
    # Only inside an `except` clause is there a traceback to format: all callers are called from one.
    if os.environ.get("HAET_DEBUG", "0") != "0":
        say(traceback.format_exc())


def say_line(text: str) -> None:
    """Print one line on stderr, whatever is in the text."""
    click.echo(printable(text), err=True)


def say(text: str) -> None:
    """Print a message on stderr; control characters in it do nothing to a terminal."""
    click.echo(printable_lines(text), err=True)
