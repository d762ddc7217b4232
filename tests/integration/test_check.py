"""What a check says of submissions, and how far its estimates are from the truth."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from haet_eval.cli.main import cli
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from haet_eval.store import Store
from tests.fixtures.cifar import write_cifar10
from tests.fixtures.submissions import write_competition

EXAMPLES = Path(__file__).parents[2] / "submissions"
LINEAR = """
import torch
from torch import nn
from torch.nn.functional import cross_entropy

class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.layer = nn.Linear(192, classes)

    def forward(self, images):
        return self.layer(images[:, :, ::4, ::4].flatten(1) / 255)

def train(task):
    model = Net(task.num_classes)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for epoch in range(EPOCHS):
        for batch in torch.randperm(len(task.images)).split(128):
            loss = cross_entropy(model(task.images[batch]), task.labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        HERE
    return model
"""


def submission(folder: Path, code: str, task: str = "digits") -> Path:
    folder.mkdir()
    manifest = f'[submission]\nname = "x"\nteam = "y"\ntask = "{task}"\ndescription = "z"\n'
    (folder / "haet.toml").write_text(manifest, "utf-8")
    (folder / "submission.py").write_text(code, "utf-8")
    return folder


def linear(folder: Path, here: str = "pass", epochs: int = 30, **options: str) -> Path:
    return submission(folder, LINEAR.replace("EPOCHS", str(epochs)).replace("HERE", here), **options)


def check(path: Path, *options: str) -> Result:
    folders = ("--results", str(path.parent / "results"), "--data-dir", str(path.parent / "data"))
    return CliRunner().invoke(cli, ["check", str(path), *folders, *options], standalone_mode=False)


def found(path: Path, *options: str) -> dict[str, Any]:
    result = check(path, "--json", *options)
    assert result.exception is None, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


@pytest.mark.slow
def test_an_example_is_counted_exactly_without_being_computed(tmp_path: Path) -> None:
    example = EXAMPLES / "digits-cnn"
    request = Request(example, tmp_path / "data", tmp_path / "results", sandbox="process")
    truth = evaluate(request).record
    assert truth.training is not None
    told = found(example, "--seconds", "0.5", "--results", str(tmp_path / "results"))
    assert told["verdict"] is None
    assert told["remarks"] == []
    assert told["estimate"]["operations"]["method"] == "counted"
    assert told["estimate"]["operations"]["total"] == str(truth.training.operations.total)
    assert told["estimate"]["complexity"] == str(truth.complexity)
    assert told["sample"]["readback_bytes"] == truth.training.readback_bytes
    assert told["sample"]["upload_bytes"] == truth.training.upload_bytes
    assert (told["rank"]["position"], told["rank"]["of"]) == (1, 2)


@pytest.mark.slow
def test_where_data_are_absent_it_is_counted_on_random_images_of_the_same_shape(tmp_path: Path) -> None:
    told = found(linear(tmp_path / "mine", epochs=2, task="cifar10"), "--seconds", "0.5")
    assert not told["real_data"]
    assert told["sample"]["accuracy"] is None
    steps = 2 * -(-50_000 // 128)
    # The two matrix products of a linear layer without the gradient of its input, 2 operations for each pair.
    assert int(told["estimate"]["operations"]["total"]) > 2 * 50_000 * 2 * 2 * 192 * 10
    assert told["sample"]["messages"] > 20 * steps


@pytest.mark.slow
def test_what_is_computed_to_its_end_is_scored_and_full_finds_the_same(tmp_path: Path) -> None:
    write_cifar10(tmp_path / "data", train_per_class=20, test_per_class=5)
    told = found(linear(tmp_path / "mine", epochs=3, task="cifar10"), "--seconds", "100", "--full")
    assert told["real_data"]
    assert told["estimate"]["operations"]["method"] == "computed"
    assert told["sample"]["accuracy"] == told["full"]["accuracy"]
    assert told["estimate"]["complexity"] == told["full"]["complexity"]
    [record] = Store(tmp_path / "results").listing().entries
    assert record.record_id == told["full"]["record_id"]


@pytest.mark.slow
def test_shapes_that_depend_on_data_are_those_seen_before(tmp_path: Path) -> None:
    here = "model(task.images[task.labels < epoch % 3 + 1]).sum().backward()"
    rules = write_competition(tmp_path / "rules.toml", threshold=0.0)  # with more read-back than `digits`
    options = ("--seconds", "1", "--competition", str(rules))
    told = found(linear(tmp_path / "mine", here, epochs=300), *options)
    assert told["verdict"] is None
    assert told["sample"]["finished"]
    assert "shapes depended on data" in told["estimate"]["operations"]["basis"]


@pytest.mark.slow
def test_a_call_that_comes_first_when_nothing_is_computed_is_counted(tmp_path: Path) -> None:
    path = linear(tmp_path / "mine", "torch.cumsum(task.images[:7].float(), 0) if epoch == 29 else None")
    request = Request(path, tmp_path / "data", tmp_path / "results", sandbox="process")
    truth = evaluate(request).record
    assert truth.training is not None
    told = found(path, "--seconds", "0.01")
    assert told["estimate"]["operations"]["total"] == str(truth.training.operations.total)


@pytest.mark.slow
def test_a_fault_that_a_run_of_seconds_would_not_come_to_is_found(tmp_path: Path) -> None:
    result = check(linear(tmp_path / "mine", "epoch == 29 and model(task.labels)"), "--seconds", "0.5")
    assert result.return_value == 1
    assert "submission.py" in result.stdout
    assert "verdict       failed" in result.stdout
    assert '"submission.py", line 23' in result.stdout


@pytest.mark.slow
def test_a_budget_that_the_whole_training_exceeds_is_found(tmp_path: Path) -> None:
    told = check(linear(tmp_path / "mine", "task.images[:99].tolist()"), "--seconds", "0.5")
    assert told.return_value == 5
    assert "limit:readback" in told.stdout


@pytest.mark.slow
def test_out_of_time_the_rest_is_extrapolated_from_what_is_reported(tmp_path: Path) -> None:
    here = "import time; time.sleep(0.2); task.report(epoch=epoch + 1, epochs=EPOCHS)"
    path = linear(tmp_path / "mine", here.replace("EPOCHS", "3000"), epochs=3000)
    told = found(path, "--seconds", "1", "--within", "20")
    operations = told["estimate"]["operations"]
    assert operations["method"] == "extrapolated"
    assert "of 3000" in operations["basis"]
    short = found(linear(tmp_path / "short", epochs=30), "--seconds", "0.5")["estimate"]["operations"]
    assert int(operations["total"]) == pytest.approx(100 * int(short["total"]), rel=0.01)


def test_what_the_judge_would_refuse_is_refused_in_the_same_words(tmp_path: Path) -> None:
    path = linear(tmp_path / "mine")
    (path / "haet.toml").write_text("[submission]\n", "utf-8")
    result = check(path, "--json")
    assert result.return_value == 3
    assert json.loads(result.stdout)["verdict"] == "invalid_submission"
    request = Request(path, tmp_path / "data", tmp_path / "results", sandbox="process")
    assert json.loads(result.stdout)["reason"] == evaluate(request).record.status.reason


def test_a_static_look_runs_nothing_and_stands_in_no_way(tmp_path: Path) -> None:
    result = check(
        submission(tmp_path / "mine", "import timm\nraise SystemExit\ndef train(task): ...\n"), "--static"
    )
    assert result.return_value == 0
    assert "submission.py:1 imports timm" in result.stdout
    assert "verdict" not in result.stdout


@pytest.mark.docker
@pytest.mark.slow
def test_in_the_sandbox_the_count_is_the_same(tmp_path: Path, sandbox_image: str) -> None:
    path = linear(tmp_path / "mine", epochs=5)
    inside = found(path, "--seconds", "0.5", "--sandbox", "docker")["estimate"]["operations"]
    assert inside["total"] == found(path, "--seconds", "0.5")["estimate"]["operations"]["total"]
