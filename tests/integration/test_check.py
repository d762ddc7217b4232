"""What a check says of submissions, and how far its estimates are from the truth."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from haet_eval.check.certainty import Sampling
from haet_eval.check.preparation import assign, read_submission
from haet_eval.check.rehearsal import Sizes
from haet_eval.check.sample import Sample, Terms, take_sample
from haet_eval.cli.main import cli
from haet_eval.errors import Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Assignment, Request
from haet_eval.progress import Observer, ReportValue, Silent
from haet_eval.runtimes.choice import choose_runtime
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
    assert truth.training.memory is not None
    assert truth.training.bytes_moved is not None
    assert told["sample"]["memory"] == truth.training.memory.model_dump(mode="json")
    assert told["sample"]["bytes_moved"] == truth.training.bytes_moved.model_dump(mode="json")
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
def test_a_training_computed_to_its_end_is_scored_and_full_gives_the_same(tmp_path: Path) -> None:
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
    assert told["estimate"]["operations"]["method"] == "computed"  # there was time to


@pytest.mark.slow
def test_a_call_that_comes_first_when_nothing_is_computed_is_counted(tmp_path: Path) -> None:
    path = linear(tmp_path / "mine", "torch.cumsum(task.images[:7].float(), 0) if epoch == 29 else None")
    request = Request(path, tmp_path / "data", tmp_path / "results", sandbox="process")
    truth = evaluate(request).record
    assert truth.training is not None
    told = found(path, "--seconds", "0.01")
    assert told["estimate"]["operations"]["total"] == str(truth.training.operations.total)


def test_a_static_look_and_an_evaluation_exclude_each_other(tmp_path: Path) -> None:
    result = check(linear(tmp_path / "mine"), "--static", "--full")
    assert isinstance(result.exception, click.UsageError)
    assert "give one of them" in result.exception.message
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_a_fault_that_a_run_of_seconds_would_not_come_to_is_found(tmp_path: Path) -> None:
    result = check(linear(tmp_path / "mine", "epoch == 29 and model(task.labels)"), "--seconds", "0.5")
    assert result.return_value == 1
    assert "submission.py" in result.stdout
    assert "verdict       failed" in result.stdout
    assert '"submission.py", line 23' in result.stdout
    assert "(submission.py, line 12) [code-failed]" in " ".join(result.stdout.split())
    assert "if it qualifies" not in result.stdout


@pytest.mark.slow
def test_a_budget_that_the_whole_training_exceeds_is_found(tmp_path: Path) -> None:
    told = check(linear(tmp_path / "mine", "task.images[:99].tolist()"), "--seconds", "0.5")
    assert told.return_value == 5
    assert "limit:readback" in told.stdout


@pytest.mark.slow
def test_out_of_time_the_rest_is_extrapolated_from_the_reports(tmp_path: Path) -> None:
    here = "import time; time.sleep(0.1); task.report(epoch=epoch + 1, epochs=EPOCHS)"
    path = linear(tmp_path / "mine", here.replace("EPOCHS", "3000"), epochs=3000)
    told = found(path, "--seconds", "1", "--within", "12")
    operations = told["estimate"]["operations"]
    assert operations["method"] == "extrapolated"
    assert "of 3000" in operations["basis"]
    short = found(linear(tmp_path / "short", epochs=30), "--seconds", "0.5")["estimate"]["operations"]
    assert int(operations["total"]) == pytest.approx(100 * int(short["total"]), rel=0.01)


SILENT = Silent()
CUTS = (1, 40, 75, 160, 333, 500)
"""Records of the submission after which nothing is computed any more."""


def sampling_cut_at(path: Path, messages: int, seconds: float = 60) -> tuple[Sampling, Assignment, Terms]:
    request = Request(path, path.parent / "data", path.parent / "results", sandbox="process")
    assignment, real = assign(request, *read_submission(request))
    terms = Terms(device="cpu", seed=0, computed_seconds=1e9, all_seconds=seconds, computed_messages=messages)
    runtime = partial(choose_runtime, "process", "cpu")
    return Sampling(assignment, runtime, terms, Silent(), real_data=real), assignment, terms


def sample_cut_at(path: Path, messages: int, seconds: float = 60) -> Sample:
    return sampling_cut_at(path, messages, seconds)[0].take()


def sample_once(path: Path, messages: int, observer: Observer = SILENT) -> Sample:
    """The first sample alone, whatever it leaves open."""
    _, assignment, terms = sampling_cut_at(path, messages)
    return take_sample(assignment, choose_runtime("process", "cpu"), terms, observer)


AUGMENTED = """
from torchvision.transforms import v2
blur = v2.RandomApply([v2.GaussianBlur(3)])
augment = v2.Compose([v2.RandomAffine(10, (0.1, 0.1)), v2.ColorJitter(0.2, 0.2), blur])
def train(task):
    model = Net(task.num_classes)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for batch in torch.randperm(128).split(32):
        images = nn.functional.dropout(augment(task.images[batch]).float(), 0.1)
        loss = cross_entropy(model(images), task.labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        task.report(loss=loss.item())
    return model
"""
FAULT_IN_THE_LAST_BATCH = """
def train(task):
    model = Net(task.num_classes)
    total = 0.0
    for batch in torch.randperm(72).split(32):
        losses = cross_entropy(model(task.images[batch]), task.labels[batch], reduction="none").detach()
        total += losses.mean().item()
        task.images[batch][torch.multinomial(losses, 32)]
    return model
"""
UNTIL_LOW = """
def train(task):
    model = Net(task.num_classes)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    loss = torch.tensor(10.0)
    while loss.item() > 2.2:
        loss = cross_entropy(model(task.images), task.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model
"""
NET = LINEAR.partition("def train")[0]


FIRST_AT_RANDOM = """
def train(task):
    model = Net(task.num_classes)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(20):
        loss = cross_entropy(model(task.images[:64]), task.labels[:64])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.nonzero(torch.rand(64) < 0.5)
    torch.nonzero(task.images[:64, 0, 0, 0] < 9)
    return model
"""


@pytest.mark.slow
@pytest.mark.parametrize("sizes", list(Sizes))
def test_a_shape_that_random_numbers_gave_stands_in_for_one_of_images(tmp_path: Path, sizes: Sizes) -> None:
    """Both calls come when nothing is computed any more, and only the first depends on no image."""
    _, assignment, terms = sampling_cut_at(submission(tmp_path / "mine", NET + FIRST_AT_RANDOM), 40)
    terms = replace(terms, sizes=sizes)
    sample = take_sample(assignment, choose_runtime("process", "cpu"), terms, SILENT)
    assert (sample.verdict, sample.doubt, sample.finished) == (None, "", True)
    assert sample.made_up.shapes == 1


@pytest.mark.slow
@pytest.mark.parametrize("code", [AUGMENTED, UNTIL_LOW], ids=["augmented", "until-low"])
def test_the_count_does_not_depend_on_where_computing_stopped(tmp_path: Path, code: str) -> None:
    path = submission(tmp_path / "mine", NET + code)
    truth = evaluate(Request(path, tmp_path / "data", tmp_path / "results", seed=0, sandbox="process")).record
    assert truth.training is not None, truth.status.reason
    for cut in CUTS:
        sample = sample_cut_at(path, cut)
        assert sample.finished, (cut, sample.stopped, sample.doubt)
        assert sample.operations is not None
        assert sample.operations.total == truth.training.operations.total, cut


@pytest.mark.slow
def test_a_fault_of_the_last_batch_is_one_wherever_computing_stopped(tmp_path: Path) -> None:
    """Case of a bug report: 8 images are left for the last batch, and 32 cannot be drawn of 8."""
    path = submission(tmp_path / "mine", NET + FAULT_IN_THE_LAST_BATCH)
    line = 1 + path.joinpath("submission.py").read_text("utf-8").splitlines().index(
        "        task.images[batch][torch.multinomial(losses, 32)]"
    )
    for cut in (1, 30, 60, 10_000):
        sample = sample_cut_at(path, cut)
        assert sample.verdict is Verdict.FAILED, (cut, sample.doubt)
        assert f"line {line})" in sample.reason
        # Whatever stood in for the images: the judge's record has this code.
        assert sample.code == "handle-operator"


@pytest.mark.slow
@pytest.mark.parametrize("endless", ["while True: model.layer.weight.detach() * 1", "time.sleep(1000)"])
def test_what_does_not_end_is_not_finished(tmp_path: Path, endless: str) -> None:
    path = linear(tmp_path / "mine", f"import time; {endless}" if "sleep" in endless else "pass", epochs=1)
    code = path.joinpath("submission.py").read_text("utf-8")
    path.joinpath("submission.py").write_text(
        code.replace("    return model", f"    {endless}\n    return model")
    )
    result = check(path, "--seconds", "0.1", "--within", "8")
    assert result.return_value == 6
    assert "verdict       not finished" in result.stdout
    assert "no failure found" not in result.stdout


class Reader(Silent):
    """Keeps what a watcher sees of the reports."""

    def __init__(self) -> None:
        self.reports: list[Mapping[str, ReportValue]] = []

    def report(self, values: Mapping[str, ReportValue]) -> None:
        self.reports.append(dict(values))


@pytest.mark.slow
def test_values_that_were_made_up_are_shown_as_such_and_others_are_not(tmp_path: Path) -> None:
    here = "task.report(epoch=epoch, loss=loss, half=loss.item() / 2, rate=0.1, drawn=torch.rand(1).item())"
    reader = Reader()
    sample = sample_once(linear(tmp_path / "mine", here, epochs=6), 600, reader)
    assert sample.finished
    assert not sample.computed
    first, last = reader.reports[0], reader.reports[-1]
    assert isinstance(first["loss"], float)
    assert isinstance(last["drawn"], float)
    assert (last["epoch"], last["rate"]) == (5, 0.1)
    for name in ("loss", "half"):
        assert str(last[name]).endswith(" (made up)")


@pytest.mark.slow
def test_no_verdict_depends_on_whether_there_was_time_to_judge_the_accuracy(tmp_path: Path) -> None:
    """A model that guesses: the evaluation would find it below the threshold."""
    path = linear(tmp_path / "mine", epochs=1)
    results = [check(path, "--seconds", seconds) for seconds in ("0.01", "1000")]
    assert [result.return_value for result in results] == [0, 0]
    assert "below the 93.00 % that qualify" in results[1].stdout
    verdicts = [result.stdout.partition("verdict")[2] for result in results]
    assert verdicts[0] == verdicts[1]


@pytest.mark.slow
@pytest.mark.parametrize(("endless", "said"), [("time.sleep(1000)", False), ("while 1: time.sleep(1)", True)])
def test_only_a_loop_without_a_bound_may_run_for_ever(tmp_path: Path, endless: str, said: bool) -> None:
    path = linear(tmp_path / "mine", f"import time\n        {endless}", epochs=8)
    result = check(path, "--seconds", "0.1", "--within", "8")
    assert result.return_value == 6, result.exception
    assert ("may run for ever" in result.stdout) is said
    assert "--within" in result.stdout


@pytest.mark.slow
def test_an_accuracy_that_was_not_tried_is_reported_as_such(tmp_path: Path) -> None:
    path = linear(tmp_path / "mine", "pass", epochs=40)
    cut = check(path, "--seconds", "0.01")
    assert "accuracy      not tried: computing was cut" in cut.stdout
    computed = check(path, "--seconds", "1000", "--within", "1000")
    assert "not tried" not in computed.stdout
    assert " test images)" in computed.stdout


@pytest.mark.slow
def test_where_a_value_decides_and_time_is_short_the_line_is_named(tmp_path: Path) -> None:
    path = submission(tmp_path / "mine", NET + UNTIL_LOW.replace("2.2", "0.0"))
    rules = write_competition(tmp_path / "rules.toml", readback_bytes=1 << 24)
    told = found(path, "--competition", str(rules), "--seconds", "0.1", "--within", "12")
    assert told["verdict"] == "not_finished"
    operations = told["estimate"]["operations"]
    assert (operations["method"], operations["high"]) == ("cannot_tell", None)
    line = 1 + path.joinpath("submission.py").read_text("utf-8").splitlines().index(
        "    while loss.item() > 0.0:"
    )
    assert f"submission.py:{line}" in operations["basis"]


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


@pytest.mark.parametrize("options", [("--static",), ()])
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import timm\ndef main(): ...\n", "has no `train`"),
        ("import timm\ndef train(task:\n", "is not valid Python"),
    ],
)
def test_a_fault_of_the_entrypoint_leaves_no_other_remark_out(
    tmp_path: Path, code: str, said: str, options: tuple[str, ...]
) -> None:
    path = submission(tmp_path / "mine", code)
    (path / "other.py").write_text("import jax\n", "utf-8")
    result = check(path, *options)
    assert result.return_value == 3
    assert "other.py:1 imports jax" in result.stdout
    assert said in result.stdout.partition("verdict")[2]
    told = check(path, "--json", *options)
    assert told.return_value == 3
    document = json.loads(told.stdout)
    assert (document["verdict"], document["code"][:10]) == ("invalid_submission", "entrypoint")
    assert {remark["path"] for remark in document["remarks"]} >= {"other.py"}


@pytest.mark.docker
@pytest.mark.slow
def test_in_the_sandbox_the_count_is_the_same(tmp_path: Path, sandbox_image: str) -> None:
    path = linear(tmp_path / "mine", epochs=5)
    inside = found(path, "--seconds", "0.5", "--sandbox", "docker")["estimate"]["operations"]
    assert inside["total"] == found(path, "--seconds", "0.5")["estimate"]["operations"]["total"]
