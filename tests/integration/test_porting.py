"""A public CIFAR script becomes a submission by the steps of docs/porting.md, each of which is needed."""

import re
import shutil
from pathlib import Path

import pytest

from haet_eval.check.static import look_at
from haet_eval.errors import Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from haet_eval.record import Record
from haet_eval.submission import load_submission
from tests.fixtures.cifar import write_cifar10

ROOT = Path(__file__).parents[2]
FIXTURE = ROOT / "tests" / "fixtures" / "porting"
PAGE = (ROOT / "docs" / "porting.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_cifar10(folder, train_per_class=20, test_per_class=5)
    return folder


@pytest.fixture
def submission(tmp_path: Path) -> Path:
    folder = tmp_path / "submission"
    folder.mkdir()
    for name in ("haet.toml", "submission.py"):
        shutil.copy(FIXTURE / name, folder)
    return folder


def judged(submission: Path, data: Path) -> Record:
    request = Request(submission, data, submission.parent / "results", sandbox="process")
    return evaluate(request).record


@pytest.mark.slow
def test_the_ported_script_is_judged(submission: Path, data: Path) -> None:
    record = judged(submission, data)
    assert record.status.verdict in (Verdict.QUALIFIED, Verdict.BELOW_THRESHOLD), record.status.reason
    assert [report["epoch"] for report in record.reports] == [1, 2]
    assert record.training is not None
    assert record.training.readback_bytes < 64


def test_every_step_of_the_page_is_taken_in_it() -> None:
    steps = re.findall(r"^(\d+)\. ", PAGE, re.MULTILINE)
    taken = set(
        re.findall(r"# (\d+(?:, \d+)*)$", (FIXTURE / "submission.py").read_text("utf-8"), re.MULTILINE)
    )
    numbers = {number for group in taken for number in group.split(", ")}
    assert set(steps) - numbers == {
        "9",
        "10",
        "11",
        "12",
    }  # no checkpoint, no held-out images, no seed; the manifest


def test_the_look_at_the_code_names_what_is_to_be_done(submission: Path) -> None:
    plain = (FIXTURE / "train_cifar10.py").read_text(encoding="utf-8")
    ported = (submission / "submission.py").read_text(encoding="utf-8")
    remarks = {}
    for name, source in (("plain", plain.replace("def main():", "def train(task):")), ("ported", ported)):
        (submission / "submission.py").write_text(source, encoding="utf-8")
        remarks[name] = " ".join(remark.text for remark in look_at(load_submission(submission)).remarks)
    asked = ("argparse", "torchvision.datasets", "returns nothing")
    assert all(word in remarks["plain"] for word in asked), remarks["plain"]
    assert not remarks["ported"]


STEPS_FORGOTTEN = {
    "1": ("    return model\n", "", "train() returned NoneType; it must return a torch.nn.Module"),
    "4": (
        'self.register_buffer("mean", mean.view(3, 1, 1))',
        "self.mean = mean.view(3, 1, 1)",
        "register_buffer",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS_FORGOTTEN)
def test_a_step_that_was_forgotten_is_named(step: str, submission: Path, data: Path) -> None:
    taken, forgotten, said = STEPS_FORGOTTEN[step]
    path = submission / "submission.py"
    source = path.read_text(encoding="utf-8")
    assert taken in source
    path.write_text(source.replace(taken, forgotten), encoding="utf-8")
    record = judged(submission, data)
    assert record.status.verdict is Verdict.FAILED
    assert said in record.status.reason
