"""Losses by margins, each sample by itself and with a mean over samples."""

import pytest
import torch
from hypothesis import given

from tests.oracle import margin_losses as oracle
from tests.oracle.counted import count
from tests.oracle.recording import operations
from tests.unit.prices.shapes import extents, few

aten = torch.ops.aten
NONE, MEAN = 0, 1


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
@few
@given(samples=extents, classes=extents)
def test_one_target(power: int, weighted: bool, samples: int, classes: int) -> None:
    scores, targets = torch.rand(samples, classes), torch.zeros(samples, dtype=torch.int64)
    weight = torch.ones(classes) if weighted else None
    forward = samples * count(lambda tally: oracle.multi_margin(tally, classes, power, weighted=weighted))
    rest = scores, targets, power, 1.5, weight
    assert operations(lambda: aten.multi_margin_loss(*rest, NONE)) == forward
    assert operations(lambda: aten.multi_margin_loss(*rest, MEAN)) == forward + samples
    backward = samples * count(
        lambda tally: oracle.multi_margin_backward(tally, classes, power, weighted=weighted)
    )
    gradients, gradient = torch.ones(samples), torch.tensor(1.0)
    assert operations(lambda: aten.multi_margin_loss_backward(gradients, *rest, NONE)) == backward
    assert operations(lambda: aten.multi_margin_loss_backward(gradient, *rest, MEAN)) == backward + 1


@few
@given(samples=extents, classes=extents)
def test_several_targets(samples: int, classes: int) -> None:
    scores, targets = torch.rand(samples, classes), torch.full((samples, classes), -1)
    forward = samples * count(lambda tally: oracle.multilabel_margin(tally, classes))
    assert operations(lambda: aten.multilabel_margin_loss_forward(scores, targets, NONE)) == forward
    assert operations(lambda: aten.multilabel_margin_loss_forward(scores, targets, MEAN)) == forward + samples
    backward = samples * count(lambda tally: oracle.multilabel_margin_backward(tally, classes))
    gradients, marks = torch.ones(samples), torch.zeros(samples, classes)
    found = operations(lambda: aten.multilabel_margin_loss_backward(gradients, scores, targets, NONE, marks))
    assert found == backward
