"""The first stage: the submission and its rules, read and checked. Nothing of the submission is run."""

import hashlib
from pathlib import Path

from haet_eval.competition import Competition, Task, competition_for_task, load_competition
from haet_eval.dataset import load_task_data
from haet_eval.errors import InvalidSubmission, UsageProblem
from haet_eval.evaluation.request import Assignment, Request
from haet_eval.evaluation.results import Unpacked
from haet_eval.progress import Observer
from haet_eval.record import SourceFile, SubmissionInfo
from haet_eval.submission import ArchiveLimits, Submission, load_submission


def unpack(request: Request, observer: Observer) -> Unpacked:
    """Read the archive, find its competition, load the data.

    Raises:
        UsageProblem: what was asked for makes no sense, whatever the submission is.
        EnvironmentProblem: the data cannot be loaded.
    """
    observer.stage("unpack", str(request.submission))
    rules = rules_asked_for(request)
    try:
        submission = load_submission(request.submission, limits_by(rules))
    except InvalidSubmission as failure:
        return Unpacked(unread_submission(request.submission), rules, failure=failure)
    try:
        rules = rules or rules_by_default(request, submission)
        task = task_of(request, submission, rules)
    except InvalidSubmission as failure:
        return Unpacked(_described(submission), rules, failure=failure)
    data = load_task_data(task, request.data_dir, rules.folder, request.test_data)
    work = Assignment(submission, rules, task, rules.budgets_for(submission.task), data)
    return Unpacked(_described(submission), rules, work)


def rules_asked_for(request: Request) -> Competition | None:
    """The rules that were named, None where the task decides. What is wrong with them is the user's doing."""
    rules = load_competition(request.competition) if request.competition else None
    if rules and request.rules_folder:
        rules = rules.located(request.rules_folder)
    if request.task is not None:
        try:
            (rules or load_competition(competition_for_task(request.task))).task(request.task)
        except InvalidSubmission as error:
            raise UsageProblem(error.reason, "Correct --task, or leave it out.", code=error.code) from None
    return rules


def limits_by(rules: Competition | None) -> ArchiveLimits:
    """What an archive may be."""
    return rules.limits.for_archives() if rules else ArchiveLimits()


def rules_by_default(request: Request, submission: Submission) -> Competition:
    """The rules of the task. Raises InvalidSubmission where no competition has it."""
    return load_competition(competition_for_task(request.task or submission.task))


def task_of(request: Request, submission: Submission, rules: Competition) -> Task:
    """The submission's task. Raises InvalidSubmission where the rules have none such, or another is due."""
    name = request.task or submission.task
    if name != submission.task:
        raise InvalidSubmission(
            f'The submission is for the task "{submission.task}", not for "{name}" as was asked for.',
            code="task-mismatch",
        )
    return rules.task(name)


def _described(submission: Submission) -> SubmissionInfo:
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
    )


def unread_submission(path: Path) -> SubmissionInfo:
    """What can be said of a submission whose archive or manifest could not be read.

    The digest is that of the file; of a folder, that of the names and sizes of what lies in it.
    """
    digest, archive_bytes = hashlib.sha256(), 0
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            digest.update(
                f"{file.relative_to(path)}\0{file.lstat().st_size}\n".encode(errors="surrogateescape")
            )
    if path.is_file():
        with path.open("rb") as archive:
            digest = hashlib.file_digest(archive, "sha256")
        archive_bytes = path.stat().st_size
    return SubmissionInfo(
        name=None,
        team=None,
        task=None,
        sha256=digest.hexdigest(),
        files=(),
        archive_bytes=archive_bytes,
        source_bytes=0,
        source_bytes_compressed=0,
        description=None,
        paper=None,
    )


def digest_of(path: Path, limits: ArchiveLimits) -> str:
    """The digest that a record of this submission has, whether or not it can be read."""
    try:
        return load_submission(path, limits).sha256
    except InvalidSubmission:
        return unread_submission(path).sha256
