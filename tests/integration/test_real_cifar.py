"""On the published images: loading, a short training of the sprint made narrow, its replay and its audit.

The training takes nearly all of the time, and runs three times: to be judged, on another split for the audit,
and in the replay.
"""

import re
import shutil
from pathlib import Path

import pytest

from haet_eval.dataset import load_dataset
from haet_eval.errors import Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request, WrittenRecord
from haet_eval.store import Store
from haet_eval.verification.check import Result
from haet_eval.verification.evidence import Sources
from haet_eval.verification.replaying import ReplayPlace, check_replay
from haet_eval.verification.verify import verify

SPRINT = Path(__file__).parents[2] / "submissions" / "cifar10-sprint"

NARROW = {
    "WIDTHS": "(16, 32, 64)",
    "EPOCHS": "0.5",
    "BATCH_SIZE": "500",
    "FILTER_LEARNING_RATE, FILTER_MOMENTUM": "0.14, 0.6",
    "PRECISION": "torch.float32",  # some processors compute bfloat16 slowly
}

ACCURACY_BAND = (0.64, 0.72)  # seeds 0 to 2 gave 67.55, 68.25 and 68.28 %


@pytest.fixture(scope="module")
def judged(real_cifar: Path, tmp_path_factory: pytest.TempPathFactory) -> WrittenRecord:
    """The narrow sprint, judged on CIFAR-10 in local processes, and audited."""
    folder = tmp_path_factory.mktemp("judged")
    submission = _narrow_sprint(folder / "submission")
    request = Request(submission, real_cifar, folder / "results", sandbox="process", split_seed=1)
    return evaluate(request)


def _narrow_sprint(folder: Path) -> Path:
    shutil.copytree(SPRINT, folder)
    path = folder / "submission.py"
    code = path.read_text(encoding="utf-8")
    for name, value in NARROW.items():
        code, found = re.subn(rf"^{name} = .*$", f"{name} = {value}", code, flags=re.MULTILINE)
        assert found == 1, f"the sprint has no line that sets {name}"
    path.write_text(code, encoding="utf-8")
    return folder


@pytest.mark.parametrize(("name", "classes"), [("cifar10", 10), ("cifar100", 100)])
def test_the_published_images_are_official(real_cifar: Path, name: str, classes: int) -> None:
    data = load_dataset(name, real_cifar)
    assert data.official
    assert data.num_classes == classes
    assert data.train_images.shape == (50_000, 3, 32, 32)
    assert data.test_images.shape == (10_000, 3, 32, 32)
    assert set(data.train_labels.tolist()) == set(data.test_labels.tolist()) == set(range(classes))


@pytest.mark.slow
def test_a_short_training_learns_as_much_as_it_should(judged: WrittenRecord) -> None:
    record = judged.record
    assert record.status.verdict is Verdict.BELOW_THRESHOLD, record.status.reason
    assert record.dataset is not None
    assert record.dataset.official
    assert record.training is not None
    assert record.training.operations.uncounted == ()
    assert record.evaluation is not None
    assert record.evaluation.total == 10_000
    low, high = ACCURACY_BAND
    assert low < record.evaluation.accuracy < high


@pytest.mark.slow
def test_the_audit_finds_nothing_in_an_honest_training(judged: WrittenRecord) -> None:
    audit = judged.record.audit
    assert audit is not None
    assert not audit.dataset.official
    assert audit.run.status.verdict is Verdict.BELOW_THRESHOLD
    assert audit.former_test is not None
    assert audit.former_train is not None
    assert audit.former_test.total + audit.former_train.total == 10_000
    assert audit.flags == ()


@pytest.mark.slow
def test_the_record_holds_and_its_replay_gives_the_same_bits(judged: WrittenRecord, real_cifar: Path) -> None:
    sources = Sources(Store(judged.path.parent), real_cifar)
    verification, (part, *_) = verify(judged.path, sources)
    assert verification.believable, [one for one in verification.checks if one.result is Result.DIFFERS]
    found = {one.subject: one for one in check_replay(part.record, part.evidence, ReplayPlace("process"))}
    assert found["replay"].result is Result.HOLDS
    assert found["weights again"].detail == "bit for bit the same"
    assert found["predictions again"].detail == "each of 10,000 labels the same"
