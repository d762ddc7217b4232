"""Which ends of a worker are the contestant's, and which are ours."""

import signal

import pytest

from haet_eval.errors import EnvironmentProblem, SubmissionFailure, Verdict
from haet_eval.runtimes.failures import BEFORE_ITS_CODE, IN_THE_EXECUTOR, IN_THE_SUBMISSION, Cause, judge_end
from haet_eval.runtimes.interface import Exit, Role, WorkerLimits

OUT_OF_MEMORY = Exit(None, signal.SIGKILL, out_of_memory=True)
REFUSED = Exit(1, None, processes_exhausted=True)
SEGFAULT = Exit(None, signal.SIGSEGV)
ABORT = Exit(None, signal.SIGABRT)
KILLED = Exit(None, signal.SIGKILL)
STOPPED_BY_AN_ADMINISTRATOR = Exit(None, signal.SIGKILL, from_outside=True)
KILLED_BY_SOMEONE = Exit(None, signal.SIGKILL, sender_unknown=True)
CRASHED_IN_A_LOCAL_PROCESS = Exit(None, signal.SIGSEGV, sender_unknown=True)
LEFT = Exit(0, None)


@pytest.mark.parametrize(
    ("role", "end", "verdict"),
    [
        (Role.SUBMISSION, OUT_OF_MEMORY, Verdict.LIMIT_MEMORY),
        (Role.SUBMISSION, REFUSED, Verdict.LIMIT_PROCESSES),
        (Role.SUBMISSION, SEGFAULT, Verdict.FAILED),
        (Role.SUBMISSION, KILLED, Verdict.FAILED),
        (Role.SUBMISSION, LEFT, Verdict.FAILED),
        (Role.SUBMISSION, CRASHED_IN_A_LOCAL_PROCESS, Verdict.FAILED),
        (Role.EXECUTOR, OUT_OF_MEMORY, Verdict.LIMIT_MEMORY),
        (Role.EXECUTOR, SEGFAULT, Verdict.FAILED),
        (Role.EXECUTOR, ABORT, Verdict.FAILED),
    ],
)
def test_the_contestants_failures_get_a_verdict(role: Role, end: Exit, verdict: Verdict) -> None:
    problem = judge_end(role, end, submission_started=True)
    assert isinstance(problem, SubmissionFailure)
    assert problem.verdict is verdict
    assert problem.reason


@pytest.mark.parametrize(
    ("role", "end", "number"),
    [
        (Role.SUBMISSION, REFUSED, "its limit of 128 (processes)"),
        (Role.SUBMISSION, OUT_OF_MEMORY, "its limit of 512 MiB"),
        (Role.EXECUTOR, OUT_OF_MEMORY, "their limit of 512 MiB"),
    ],
)
def test_a_limit_is_named_with_its_number(role: Role, end: Exit, number: str) -> None:
    limits = WorkerLimits(memory_bytes=512 * 2**20, processes=128, deadline_seconds=60)
    problem = judge_end(role, end, submission_started=True, limits=limits)
    assert isinstance(problem, SubmissionFailure)
    assert number in problem.reason


@pytest.mark.parametrize(
    ("role", "end"),
    [
        (Role.SUBMISSION, STOPPED_BY_AN_ADMINISTRATOR),
        (Role.SUBMISSION, KILLED_BY_SOMEONE),
        (Role.NATIVE, KILLED_BY_SOMEONE),
        (Role.EXECUTOR, KILLED_BY_SOMEONE),
        (Role.EXECUTOR, STOPPED_BY_AN_ADMINISTRATOR),
        (Role.EXECUTOR, KILLED),
        (Role.EXECUTOR, LEFT),
        (Role.EXECUTOR, REFUSED),
    ],
)
def test_what_the_machine_did_judges_nobody(role: Role, end: Exit) -> None:
    problem = judge_end(role, end, submission_started=True)
    assert isinstance(problem, EnvironmentProblem)
    assert problem.hint


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("end", [OUT_OF_MEMORY, REFUSED, SEGFAULT, KILLED, STOPPED_BY_AN_ADMINISTRATOR, LEFT])
def test_nobody_is_judged_before_their_code_has_run(role: Role, end: Exit) -> None:
    assert isinstance(judge_end(role, end, submission_started=False), EnvironmentProblem)


def test_every_cause_has_a_row_in_each_table() -> None:
    for table in (BEFORE_ITS_CODE, IN_THE_SUBMISSION, IN_THE_EXECUTOR):
        assert set(table) == set(Cause)


def test_a_crash_names_the_signal() -> None:
    problem = judge_end(Role.EXECUTOR, SEGFAULT, submission_started=True)
    assert isinstance(problem, SubmissionFailure)
    assert "SIGSEGV" in problem.reason


def test_our_problem_repeats_what_the_worker_said() -> None:
    end = Exit(1, None, detail="ModuleNotFoundError: No module named 'torch'")
    problem = judge_end(Role.EXECUTOR, end, submission_started=False)
    assert isinstance(problem, EnvironmentProblem)
    assert "exit status 1" in problem.message
    assert "No module named 'torch'" in problem.message
