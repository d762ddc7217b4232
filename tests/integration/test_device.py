"""Asking for a GPU on a machine that has none."""

from pathlib import Path

import pytest
import torch

from haet_eval.errors import EnvironmentProblem
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from tests.fixtures.submissions import write_submission


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_not_a_fault_of_the_submission(tmp_path: Path) -> None:
    submission = write_submission(tmp_path / "submission", "def train(task):\n    return Linear()")
    request = Request(submission, tmp_path, tmp_path / "results", sandbox="process", device="cuda")
    with pytest.raises(EnvironmentProblem, match="no CUDA device") as raised:
        evaluate(request)
    assert "--device cpu" in raised.value.hint
    assert not list((tmp_path / "results").glob("*.json"))
