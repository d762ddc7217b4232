"""The table that distinguishes a contestant's failure from ours, if a worker has ended before its time."""

from dataclasses import dataclass
from enum import StrEnum, auto
from signal import SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP, SIGXCPU, SIGXFSZ, Signals

from haet_eval.errors import EnvironmentProblem, SubmissionFailure, Verdict
from haet_eval.runtimes.interface import Exit, Role, WorkerLimits

CRASHES = frozenset({SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP})

_MEANINGS = {
    SIGXCPU: ": it had used the processor time that a limit left it",
    SIGXFSZ: ": it wrote a file larger than a limit",
}


class Cause(StrEnum):
    """Why a worker ended, judged by its exit status and the engine's events."""

    FROM_OUTSIDE = auto()
    OUT_OF_MEMORY = auto()
    PROCESSES_EXHAUSTED = auto()
    CRASHED = auto()
    KILLED = auto()
    KILLED_BY_SOMEONE = auto()
    EXITED = auto()

    @classmethod
    def of(cls, end: Exit) -> "Cause":
        """The first cause that applies, in the order of this function."""
        # An end from outside excuses all that follows from it. A limit comes before the signal or the status
        # by which the worker ended because of it.
        if end.from_outside:
            return cls.FROM_OUTSIDE
        if end.out_of_memory:
            return cls.OUT_OF_MEMORY
        if end.processes_exhausted:
            return cls.PROCESSES_EXHAUSTED
        if end.signal is None:
            return cls.EXITED
        if end.signal in CRASHES:
            return cls.CRASHED
        return cls.KILLED_BY_SOMEONE if end.sender_unknown else cls.KILLED


@dataclass(frozen=True, slots=True)
class Contestants:
    """A contestant's failure: it becomes a record with this verdict."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Ours:
    """A failure of the machine: nobody is judged, and the run may be tried again."""

    message: str
    hint: str


TRY_AGAIN = "Run it again; if it happens again, `haet-eval doctor` looks for the cause."
TOO_MANY_PROCESSES = (
    "the submission started more processes and threads than its limit{processes}; start fewer, for example"
    " with num_workers=0"
)
LESS_MEMORY = "the memory limit is in the competition file"

# Before any code of the submission has run, every failure is ours.
BEFORE_ITS_CODE: dict[Cause, Ours] = {
    Cause.FROM_OUTSIDE: Ours("the {role} worker was stopped from outside while it started", TRY_AGAIN),
    Cause.OUT_OF_MEMORY: Ours(
        "the {role} worker ran out of memory while it started", f"Its limit is too low; {LESS_MEMORY}."
    ),
    Cause.PROCESSES_EXHAUSTED: Ours(
        "the {role} worker was refused a process while it started",
        "Its limit is too low; the limit on processes is in the competition file.",
    ),
    Cause.CRASHED: Ours("the {role} worker crashed while it started ({how})", TRY_AGAIN),
    Cause.KILLED: Ours("the {role} worker was killed while it started ({how})", TRY_AGAIN),
    Cause.KILLED_BY_SOMEONE: Ours("the {role} worker was killed while it started ({how})", TRY_AGAIN),
    Cause.EXITED: Ours("the {role} worker ended while it started ({how})", TRY_AGAIN),
}

# The submission's own process: every failure in it is the submission's doing, unless someone stopped it.
IN_THE_SUBMISSION: dict[Cause, Contestants | Ours] = {
    Cause.FROM_OUTSIDE: Ours("the submission's worker was stopped from outside", TRY_AGAIN),
    Cause.OUT_OF_MEMORY: Contestants(
        Verdict.LIMIT_MEMORY, "the submission's own process used more memory than its limit{memory}"
    ),
    Cause.PROCESSES_EXHAUSTED: Contestants(Verdict.LIMIT_PROCESSES, TOO_MANY_PROCESSES),
    Cause.CRASHED: Contestants(Verdict.FAILED, "the submission's process crashed ({how})"),
    Cause.KILLED: Contestants(Verdict.FAILED, "the submission's process was killed ({how}), by itself"),
    # The sender may be a user, a scheduler, the kernel (out of memory) or the submission itself. Only a
    # container shows which.
    Cause.KILLED_BY_SOMEONE: Ours(
        "the submission's process was killed ({how}), and local processes do not show by whom",
        "Run it again; if it happens each time, the submission does it, and --sandbox docker proves it.",
    ),
    Cause.EXITED: Contestants(Verdict.FAILED, "the submission's process ended before train returned ({how})"),
}

# The executor runs no code of the submission, but it runs the submission's operators on the submission's
# tensors. So a crash or a lack of memory there is the submission's doing, and any other end is ours.
IN_THE_EXECUTOR: dict[Cause, Contestants | Ours] = {
    Cause.FROM_OUTSIDE: Ours("the executor was stopped from outside", TRY_AGAIN),
    Cause.OUT_OF_MEMORY: Contestants(
        Verdict.LIMIT_MEMORY, "the submission's tensors take more memory than their limit{memory}"
    ),
    Cause.PROCESSES_EXHAUSTED: Ours(
        "the executor was refused a thread",
        "The limit on processes in the competition file is too low for this machine's processors.",
    ),
    Cause.CRASHED: Contestants(Verdict.FAILED, "an operator that the submission asked for crashed ({how})"),
    Cause.KILLED: Ours("the executor was killed ({how})", TRY_AGAIN),
    Cause.KILLED_BY_SOMEONE: Ours("the executor was killed ({how})", TRY_AGAIN),
    Cause.EXITED: Ours("the executor ended before its work was done ({how})", TRY_AGAIN),
}


def too_many_processes(limits: WorkerLimits | None) -> str:
    """The reason of the verdict `limit:processes`, with the number if it is known."""
    return TOO_MANY_PROCESSES.format(**_numbers(limits))


def judge_end(
    role: Role, end: Exit, *, submission_started: bool, limits: WorkerLimits | None = None
) -> SubmissionFailure | EnvironmentProblem:
    """The error to raise for a worker that has ended before its work was done.

    Args:
        role: the role of the worker. If both have ended, judge the executor first: the other ends with it.
        end: how the worker ended.
        submission_started: whether any code of the submission has run.
        limits: the limits of the worker, which reasons name; None if they are not known.
    """
    # A node on plain tensors runs the submission's code, so it is judged like the submission's process.
    table = IN_THE_EXECUTOR if role is Role.EXECUTOR else IN_THE_SUBMISSION
    row = table[Cause.of(end)] if submission_started else BEFORE_ITS_CODE[Cause.of(end)]
    facts = {"role": role.value, "how": _how(end)} | _numbers(limits)
    if isinstance(row, Contestants):
        return SubmissionFailure(row.verdict, row.reason.format(**facts), code="process-ended")
    said = f": {end.detail}" if end.detail else ""
    return EnvironmentProblem(row.message.format(**facts) + said, row.hint, code="worker-ended")


def worker_stopped() -> EnvironmentProblem:
    """The error to raise for a worker whose own process stands still (SIGSTOP).

    It judges nobody, as SIGKILL of a local process does: nothing shows who has sent it. Only in the container
    of a submission on handles, which may stop itself, does the time run on (decision 0053).
    """
    return EnvironmentProblem(
        "a worker's process was stopped (SIGSTOP), so its time is unknown",
        "Run it again, and stop none of its processes; if it happens each time, the submission may do it.",
        code="paused",
    )


def _numbers(limits: WorkerLimits | None) -> dict[str, str]:
    """Each limit as the end of a phrase, such as ` of 128 (processes)`."""
    if limits is None:
        return {"processes": "", "memory": ""}
    return {
        "processes": f" of {limits.processes:,} (processes)",
        "memory": f" of {limits.memory_bytes / 2**20:,.0f} MiB",
    }


def _how(end: Exit) -> str:
    if end.signal is None:
        return f"exit status {end.code}"
    known = {one.value: f"{one.name}{_MEANINGS.get(one, '')}" for one in Signals}
    return known.get(end.signal, f"signal {end.signal}")
