"""A pooling window that lies all in the padding has no place of its own, and no gradient is written there."""

from pathlib import Path

from haet_eval.errors import Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from tests.fixtures.submissions import write_submission

CODE = """
    def train(task):
        plane = torch.zeros(1, 1, 1, 4)
        window = ([2, 1], [4096, 1], [1, 0], [101, 1], True)
        pooled, chosen = torch.ops.aten.max_pool2d_with_indices(plane, *window)
        torch.ops.aten.max_pool2d_with_indices_backward(torch.ones_like(pooled), plane, *window, chosen)
        torch.zeros(1).sum().item()
    """


def test_places_outside_of_the_plane_end_the_run_before_anything_is_written(tmp_path: Path) -> None:
    submission = write_submission(tmp_path / "submission", CODE)
    record = evaluate(Request(submission, tmp_path / "data", tmp_path / "results", sandbox="process")).record
    assert record.status.verdict is Verdict.FAILED
    assert "max_pool2d_with_indices" in record.status.reason
