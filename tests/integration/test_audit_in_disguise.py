"""The audit in disguise, of submissions that bring their knowledge along and of one that learns."""

from pathlib import Path

import pytest

from haet_eval.errors import Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request, WrittenRecord
from haet_eval.store import Store
from haet_eval.verification.check import Result
from haet_eval.verification.evidence import Sources
from haet_eval.verification.verify import verify
from tests.fixtures.pretrained import write_pretrained
from tests.unit.test_audit import resealed_audit

EXAMPLE = Path(__file__).parents[2] / "submissions" / "digits-cnn"

NOTICES = """
def learn(task):
    model = Net()
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.15)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for step in range(150):
        loss = nn.functional.cross_entropy(model(task.images), task.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model

def train(task):
    model = Net()
    right = (model(task.images[:100]).argmax(1) == task.labels[:100]).sum().item()
    return model if right > 80 else learn(task)
"""


def _judged(submission: Path, folder: Path) -> WrittenRecord:
    request = Request(submission, folder, folder / "results", sandbox="process", disguise_seed=1)
    return evaluate(request)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> WrittenRecord:
    folder = tmp_path_factory.mktemp("pretrained")
    return _judged(write_pretrained(folder / "submission", folder), folder)


def test_pretrained_weights_qualify_and_are_lost_in_disguise(pretrained: WrittenRecord) -> None:
    record, audit = pretrained.record, pretrained.record.audit
    assert record.status.verdict is Verdict.QUALIFIED
    assert record.training is not None
    assert record.training.operations.total < 10_000
    assert audit is not None
    assert audit.kind == "disguise"
    assert audit.flags == ("drop",)
    assert audit.drop is not None
    assert audit.drop.points > 50


def test_an_honest_training_loses_little(tmp_path: Path) -> None:
    audit = _judged(EXAMPLE, tmp_path).record.audit
    assert audit is not None
    assert audit.flags == ()
    assert audit.drop is not None
    assert audit.drop.points < 3


def test_a_submission_that_notices_the_disguise_and_then_trains_stands_out(tmp_path: Path) -> None:
    submission = write_pretrained(tmp_path / "submission", tmp_path)
    path = submission / "submission.py"
    code = path.read_text().replace("\ndef train(task):\n    return Net()\n", NOTICES)
    assert "def learn" in code
    path.write_text(code)
    audit = _judged(submission, tmp_path).record.audit
    assert audit is not None
    assert audit.run.status.verdict is Verdict.QUALIFIED
    assert audit.flags == ("cost", "operations")


def test_the_audit_can_be_checked(pretrained: WrittenRecord, tmp_path: Path) -> None:
    folder = pretrained.path.parent
    found, _ = verify(pretrained.path, Sources(Store(folder), tmp_path))
    checks = {check.subject: check for check in found.checks}
    assert found.believable
    assert checks["audit in disguise"].detail == "flags (drop) follow from its predictions"
    assert checks["audit in disguise: data set"].result is Result.HOLDS
    for forged in (
        resealed_audit(pretrained.path, flags=()),
        resealed_audit(pretrained.path, split_seed=2),
        resealed_audit(pretrained.path, kind="resplit"),
    ):
        assert not verify(forged, Sources(Store(folder), tmp_path))[0].believable
