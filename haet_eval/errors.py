"""Two kinds of failure: a verdict on a submission, and an error that kept us from judging."""

from enum import IntEnum, StrEnum
from functools import partial
from pathlib import Path
from typing import Any


class ExitCode(IntEnum):
    """What the process says to the shell."""

    QUALIFIED = 0
    # Many programs end with 1 for any error. Here it is a verdict, so no error may end with it.
    NOT_QUALIFIED = 1
    USAGE = 2
    INVALID_SUBMISSION = 3
    ENVIRONMENT = 4
    LIMIT = 5
    NOT_FINISHED = 6
    """A check has run out of time: it found nothing, and cannot promise that there is nothing."""
    # 128 + SIGINT, as shells report a program that Ctrl-C has ended.
    INTERRUPTED = 130


class Verdict(StrEnum):
    """What a record says of a submission."""

    QUALIFIED = "qualified"
    BELOW_THRESHOLD = "below_threshold"
    INVALID_SUBMISSION = "invalid_submission"
    UNCOUNTABLE = "uncountable"
    FAILED = "failed"
    LIMIT_TIME = "limit:time"
    LIMIT_MEMORY = "limit:memory"
    LIMIT_PROCESSES = "limit:processes"
    LIMIT_OUTPUT = "limit:output"
    LIMIT_READBACK = "limit:readback"
    LIMIT_UPLOAD = "limit:upload"
    LIMIT_OPERATIONS = "limit:operations"
    LIMIT_MESSAGES = "limit:messages"
    LIMIT_PREDICTION = "limit:prediction"
    LIMIT_CPU = "limit:cpu"
    INTERRUPTED = "interrupted"
    """No verdict on the submission: whoever ran the evaluation, or the machine, stopped it."""

    @property
    def is_judged(self) -> bool:
        """Whether the submission ran to its end, so that its accuracy decided."""
        return self in (Verdict.QUALIFIED, Verdict.BELOW_THRESHOLD)

    @property
    def exit_code(self) -> ExitCode:
        """The exit status that goes with this verdict."""
        if self is Verdict.QUALIFIED:
            return ExitCode.QUALIFIED
        if self is Verdict.INTERRUPTED:
            return ExitCode.INTERRUPTED
        if self is Verdict.INVALID_SUBMISSION:
            return ExitCode.INVALID_SUBMISSION
        return ExitCode.LIMIT if self.value.startswith("limit:") else ExitCode.NOT_QUALIFIED


class SubmissionFailure(Exception):
    """The contestant's failure: it ends the run and becomes a record with a verdict.

    Attributes:
        verdict: what the record will say.
        reason: one sentence on what happened, to what, and what to do instead.
        code: its stable name, under which docs/reference/errors.md lists it.
    """

    def __init__(self, verdict: Verdict, reason: str, *, code: str) -> None:
        super().__init__(reason)
        self.verdict = verdict
        self.reason = reason
        self.code = code

    # Batches pass failures between processes. Pickle would call the class without the keyword `code`.
    def __reduce__(self) -> tuple[Any, ...]:
        return partial(SubmissionFailure, code=self.code), (self.verdict, self.reason)


class InvalidSubmission(SubmissionFailure):
    """The archive or its manifest breaks a rule."""

    def __init__(self, reason: str, *, code: str) -> None:
        super().__init__(Verdict.INVALID_SUBMISSION, reason, code=code)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(InvalidSubmission, code=self.code), (self.reason,)


class HaetError(Exception):
    """We could not judge. Says what happened and what to do next; carries the exit code.

    Attributes:
        message: what happened, to what.
        hint: what to do next.
        code: its stable name, under which docs/reference/errors.md lists it.
    """

    exit_code: ExitCode = ExitCode.ENVIRONMENT

    def __init__(self, message: str, hint: str = "", *, code: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code

    @property
    def with_hint(self) -> str:
        """The message and the hint, on one line."""
        return f"{self.message}. {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # With the dictionary: subclasses have attributes of their own.
        return partial(type(self), code=self.code), (self.message, self.hint), self.__dict__


class UsageProblem(HaetError):
    """The command line, a competition file or another input of the user's is wrong."""

    exit_code = ExitCode.USAGE


class EnvironmentProblem(HaetError):
    """Docker, the data, the disk or the machine failed. Only these may be retried."""

    exit_code = ExitCode.ENVIRONMENT


def output_not_writable(path: Path, error: OSError, instead: str = "") -> EnvironmentProblem:
    """The error of a file or folder that a user asked for. `instead` says how to name another one."""
    return EnvironmentProblem(
        f"{path} cannot be written: {error.strerror}",
        f"Check the owner of its folder and the free space{instead}.",
        code="output-not-writable",
    )
