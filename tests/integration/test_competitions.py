"""Every built-in competition, end to end on small real data; and competitions of an organizer's own."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from haet_eval.cli.batch import batch
from haet_eval.competition import builtin_competitions, load_competition
from haet_eval.dataset import load_dataset
from haet_eval.errors import ExitCode, UsageProblem, Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Metering, Request
from haet_eval.ranking import rank, summarize
from haet_eval.record import Record
from haet_eval.store import Store
from haet_eval.verification.evidence import Evidence, Sources
from haet_eval.verification.verify import verify
from tests.fixtures.cifar import write_cifar10, write_cifar100
from tests.fixtures.own_data import some_digits, write_competition, write_set
from tests.fixtures.submissions import MANIFEST

LINEAR = """
import os

import torch
from torch import nn


class Linear(nn.Module):
    def __init__(self, pixels, classes):
        super().__init__()
        self.head = nn.Linear(pixels, classes)

    def forward(self, images):
        return self.head(images.flatten(1).float() / 255 - 0.5)


def train(task):
    model = Linear(task.images[0].numel(), task.num_classes).to(task.device)
    trained = model
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        torch.distributed.init_process_group("gloo")
        trained = nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    for _ in range(15):
        loss = nn.functional.cross_entropy(trained(task.images), task.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if hasattr(task, "checkpoint"):
        task.checkpoint(model)
    return model
"""

CASES = [(name, next(iter(load_competition(name).tasks))) for name in builtin_competitions()]
CASES += [("haet2021", "cifar100")]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CIFAR's archives in small: as many images as the competitions draw from, and no more."""
    folder = tmp_path_factory.mktemp("data")
    write_cifar10(folder, train_per_class=510, test_per_class=110)
    write_cifar100(folder, train_per_class=2, test_per_class=1)
    return folder


def write_submission(folder: Path, task: str) -> Path:
    folder.mkdir()
    (folder / "haet.toml").write_text(MANIFEST.format(name="linear", task=task), encoding="utf-8")
    (folder / "submission.py").write_text(LINEAR, encoding="utf-8")
    return folder


def write_secret_test_set(path: Path, data_dir: Path) -> Path:
    published = load_dataset("cifar10", data_dir)
    np.savez(path, images=published.test_images[:1000], labels=published.test_labels[:1000])
    return path


@pytest.mark.slow
@pytest.mark.parametrize(("name", "task"), CASES)
def test_a_built_in_competition_runs_from_submission_to_rank(
    tmp_path: Path, data_dir: Path, name: str, task: str
) -> None:
    rules = load_competition(name)
    secret = rules.task(task).secret_test
    energetic = rules.ranking.endswith("energy")
    record = evaluate(
        Request(
            write_submission(tmp_path / "submission", task),
            data_dir=data_dir,
            results=tmp_path / "results",
            competition=name,
            sandbox="process",
            test_data=write_secret_test_set(tmp_path / "secret.npz", data_dir) if secret else None,
            metering=Metering("estimate", 50.0) if energetic else Metering(),
        )
    ).record
    assert record.status.verdict in (Verdict.QUALIFIED, Verdict.BELOW_THRESHOLD), record.status.reason
    assert record.competition is not None
    assert record.competition.name == name
    assert record.competition.digest == rules.digest
    assert record.environment.runner == rules.runner
    assert_measured(record, rules.runner, rules.nodes)
    assert_placed(Store(tmp_path / "results").ranked(record))


def assert_measured(record: Record, runner: str, nodes: int) -> None:
    assert record.evaluation is not None
    assert record.evaluation.accuracy > 2 / 100
    if runner == "counted":
        assert record.complexity is not None
    else:
        assert record.native is not None
        assert record.native.nodes == nodes
    if summarize(record).ranking.endswith("energy"):
        assert record.energy is not None
        assert record.energy.joules is not None
        assert record.energy.kind == "estimated"


def assert_placed(record: Record) -> None:
    """What a local process has measured is ranked, in a pool of its own, and wins nothing."""
    if record.status.verdict is Verdict.BELOW_THRESHOLD:
        assert record.rank is None
        return
    assert record.rank is not None
    assert (record.rank.position, record.rank.of, record.rank.official) == (1, 1, False)
    (place,) = rank([summarize(record)], unofficial=True)
    assert not place.awarded
    assert place.entry.figure is not None


def test_the_secret_test_set_of_haet2023_must_be_given(tmp_path: Path, data_dir: Path) -> None:
    request = Request(
        write_submission(tmp_path / "submission", "cifar10"),
        data_dir=data_dir,
        results=tmp_path / "results",
        competition="haet2023",
        sandbox="process",
    )
    with pytest.raises(UsageProblem, match="the test set of 'cifar10' is secret and must be given"):
        evaluate(request)
    assert not list((tmp_path / "results").glob("*.json"))


def test_a_secret_test_set_is_not_trained_on_in_an_audit(tmp_path: Path, data_dir: Path) -> None:
    request = Request(
        write_submission(tmp_path / "submission", "cifar10"),
        data_dir=data_dir,
        results=tmp_path / "results",
        competition="haet2023",
        sandbox="process",
        test_data=write_secret_test_set(tmp_path / "secret.npz", data_dir),
        split_seed=1,
    )
    with pytest.raises(
        UsageProblem, match="--audit resplit trains on images of the test set with their labels"
    ):
        evaluate(request)
    assert not list((tmp_path / "results").glob("*.json"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "runner"), [("", "counted"), ("", "native"), (".npz", "native"), (".safetensors", "counted")]
)
def test_a_competition_on_an_organizers_own_data_runs(tmp_path: Path, form: str, runner: str) -> None:
    file = write_competition(tmp_path / "rules", form)
    if runner == "native":
        text = file.read_text().replace('"complexity"', '"accuracy"\nrunner = "native"')
        file.write_text(text)
    outcome = evaluate(
        Request(
            write_submission(tmp_path / "submission", "three"),
            data_dir=tmp_path / "unused",
            results=tmp_path / "results",
            competition=str(file),
            sandbox="process",
        )
    )
    record = outcome.record
    assert record.status.verdict is Verdict.QUALIFIED, record.status.reason
    assert record.dataset is not None
    assert (record.dataset.name, record.dataset.official) == ("three-digits", False)
    assert record.evaluation is not None
    assert record.evaluation.total == 30
    checks = list(Evidence().gather(record, Sources(Store(outcome.path.parent), tmp_path, str(file))))
    assert {check.subject: check.result for check in checks}["data set"] == "holds"


@pytest.mark.slow
def test_balanced_accuracy_asks_for_every_class(tmp_path: Path) -> None:
    file = write_competition(tmp_path / "rules", ".npz")
    file.write_text(file.read_text().replace("[budgets]", 'metric = "balanced_accuracy"\n[budgets]'))
    images, labels = some_digits(90, 60)
    mostly_zeros = np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels)[:3]])
    write_set(tmp_path / "rules" / "data" / "test.npz", images[mostly_zeros], labels[mostly_zeros])
    submission = write_submission(tmp_path / "submission", "three")
    always_zero = LINEAR.replace("return model", "nn.init.zeros_(model.head.weight)\n    return model")
    always_zero = always_zero.replace("range(15)", "range(1)").replace(
        "return model", "nn.init.zeros_(model.head.bias)\n    return model"
    )
    (submission / "submission.py").write_text(always_zero, encoding="utf-8")
    outcome = evaluate(
        Request(submission, tmp_path, tmp_path / "results", competition=str(file), sandbox="process")
    )
    found = outcome.record.evaluation
    assert found is not None
    assert found.correct / found.total > 0.8
    assert found.accuracy == 1 / len(set(labels[mostly_zeros].tolist()))
    assert outcome.record.status.code == "below-threshold"
    verification, _ = verify(outcome.path, Sources(Store(outcome.path.parent), tmp_path, str(file)))
    assert not [check for check in verification.checks if check.result == "differs"]


@pytest.mark.slow
def test_a_batch_finds_the_data_that_lie_beside_the_rules(tmp_path: Path) -> None:
    file = write_competition(tmp_path / "rules", ".npz")
    submission = write_submission(tmp_path / "submission", "three")
    results = tmp_path / "results"
    done = CliRunner().invoke(
        batch,
        [str(submission), "--competition", str(file), "--sandbox", "process", "--results", str(results)],
        catch_exceptions=False,
        standalone_mode=False,
    )
    assert done.return_value is ExitCode.QUALIFIED, done.output
    (entry,) = Store(results).listing().entries
    assert entry.verdict is Verdict.QUALIFIED


@pytest.mark.slow
def test_images_of_one_channel_train_as_others_do(tmp_path: Path) -> None:
    file = write_competition(tmp_path / "rules", ".npz")
    for name, first, count in (("train", 0, 90), ("test", 90, 30)):
        images, labels = some_digits(first, count)
        write_set(tmp_path / "rules" / "data" / f"{name}.npz", images[:, :1], labels)
    request = Request(
        write_submission(tmp_path / "submission", "three"),
        data_dir=tmp_path / "unused",
        results=tmp_path / "results",
        competition=str(file),
        sandbox="process",
    )
    assert evaluate(request).record.status.verdict is Verdict.QUALIFIED
