"""A check takes values that the code tests for NaN and infinity for finite, and counts on."""

from pathlib import Path

import pytest

from haet_eval.check.sample import Sample
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from tests.fixtures.submissions import write_submission
from tests.integration.test_check import sample_once

MIXED = """
import math

def train(task):
    model = Linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cuda")
    for batch in torch.randperm(320).split(64):
        optimizer.zero_grad()
        with torch.autocast("cuda", dtype=torch.bfloat16):
            loss = nn.functional.cross_entropy(model(task.images[batch]), task.labels[batch])
        before = scaler.get_scale()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0, error_if_nonfinite=True)
        if torch.isnan(loss) or not torch.isfinite(loss).all():
            raise SystemExit
        if not math.isfinite(loss.item()):
            raise SystemExit
        value = loss.item()
        assert value == value
        scaler.step(optimizer)
        scaler.update()
        if scaler.get_scale() < before:
            model.head.weight * 1
    return model
"""


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The submission, and its operations in an evaluation."""
    folder = tmp_path_factory.mktemp("evaluated")
    path = write_submission(folder / "submission", MIXED)
    truth = evaluate(Request(path, folder / "data", folder / "results", seed=0, sandbox="process")).record
    assert truth.training is not None, truth.status.reason
    return path, truth.training.operations.total


@pytest.mark.slow
@pytest.mark.parametrize("cut", [1, 20, 45, 70, 110, 160])
def test_the_count_is_exact_wherever_computing_stopped(evaluated: tuple[Path, int], cut: int) -> None:
    path, operations = evaluated
    sample: Sample = sample_once(path, cut)
    assert sample.finished, sample.doubt or sample.reason
    assert not sample.computed
    assert sample.made_up.finite
    assert (sample.decides, sample.doubt) == ([], "")
    assert sample.operations is not None
    assert sample.operations.total == operations
