"""The one place where exceptions become messages and exit codes."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Final

import click

from haet_eval.errors import ExitCode, HaetError, SubmissionFailure
from haet_eval.reports.text import printable_lines

BROKEN_PIPE_STATUS: Final = 128 + signal.SIGPIPE
"""What a shell reports of a program whose reader went away, as in `haet-eval leaderboard | head -1`."""


def run_guarded(program: Callable[[], object]) -> int:
    """Run the program; whatever it raises is told on stderr. Returns the exit status.

    The program's own status is what it returns, where that is an integer. SIGTERM is treated like
    Ctrl-C, so that containers and temporary files are cleaned up. The traceback of an unexpected error
    is shown where the environment variable HAET_DEBUG is set.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        status = program()
        sys.stdout.flush()
    except (KeyboardInterrupt, click.Abort):
        _say("Interrupted.")
        return ExitCode.INTERRUPTED
    except click.ClickException as error:
        error.show(sys.stderr)
        return ExitCode.USAGE
    except BrokenPipeError:
        # Python flushes stdout at exit and would complain once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE_STATUS
    except SubmissionFailure as failure:  # of a command that writes no record
        _say(f"Error: {failure.reason}")
        return failure.verdict.exit_code
    except HaetError as error:
        _say(f"Error: {error.message}")
        if error.hint:
            _say(f"Hint: {error.hint}")
        _traceback_where_wanted()
        return error.exit_code
    except Exception as error:  # the last resort: anything else is a fault of ours
        _tell_unexpected(error)
        return ExitCode.ENVIRONMENT
    return status if isinstance(status, int) else ExitCode.QUALIFIED


def _tell_unexpected(error: Exception) -> None:
    _say(f"Error: haet-eval itself failed: {type(error).__name__}: {error}")
    _say(
        "This says nothing about the submission. Please report it to the project's issue tracker,"
        " with what the same command prints under HAET_DEBUG=1."
    )
    _traceback_where_wanted()


def _traceback_where_wanted() -> None:
    if os.environ.get("HAET_DEBUG", "0") != "0":
        _say(traceback.format_exc())


def _say(text: str) -> None:
    click.echo(printable_lines(text), err=True)
