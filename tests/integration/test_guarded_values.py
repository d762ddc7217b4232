"""Values and tensors that a kernel would take for more than they are end the run, not the executor."""

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


MISTAKES = {
    "the view would leave its storage": """
        def train(task):
            for size in (16, 8):
                torch.ones(size)[:8].as_strided((4, 4), (4, 1))
            torch.ones(1).item()
        """,
    "indices must be what the forward call has returned": """
        def train(task):
            images = torch.ones(1, 1, 4, 4)
            _, indices = torch.ops.aten.max_pool2d_with_indices(images, [2, 2])
            gradient = torch.ones(1, 1, 2, 2)
            for places in (indices, indices.clone()):
                torch.ops.aten.max_pool2d_with_indices_backward(
                    gradient, images, [2, 2], [2, 2], [0, 0], [1, 1], False, places
                )
            torch.ones(1).item()
        """,
}


@pytest.mark.parametrize("said", MISTAKES)
def test_a_repeated_call_on_other_tensors_ends_with_the_words_of_a_refused_first_call(
    tmp_path: Path, said: str
) -> None:
    submission = write_submission(tmp_path / "submission", MISTAKES[said])
    request = Request(submission, tmp_path / "data", tmp_path / "results", sandbox="process")
    status = evaluate(request).record.status
    assert (status.verdict, status.code) == (Verdict.FAILED, "handle-operator")
    assert said in status.reason
    assert "protocol" not in status.reason
