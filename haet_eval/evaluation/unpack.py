"""The first stage: read and check the submission and its rules. No code of the submission runs."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from haet_eval.archive import unpack as read_archive
from haet_eval.competition import Competition, Task, competition_for_task, load_competition
from haet_eval.data.readback import budgets_with
from haet_eval.dataset import load_task_data
from haet_eval.errors import InvalidSubmission, UsageProblem
from haet_eval.evaluation.request import Assignment, Request
from haet_eval.evaluation.results import Unpacked
from haet_eval.files import real_path
from haet_eval.progress import Observer
from haet_eval.record import SourceFile, SubmissionInfo
from haet_eval.spelling import quoted
from haet_eval.submission import ArchiveLimits, Submission, load_submission
from haet_eval.submission.unread import archive_digest, folder_digest, large_archive_digest


def unpack(request: Request, observer: Observer) -> Unpacked:
    """Read the archive, find its competition, load the data.

    Raises:
        UsageProblem: the request makes no sense, or the rules allow a submission to read back too much data.
        EnvironmentProblem: the data cannot be loaded.
    """
    observer.stage("unpack", str(request.submission))
    # Before the submission is read: the rules set the limits of its archive, and their errors are the user's.
    rules = rules_asked_for(request)
    try:
        submission = load_submission(request.submission, limits_by(rules))
    except InvalidSubmission as failure:
        unread = unread_submission(request.submission, request.received_at)
        unread = unread.model_copy(update={"archive_name": archive_name(request)})
        return Unpacked(unread, rules, failure=failure)
    try:
        if rules is None:
            rules = rules_by_default(request, submission)
            check_size(submission, rules)
        task = task_of(submission, rules, request.task, request.competition)
    except InvalidSubmission as failure:
        return Unpacked(_described(submission, request), rules, failure=failure)
    # Data come last: an invalid submission gets its record on a machine without the data, too.
    data = load_task_data(task, request.data_dir, rules.folder, request.test_data)
    budgets = budgets_with(rules, task, data.train_images, official=data.official)
    work = Assignment(submission, rules, task, budgets, data)
    return Unpacked(_described(submission, request), rules, work)


def rules_asked_for(request: Request) -> Competition | None:
    """The rules that the user named; None if the task decides. Errors in them are the user's mistake."""
    rules = load_competition(request.competition) if request.competition else None
    if rules and request.rules_folder:
        rules = rules.located(request.rules_folder)
    if request.task is not None:
        with asked_for("--task"):
            # Only the error matters here: a misspelt --task is reported before the submission is read.
            (rules or load_competition(competition_for_task(request.task))).task(request.task)
    return rules


def limits_by(rules: Competition | None) -> ArchiveLimits:
    """The limits of an archive by these rules."""
    return rules.limits.for_archives() if rules else ArchiveLimits()


def check_size(submission: Submission, rules: Competition) -> None:
    """Hold a submission against the limits of these rules. Raises InvalidSubmission.

    Without `--competition` its task decides on the rules. They are known only when the submission has been
    read, and the default limits held until then.
    """
    read_archive(submission.archive, limits_by(rules))


def rules_by_default(request: Request, submission: Submission) -> Competition:
    """The rules of the task. Raises InvalidSubmission if no competition has it."""
    return load_competition(competition_for_task(request.task or submission.task))


def task_of(submission: Submission, rules: Competition, task: str | None, competition: str | None) -> Task:
    """The submission's task by these rules.

    Args:
        submission: its manifest names a task.
        rules: its competition.
        task: the task that the user named, if any.
        competition: the name or path by which the user named the rules; None if the task has decided.

    Raises:
        InvalidSubmission: the rules that go with the task do not have it.
        UsageProblem: the user named another task, or rules that do not have it.
    """
    if task not in (None, submission.task):
        raise UsageProblem(
            f"the submission is for the task {quoted(submission.task)}, and --task names {quoted(task)}",
            "Leave out --task, or change `task` in haet.toml.",
            code="task-mismatch",
        )
    if competition is None:
        return rules.task(submission.task)
    with asked_for("--competition"):
        return rules.task(submission.task)


@contextmanager
def asked_for(option: str) -> Iterator[None]:
    """In this block, a task that is missing in the rules is the user's mistake, made with this option."""
    try:
        yield
    except InvalidSubmission as error:
        raise UsageProblem(error.reason, f"Correct {option}, or leave it out.", code=error.code) from None


def _described(submission: Submission, request: Request) -> SubmissionInfo:
    return SubmissionInfo(
        name=submission.name,
        team=submission.team,
        task=submission.task,
        sha256=submission.sha256,
        files=tuple(
            SourceFile(path=path, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
            for path, content in submission.files.items()
        ),
        archive_bytes=submission.archive_bytes,
        source_bytes=submission.source_bytes,
        source_bytes_compressed=submission.compressed_bytes,
        description=submission.description or None,
        paper=submission.paper,
        archive_sha256=submission.archive_sha256,
        archive_name=archive_name(request),
        received_at=request.received_at,
    )


def archive_name(request: Request) -> str:
    """What the file or folder was called that was handed in, in UTF-8."""
    name = request.archive_name or real_path(request.submission).name
    # A file's name may be no UTF-8. Python holds such bytes as surrogates, which a record cannot store.
    return os.fsencode(name).decode(errors="replace")


def unread_submission(path: Path, received_at: datetime | None = None) -> SubmissionInfo:
    """The facts about a submission whose archive or manifest could not be read.

    The digest is that of the file; of a folder, that of its contents. A file that is far too large may be
    full of holes, so its zeros are not hashed.
    """
    archive_sha256 = archive_digest(path) if path.is_file() else None
    digest = folder_digest(path) if path.is_dir() else archive_sha256 or large_archive_digest(path)
    return SubmissionInfo(
        name=None,
        team=None,
        task=None,
        sha256=digest,
        files=(),
        archive_bytes=path.stat().st_size if path.is_file() else 0,
        source_bytes=0,
        source_bytes_compressed=0,
        description=None,
        paper=None,
        archive_sha256=archive_sha256,
        received_at=received_at,
    )


def digest_of(path: Path, limits: ArchiveLimits) -> str:
    """The digest of this submission in a record, even if the submission cannot be read."""
    try:
        return load_submission(path, limits).sha256
    except InvalidSubmission:
        return unread_submission(path).sha256
