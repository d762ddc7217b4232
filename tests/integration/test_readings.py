"""A budget of reading that is used up names the lines that have read most."""

from pathlib import Path

import pytest

from haet_eval.errors import Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from haet_eval.record import Status
from tests.fixtures.submissions import line_of, write_competition, write_submission

MASKS = """
def train(task):
    model = Linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cuda")
    for step in range(1000):
        x, y = task.images[:8], task.labels[:8]
        assert torch.rand(1).item() < 1  # depends on no data, and is free
        loss = nn.functional.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)  # second
        scaler.update()
        x[y == 3]  # first
    return model
"""

TOO_MUCH = """
def train(task):
    return task.images.tolist()  # first
"""

WAITING = """
def train(task):
    for step in range(1000):
        shown = task.images[step].float().mean().item()  # first
    return Linear()
"""

PREDICTING = """
class Reading(Linear):
    def forward(self, images):
        images.float().mean(0).tolist()  # first
        return super().forward(images)

def train(task):
    task.images[0].float().mean().item()
    return Reading()
"""


def status_of(tmp_path: Path, train: str, **budgets: int) -> Status:
    folder = write_submission(tmp_path / "submission", train)
    rules = write_competition(tmp_path / "rules.toml", **budgets)
    request = Request(
        folder, tmp_path / "data", tmp_path / "results", competition=str(rules), sandbox="process"
    )
    return evaluate(request).record.status


@pytest.mark.parametrize(
    ("train", "budgets", "said"),
    [
        (MASKS, {"readback_bytes": 800}, "bytes, "),
        (TOO_MUCH, {"readback_bytes": 800}, " bytes, 1 time"),
        (WAITING, {"timed_answers": 30}, "times"),
        (PREDICTING, {"readback_bytes": 800}, "12,288 bytes, 1 time"),
    ],
    ids=["masks", "a whole tensor", "waiting", "predicting"],
)
def test_the_lines_that_read_most_are_named(
    tmp_path: Path, train: str, budgets: dict[str, int], said: str
) -> None:
    status = status_of(tmp_path, train, **budgets)
    assert status.verdict is Verdict.LIMIT_READBACK, status.reason
    _, _, lines = status.reason.partition(" most in " if "timed_answers" in budgets else " was read in ")
    assert lines.startswith(f"submission.py, line {line_of(tmp_path / 'submission', '# first')} (`"), (
        status.reason
    )
    assert said in lines
    if train is MASKS:
        assert f"line {line_of(tmp_path / 'submission', '# second')} (`scaler.step(optimizer)" in lines
        assert "torch.rand" not in lines
