"""What train() returned is final: what breaks that is named with its line and with what to write instead."""

from pathlib import Path

import pytest

from haet_eval.errors import Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from haet_eval.record import Record
from tests.fixtures.submissions import line_of, write_submission

TRAINED = (Verdict.QUALIFIED, Verdict.BELOW_THRESHOLD)

QUANTIZED = """
from torch.ao.quantization import FakeQuantize, MovingAveragePerChannelMinMaxObserver, disable_observer

class Quantized(Linear):
    def __init__(self):
        super().__init__()
        self.quantize = FakeQuantize(
            observer=MovingAveragePerChannelMinMaxObserver, quant_min=-128, quant_max=127,
            dtype=torch.qint8, qscheme=torch.per_channel_symmetric,
        )

    def forward(self, images):
        weight = self.quantize(self.head.weight)
        return nn.functional.linear(images.flatten(1) / 255, weight, self.head.bias)

def train(task):
    model = Quantized()
    for _ in range(3):
        model(task.images[:200])
    LAST
    return model
"""

MERGING = """
class Merging(Linear):
    def __init__(self):
        super().__init__()
        self.register_buffer("more", torch.ones(10, 3072))

    def train(self, mode=True):
        if self.training and not mode:
            MERGE
        return super().train(mode)

    def forward(self, images):
        return nn.functional.linear(images.flatten(1) / 255, self.head.weight + self.more, self.head.bias)

def train(task):
    model = Merging()
    model(task.images[:200])
    LAST
    return model
"""

CACHING = """
class Caching(Linear):
    seen = None

    def forward(self, images):
        x = images.flatten(1) / 255
        if self.seen is None:
            self.seen = x.mean(0)
        x = x - self.seen  # here
        return self.head(x)

def train(task):
    model = Caching()
    BEFORE
    return model
"""

NORMALISING = """
class Normalising(Linear):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3072)

    def forward(self, images):
        self.norm.train()
        return self.head(self.norm(images.flatten(1) / 255))

def train(task):
    model = Normalising()
    for _ in range(2):
        model(task.images[:200])  # as large as a batch of the prediction
    return model
"""


def judged(tmp_path: Path, train: str) -> Record:
    folder = write_submission(tmp_path / "submission", train)
    return evaluate(Request(folder, tmp_path / "data", tmp_path / "results", sandbox="process")).record


def test_an_observer_is_named_with_the_call_that_ends_its_observing(tmp_path: Path) -> None:
    status = judged(tmp_path, QUANTIZED.replace("LAST", "pass")).status
    assert status.code == "model-changed"
    assert "`quantize." in status.reason
    assert "model.apply(torch.ao.quantization.disable_observer)" in status.reason


def test_without_its_observers_a_quantized_model_predicts(tmp_path: Path) -> None:
    status = judged(tmp_path, QUANTIZED.replace("LAST", "model.apply(disable_observer)")).status
    assert status.verdict in TRAINED, status.reason


@pytest.mark.parametrize(
    ("merge", "code"),
    [
        ("self.more = self.more * 2", "handle-eval"),
        ("self.more.mul_(2)", "model-changed"),
        ("with torch.no_grad(): self.head.weight += self.more", "model-changed"),
    ],
)
def test_what_eval_does_to_the_model_is_named_with_its_line(tmp_path: Path, merge: str, code: str) -> None:
    status = judged(tmp_path, MERGING.replace("MERGE", merge).replace("LAST", "pass")).status
    assert (status.verdict, status.code) == (Verdict.FAILED, code), status.reason
    assert "call model.eval() at the end of train()" in status.reason
    assert f"submission.py, line {line_of(tmp_path / 'submission', merge)}" in status.reason


def test_a_model_that_was_in_eval_mode_before_it_is_returned_is_judged(tmp_path: Path) -> None:
    train = MERGING.replace("MERGE", "self.more = self.more * 2").replace("LAST", "model.eval()")
    status = judged(tmp_path, train).status
    assert status.verdict in TRAINED, status.reason


@pytest.mark.parametrize("before", ["pass", "model(task.images[:8])"])
def test_a_tensor_that_is_gone_is_named_with_the_line_that_uses_it(tmp_path: Path, before: str) -> None:
    """Of an earlier batch, or of the training: the host's answer comes after the call."""
    status = judged(tmp_path, CACHING.replace("BEFORE", before)).status
    assert status.code == "model-unregistered-tensor", status.reason
    assert f"It is used in submission.py, line {line_of(tmp_path / 'submission', '# here')}." in status.reason


def test_statistics_that_forward_changes_are_named(tmp_path: Path) -> None:
    status = judged(tmp_path, NORMALISING).status
    assert status.code == "model-changed", status.reason
    assert "`norm." in status.reason
    assert "leave out .train()" in status.reason
