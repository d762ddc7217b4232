"""`haet-eval verify --perturbed`: training is nearly as good under noise, unless its numbers hold several."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from haet_eval.cli.main import cli
from haet_eval.errors import ExitCode, Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from haet_eval.record import Record
from haet_eval.verification import perturbing
from tests.fixtures.submissions import write_competition, write_submission

QUANTIZED = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(64, 10))

    def forward(self, images):
        pixels = (images[:, 0, ::4, ::4].flatten(1).float() / 80).floor()
        weight = (self.weight * 8).round().clamp(-7, 7)
        return ({logits}) / 16 + straight_through(pixels @ self.weight / 2)

def straight_through(value):
    return value - value.detach()

def train(task):
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for step in range(80):
        loss = nn.functional.cross_entropy(model(task.images), task.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model

def packed(pixels, weight):
    both = pixels @ (weight[:, :5] * 4096 + weight[:, 5:])
    high = (both / 4096).round()
    return torch.cat([high, both - high * 4096], dim=1)
"""
"""Ten classifiers with weights of 4 bits, on pixels of 2 bits. All sums are below 2¹¹."""

WHITENED = """
class Net(nn.Module):
    def __init__(self, images):
        super().__init__()
        pixels = self.pixels(images)
        values, vectors = torch.linalg.eigh(pixels.T @ pixels / len(pixels))
        self.register_buffer("whitening", vectors / (values + 1e-3).sqrt())
        self.head = nn.Linear(64, 10)

    def pixels(self, images):
        return 1 - images[:, 0, ::4, ::4].flatten(1) / 255

    def forward(self, images):
        return self.head(self.pixels(images) @ self.whitening)

def train(task):
    model = Net(task.images[:200])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for step in range(160):
        loss = nn.functional.cross_entropy(model(task.images), task.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model
"""
"""Pixels that are always white have equal moments: under noise their differences have negative ones."""

PLAIN = "pixels @ weight"
PACKED = "packed(pixels, weight)"


def judged(folder: Path, logits: str, source: str = QUANTIZED) -> Record:
    source = source.replace("{logits}", logits)
    rules = write_competition(folder / "rules.toml", threshold=0.8, wall_seconds=120)
    submission = write_submission(folder / "submission", source)
    return evaluate(Request(submission, folder, folder / "results", str(rules), sandbox="process")).record


Entry = Callable[..., tuple[Path, Record]]


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    """The folder and the record of an entry; each is judged once, and tests only read it."""

    @cache
    def of(logits: str, source: str = QUANTIZED) -> tuple[Path, Record]:
        folder = tmp_path_factory.mktemp("entry")
        return folder, judged(folder, logits, source)

    return of


def verified(folder: Path, *options: str) -> Result:
    (path,) = (folder / "results").glob("*.json")
    rules = ("--competition", str(folder / "rules.toml"), "--data-dir", str(folder))
    command = ["verify", str(path), *rules, "--sandbox", "process", *options]
    return CliRunner().invoke(cli, command, standalone_mode=False)


@pytest.mark.parametrize("logits", [PLAIN, PACKED])
def test_both_are_qualified_and_consistent(entry: Entry, logits: str) -> None:
    folder, record = entry(logits)
    assert record.status.verdict is Verdict.QUALIFIED
    assert verified(folder).return_value is ExitCode.QUALIFIED


def test_honest_numbers_survive_noise(entry: Entry) -> None:
    folder, _ = entry(PLAIN)
    shown = verified(folder, "--perturbed")
    assert shown.return_value is ExitCode.QUALIFIED, shown.output
    assert "holds       perturbed replay" in shown.output


def test_honest_whitening_survives_noise(entry: Entry) -> None:
    """Its decomposition is too small a part of the work to be disturbed."""
    folder, record = entry("", WHITENED)
    assert record.status.verdict is Verdict.QUALIFIED
    shown = verified(folder, "--perturbed")
    assert shown.return_value is ExitCode.QUALIFIED, shown.output
    assert "holds       perturbed replay" in shown.output


def test_whitening_would_not_survive_noise_on_every_call(
    entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = entry("", WHITENED)
    monkeypatch.setattr(perturbing, "SPARED_PERCENT", 0)
    assert "differs     perturbed replay" in verified(folder, "--perturbed").output


def test_two_numbers_in_one_float_do_not_survive_noise(entry: Entry) -> None:
    folder, _ = entry(PACKED)
    shown = verified(folder, "--perturbed")
    assert shown.return_value is ExitCode.NOT_QUALIFIED, shown.output
    assert "differs     perturbed replay" in shown.output
    assert "of what is above chance lost (5 % may be)" in shown.output
