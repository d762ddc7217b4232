"""The first stage: the submission and its rules, read and checked. Nothing of the submission is run."""

from haet_eval.competition import Competition, competition_for_task, load_competition
from haet_eval.dataset import load_task_data
from haet_eval.errors import InvalidSubmission, UsageProblem
from haet_eval.evaluation.assignment import Assignment
from haet_eval.evaluation.findings import Findings, unread_submission
from haet_eval.evaluation.request import Request
from haet_eval.progress import Observer
from haet_eval.submission import ArchiveLimits, Submission, load_submission


def unpack(request: Request, findings: Findings, observer: Observer) -> Assignment:
    """Read the archive, find its competition, load the data. Nothing of the submission is run."""
    observer.stage("unpack", str(request.submission))
    submission, competition = read(request, findings)
    task = competition.task(submission.task)
    findings.dataset = load_task_data(task, request.data_dir, competition.folder, request.test_data)
    return Assignment(
        submission, competition, task, competition.budgets_for(submission.task), findings.dataset
    )


def read(request: Request, findings: Findings) -> tuple[Submission, Competition]:
    """Read the archive and find its competition, which has the task that it is for."""
    competition = load_competition(request.competition) if request.competition else None
    if competition and request.rules_folder:
        competition = competition.located(request.rules_folder)
    limits = competition.limits.for_archives() if competition else ArchiveLimits()
    findings.competition = competition
    if request.task is not None:
        _check_task(request.task, competition)
    try:
        submission = load_submission(request.submission, limits)
    except InvalidSubmission:
        findings.unread = unread_submission(request.submission)
        raise
    findings.submission = submission
    name = request.task or submission.task
    if competition is None:
        competition = load_competition(competition_for_task(name))
        findings.competition = competition
    if name != submission.task:
        raise InvalidSubmission(
            f'The submission is for the task "{submission.task}", not for "{name}" as was asked for.',
            code="task-mismatch",
        )
    competition.task(name)
    return submission, competition


def _check_task(name: str, competition: Competition | None) -> None:
    """What is wrong with the command line is nothing that a record says of a submission."""
    try:
        (competition or load_competition(competition_for_task(name))).task(name)
    except InvalidSubmission as error:
        raise UsageProblem(error.reason, "Correct --task, or leave it out.", code=error.code) from None
