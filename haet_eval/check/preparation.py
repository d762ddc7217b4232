"""What a check needs before anything is run: the submission, its rules, its data or a stand-in for them."""

from haet_eval.check.stand_in_data import stand_in_data
from haet_eval.competition import Competition
from haet_eval.data.cifar import NotFetched
from haet_eval.data.readback import budgets_with
from haet_eval.dataset import load_task_data
from haet_eval.errors import InvalidSubmission
from haet_eval.evaluation.request import Assignment, Request
from haet_eval.evaluation.unpack import check_size, limits_by, rules_asked_for, rules_by_default, task_of
from haet_eval.submission import Submission
from haet_eval.submission.entrypoint import check_entrypoint
from haet_eval.submission.loading import load_unfinished


def read_submission(request: Request) -> tuple[Submission, Competition]:
    """The submission and its rules, read as the judge reads them, but for its entrypoint: see `entry_fault`.

    Raises:
        InvalidSubmission: it breaks a rule.
        UsageProblem: there is no such submission, or no such competition.
    """
    rules = rules_asked_for(request)
    # Without the entrypoint's check, whose fault would hide the remarks on the code.
    submission = load_unfinished(request.submission, limits_by(rules))
    if rules is None:
        rules = rules_by_default(request, submission)
        check_size(submission, rules)
    task_of(submission, rules, request.task, request.competition)
    return submission, rules


def entry_fault(submission: Submission) -> InvalidSubmission | None:
    """Why the judge would not run it, although it could be read; the look at its code goes on without it."""
    try:
        check_entrypoint(submission.files, submission.module, submission.function)
    except InvalidSubmission as fault:
        return fault
    return None


def assign(request: Request, submission: Submission, competition: Competition) -> tuple[Assignment, bool]:
    """The submission with its data, and whether they are real: data that were not fetched are made up.

    Raises:
        EnvironmentProblem: the data are damaged.
        UsageProblem: the rules give the data away.
    """
    task = competition.task(submission.task)
    try:
        dataset, real = load_task_data(task, request.data_dir, competition.folder, request.test_data), True
        budgets = budgets_with(competition, task, dataset.train_images, official=dataset.official)
    except NotFetched:
        # The budgets may be a little too wide: what may be read back depends on the real images.
        dataset, real, budgets = stand_in_data(task), False, task.budgets
    return Assignment(submission, competition, task, budgets, dataset), real
