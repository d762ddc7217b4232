"""Losses and their backward, with every reduction."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from torch.nn import functional as F  # noqa: N812

from tests.oracle import losses as oracle
from tests.oracle.counted import Counted, Tally, count
from tests.oracle.recording import operations
from tests.unit.prices.shapes import extents, few

aten = torch.ops.aten
REDUCTIONS = ("none", "mean", "sum")

ELEMENTWISE: dict[str, tuple[Callable[..., Any], Callable[[Counted, Counted], Counted]]] = {
    "mse": (F.mse_loss, oracle.squared),
    "smooth l1": (
        lambda x, y, reduction: F.smooth_l1_loss(x, y, reduction=reduction, beta=0.3),
        oracle.smooth_l1,
    ),
    "huber": (lambda x, y, reduction: F.huber_loss(x, y, reduction, 0.5), oracle.huber),
    "l1": (lambda x, y, reduction: F.l1_loss(x, y, reduction=reduction), lambda x, y: abs(x - y)),
    "bce": (
        lambda x, y, reduction: F.binary_cross_entropy(x, y, reduction=reduction),
        oracle.binary_cross_entropy,
    ),
    "bce with logits": (
        lambda x, y, reduction: F.binary_cross_entropy_with_logits(x, y, reduction=reduction),
        oracle.binary_cross_entropy_with_logits,
    ),
    "soft margin": (
        lambda x, y, reduction: F.soft_margin_loss(x, y, reduction=reduction),
        oracle.soft_margin,
    ),
}

BACKWARD: dict[str, tuple[Callable[..., Any], Callable[[Counted, Counted, Counted], Counted]]] = {
    "smooth l1": (
        lambda g, x, y, r: aten.smooth_l1_loss_backward(g, x, y, r, 0.5),
        oracle.smooth_l1_backward,
    ),
    "huber": (lambda g, x, y, r: aten.huber_loss_backward(g, x, y, r, 0.5), oracle.huber_backward),
    "bce": (
        lambda g, x, y, r: aten.binary_cross_entropy_backward(g, x, y, None, r),
        oracle.binary_cross_entropy_backward,
    ),
    "soft margin": (aten.soft_margin_loss_backward, oracle.soft_margin_backward),
}


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ELEMENTWISE)
@few
@given(n=extents)
def test_elementwise_losses(name: str, reduction: str, n: int) -> None:
    program, textbook = ELEMENTWISE[name]
    x, y = torch.rand(n), torch.rand(n)

    def reduced(tally: Tally) -> object:
        return oracle.reduced([textbook(tally.scalar(), tally.scalar()) for _ in range(n)], reduction)

    assert operations(lambda: program(x, y, reduction=reduction)) == count(reduced)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", BACKWARD)
@few
@given(n=extents)
def test_their_backward(name: str, reduction: str, n: int) -> None:
    program, derivative = BACKWARD[name]
    x, y = torch.rand(n), torch.rand(n)
    g = torch.rand(n) if reduction == "none" else torch.tensor(1.0)

    def textbook(tally: Tally) -> None:
        incoming = tally.scalar() / n if reduction == "mean" else tally.scalar()
        for _ in range(n):
            derivative(incoming, tally.scalar(), tally.scalar())

    assert operations(lambda: program(g, x, y, REDUCTIONS.index(reduction))) == count(textbook)


@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized")
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["mse_loss", "smooth_l1_loss", "huber_loss"])
@few
@given(rows=extents, columns=extents)
def test_a_loss_of_every_pair_costs_every_pair(name: str, reduction: str, rows: int, columns: int) -> None:
    column, row = torch.rand(rows, 1), torch.rand(columns)
    number = REDUCTIONS.index(reduction)
    spread = column.expand(rows, columns).clone(), row.expand(rows, columns).clone()
    loss = getattr(aten, name)
    assert operations(lambda: loss(column, row, number)) == operations(lambda: loss(*spread, number))


@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized")
@few
@given(rows=extents, columns=extents)
def test_the_backward_of_a_loss_of_every_pair_costs_every_pair(rows: int, columns: int) -> None:
    column, row, gradient = torch.rand(rows, 1), torch.rand(columns), torch.rand(rows, columns)
    found = operations(lambda: aten.huber_loss_backward(gradient, column, row, 0, 0.5))
    assert found == operations(lambda: aten.huber_loss_backward(gradient, gradient, gradient, 0, 0.5))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@few
@given(n=extents)
def test_mse_backward(reduction: str, n: int) -> None:
    x, y = torch.rand(n), torch.rand(n)
    g = torch.rand(n) if reduction == "none" else torch.tensor(1.0)
    expected = count(
        lambda tally: oracle.squared_backward(tally.scalar(), tally.tensor([n]), tally.tensor([n]), reduction)
    )
    assert operations(lambda: aten.mse_loss_backward(g, x, y, REDUCTIONS.index(reduction))) == expected


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@few
@given(samples=extents, classes=extents)
def test_nll(reduction: str, weighted: bool, samples: int, classes: int) -> None:
    scores = torch.rand(samples, classes, requires_grad=True)
    targets = torch.randint(classes, (samples,))
    weight = torch.rand(classes) if weighted else None
    expected = count(
        lambda tally: oracle.nll(
            tally.tensor([samples, classes]),
            tally.tensor([samples]),
            reduction,
            tally.tensor([classes]) if weighted else None,
        )
    )
    assert operations(lambda: F.nll_loss(scores, targets, weight, reduction=reduction)) == expected
    loss = F.nll_loss(scores, targets, weight, reduction=reduction)
    expected = count(
        lambda tally: oracle.nll_backward(
            tally.scalar(),
            classes,
            tally.tensor([samples]),
            reduction,
            tally.tensor([classes]) if weighted else None,
        )
    )
    g = torch.ones_like(loss)
    assert operations(lambda: torch.autograd.grad(loss, scores, g)) == expected


@few
@given(samples=extents, height=extents)
def test_nll_of_images_is_nll_of_their_pixels(samples: int, height: int) -> None:
    scores, targets = torch.rand(samples, 3, height, 2), torch.zeros(samples, height, 2, dtype=torch.long)
    flat = torch.rand(samples * height * 2, 3)
    assert operations(lambda: F.nll_loss(scores, targets)) == operations(
        lambda: F.nll_loss(flat, targets.flatten())
    )


@few
@given(n=extents, classes=extents)
def test_positive_weights(n: int, classes: int) -> None:
    x, y, positive = torch.rand(n, classes), torch.rand(n, classes), torch.rand(classes)

    def textbook(tally: Tally) -> None:
        excess = [tally.scalar() - 1 for _ in range(classes)]
        losses = [
            oracle.balanced_cross_entropy_with_logits(tally.scalar(), tally.scalar(), excess[column])
            for _ in range(n)
            for column in range(classes)
        ]
        oracle.reduced(losses, "mean")

    assert operations(lambda: F.binary_cross_entropy_with_logits(x, y, pos_weight=positive)) == count(
        textbook
    )


def test_cross_entropy_is_log_softmax_and_nll() -> None:
    x, y = torch.rand(5, 10), torch.zeros(5, dtype=torch.long)
    assert operations(lambda: F.cross_entropy(x, y)) == (5 * 50 - 5) + (2 * 5 + 5)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("power", [1, 2])
@few
@given(samples=extents, others=extents)
def test_multi_margin(power: int, weighted: bool, samples: int, others: int) -> None:
    classes = others + 1
    scores, targets = torch.rand(samples, classes), torch.zeros(samples, dtype=torch.long)
    weight = torch.rand(classes) if weighted else None
    expected = count(
        lambda tally: oracle.reduced(
            oracle.multi_margin(
                tally.tensor([samples, classes]),
                tally.tensor([samples]),
                power,
                tally.tensor([classes]) if weighted else None,
            ),
            "mean",
        )
    )
    assert operations(lambda: F.multi_margin_loss(scores, targets, power, weight=weight)) == expected


@few
@given(n=extents)
def test_a_weight_for_each_element(n: int) -> None:
    x, y, weight = torch.rand(n), torch.rand(n), torch.rand(n)

    def weighted(textbook: Callable[..., Counted]) -> Callable[[Tally], object]:
        return lambda tally: [textbook(tally.scalar(), tally.scalar()) * tally.scalar() for _ in range(n)]

    plain = count(weighted(oracle.binary_cross_entropy))
    assert operations(lambda: F.binary_cross_entropy(x, y, weight, reduction="none")) == plain
    logits = count(weighted(oracle.binary_cross_entropy_with_logits))
    program = lambda: F.binary_cross_entropy_with_logits(x, y, weight, reduction="none")  # noqa: E731
    assert operations(program) == logits
    derivative = count(weighted(lambda p, t: oracle.binary_cross_entropy_backward(p, p, t)))
    assert operations(lambda: aten.binary_cross_entropy_backward(x, x, y, weight, 0)) == derivative


@few
@given(n=extents)
def test_smooth_l1_without_a_smooth_part_is_l1(n: int) -> None:
    x, y = torch.rand(n), torch.rand(n)
    l1 = operations(lambda: F.l1_loss(x, y))
    assert operations(lambda: aten.smooth_l1_loss(x, y, beta=0.0)) == l1


def test_the_figures_of_the_standard_for_margins() -> None:
    samples, classes = 4, 5
    scores, targets = torch.rand(samples, classes), torch.zeros(samples, dtype=torch.long)

    def loss(power: int, weight: torch.Tensor | None = None) -> int:
        return operations(lambda: aten.multi_margin_loss(scores, targets, power, 1.0, weight, 0))

    def gradient(power: int, weight: torch.Tensor | None = None) -> int:
        incoming = scores[:, 0]
        return operations(
            lambda: aten.multi_margin_loss_backward(incoming, scores, targets, power, 1.0, weight, 0)
        )

    assert loss(1) == samples * (3 * classes - 1)
    assert loss(2) == samples * (4 * classes - 2)
    assert loss(1, scores[0]) == samples * (4 * classes - 1)
    assert gradient(1) == samples * (3 * classes + 1)
    assert gradient(2) == samples * (4 * classes + 1)
    assert gradient(1, scores[0]) == samples * (3 * classes + 3)
    labels = torch.zeros(samples, classes, dtype=torch.long)
    pairs = operations(lambda: F.multilabel_margin_loss(scores, labels, reduction="none"))
    assert pairs == samples * (4 * classes**2 + 3 * classes)
