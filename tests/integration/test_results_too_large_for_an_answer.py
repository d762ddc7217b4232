"""What no answer can describe and no model can hold is the submission's failure, never ours."""

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
    "a tensor of more than 8,589,934,592 elements": """
        def train(task):
            torch.view_as_real(torch.zeros(1, dtype=torch.complex64).expand(2**33))
        """,
}


@pytest.mark.parametrize(("reason", "code"), RESULTS.items(), ids=RESULTS)
def test_ends_the_run_and_names_the_operator(tmp_path: Path, reason: str, code: str) -> None:
    submission = write_submission(tmp_path / "submission", code)
    record = evaluate(Request(submission, tmp_path / "data", tmp_path / "results", sandbox="process")).record
    assert record.status.verdict is Verdict.FAILED
    assert reason in record.status.reason
    assert "aten." in record.status.reason


def test_a_buffer_that_begins_far_behind_its_memory_is_a_model_that_is_too_large(tmp_path: Path) -> None:
    code = """
        def train(task):
            model = Linear()
            model.register_buffer("empty", torch.zeros(0, 2**33 - 1, dtype=torch.float64)[:, 2**33 - 2:])
            return model
        """
    submission = write_submission(tmp_path / "submission", code)
    record = evaluate(Request(submission, tmp_path / "data", tmp_path / "results", sandbox="process")).record
    assert record.status.verdict is Verdict.LIMIT_MEMORY
    assert record.status.code == "model-too-large"
