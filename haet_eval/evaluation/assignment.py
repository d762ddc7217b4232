"""What an evaluation works on, once the submission has been unpacked."""

from dataclasses import dataclass

from haet_eval.competition import Budgets, Competition, Task
from haet_eval.dataset import Dataset
from haet_eval.submission import Submission


@dataclass(frozen=True, slots=True)
class Assignment:
    """A submission with the rules and the data that it is judged by."""

    submission: Submission
    competition: Competition
    task: Task
    budgets: Budgets
    dataset: Dataset
