"""A result that no answer of the executor can describe is the submission's failure, never ours."""

from pathlib import Path

import pytest

from haet_eval.errors import Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from tests.fixtures.submissions import write_submission

RESULTS = {
    "a tensor of 65 dimensions": """
        def train(task):
            torch.zeros([1] * 64).unsqueeze(0)
        """,
    "more outputs than one answer can describe": """
        def train(task):
            torch.zeros(60_000, 1, 1, 1).split(1)
        """,
}


@pytest.mark.parametrize(("reason", "code"), RESULTS.items(), ids=RESULTS)
def test_ends_the_run_and_names_the_operator(tmp_path: Path, reason: str, code: str) -> None:
    submission = write_submission(tmp_path / "submission", code)
    record = evaluate(Request(submission, tmp_path / "data", tmp_path / "results", sandbox="process")).record
    assert record.status.verdict is Verdict.FAILED
    assert reason in record.status.reason
    assert "aten." in record.status.reason
