"""Values that a kernel would take for an address end the run, and never the executor's process."""

from pathlib import Path

import pytest

from haet_eval.errors import Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from tests.fixtures.submissions import write_submission

HOSTILE = {
    "classes of nll_loss_backward": """
        def train(task):
            logits = torch.randn(8, 10, requires_grad=True)
            far = torch.full((8,), 1 << 40)
            one = torch.ones(())
            torch.ops.aten.nll_loss_backward(one, logits.detach(), far, None, 1, -100, one)
            torch.ones(1).add(1).sum().item()
        """,
    "indices of embedding_dense_backward": """
        def train(task):
            far = torch.full((8,), 1 << 40)
            torch.ops.aten.embedding_dense_backward(torch.ones(8, 4), far, 10, -1, False).sum().item()
        """,
}


@pytest.mark.parametrize("code", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_value_is_refused_before_the_kernel(tmp_path: Path, code: str) -> None:
    submission = write_submission(tmp_path / "submission", code)
    request = Request(submission, tmp_path / "data", tmp_path / "results", sandbox="process")
    record = evaluate(request).record
    assert record.status.verdict is Verdict.FAILED
    assert "crashed" not in record.status.reason
    assert "backward" in record.status.reason
