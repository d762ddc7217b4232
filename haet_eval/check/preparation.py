"""What a check needs before anything is run: the submission, its rules, its data or a stand-in for them."""

from haet_eval.check.stand_in_data import stand_in_data
from haet_eval.competition import Competition
from haet_eval.data.cifar import NotFetched
from haet_eval.dataset import load_task_data
from haet_eval.evaluation.assignment import Assignment
from haet_eval.evaluation.findings import Findings
from haet_eval.evaluation.request import Request
from haet_eval.evaluation.unpacking import read
from haet_eval.store import Store
from haet_eval.submission import Submission


def read_submission(request: Request) -> tuple[Submission, Competition]:
    """The submission and its rules, read as the judge reads them.

    Raises:
        InvalidSubmission: it breaks a rule.
        UsageProblem: there is no such submission, or no such competition.
    """
    store = Store(request.results)
    return read(request, Findings(store, request.sandbox, request.device, request.seed))


def assign(request: Request, submission: Submission, competition: Competition) -> tuple[Assignment, bool]:
    """The submission with its data, and whether they are real: where they were not fetched, they are made up.

    Raises:
        EnvironmentProblem: the data are damaged.
    """
    task = competition.task(submission.task)
    try:
        dataset, real = load_task_data(task, request.data_dir, competition.folder, request.test_data), True
    except NotFetched:
        dataset, real = stand_in_data(task), False
    budgets = competition.budgets_for(submission.task)
    return Assignment(submission, competition, task, budgets, dataset), real
