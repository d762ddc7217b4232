"""One step of every optimizer, in every variant that torch has, against the textbook's step."""

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import pytest
import torch

from tests.oracle import optimizers as oracle
from tests.oracle.counted import count
from tests.oracle.recording import operations

SHAPES = ((3, 2), (5,), ())
NUMEL = 12
Flags = Mapping[str, Any]
VARIANTS: tuple[Flags, ...] = (
    {"foreach": False},
    {"foreach": True},
    {"fused": True},
)
UNFUSED = VARIANTS[:2]


def grid(**choices: tuple[object, ...]) -> list[dict[str, Any]]:
    return [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]


SGD = [
    flags
    for flags in grid(
        momentum=(0, 0.9),
        dampening=(0, 0.1),
        weight_decay=(0, 0.01),
        nesterov=(False, True),
        maximize=(False, True),
    )
    if not flags["nesterov"] or (flags["momentum"] and not flags["dampening"])
]
ADAM = grid(weight_decay=(0, 0.01), amsgrad=(False, True), maximize=(False, True))
ADAGRAD = grid(weight_decay=(0, 0.01), maximize=(False, True))
RMSPROP = grid(momentum=(0, 0.9), centered=(False, True), weight_decay=(0, 0.01), maximize=(False, True))


def step_prices(optimizer: Callable[..., torch.optim.Optimizer], flags: Flags) -> tuple[int, int]:
    """Operations of the first and of the second step."""
    parameters = [torch.rand(shape, requires_grad=True) for shape in SHAPES]
    for parameter in parameters:
        parameter.grad = torch.rand_like(parameter)
    made = optimizer(parameters, lr=0.1, **flags)
    return operations(made.step), operations(made.step)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("flags", SGD)
def test_sgd(flags: Flags, variant: Flags) -> None:
    first, second = step_prices(torch.optim.SGD, {**flags, **variant})
    assert first == NUMEL * count(lambda tally: oracle.sgd(tally, first=True, **flags))
    assert second == NUMEL * count(lambda tally: oracle.sgd(tally, **flags))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("flags", ADAM)
@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.AdamW])
def test_adam(optimizer: type[torch.optim.Adam], flags: Flags, variant: Flags) -> None:
    decoupled = optimizer is torch.optim.AdamW
    each = count(lambda tally: oracle.adam(tally, decoupled=decoupled, **flags))
    steps = len(SHAPES)
    assert step_prices(optimizer, {**flags, **variant}) == (NUMEL * each + steps,) * 2


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("flags", ADAGRAD)
def test_adagrad(flags: Flags, variant: Flags) -> None:
    each = count(lambda tally: oracle.adagrad(tally, **flags))
    assert step_prices(torch.optim.Adagrad, {**flags, **variant}) == (NUMEL * each + len(SHAPES),) * 2


@pytest.mark.parametrize("variant", UNFUSED)
@pytest.mark.parametrize("flags", RMSPROP)
def test_rmsprop(flags: Flags, variant: Flags) -> None:
    each = count(lambda tally: oracle.rmsprop(tally, **flags))
    assert step_prices(torch.optim.RMSprop, {**flags, **variant}) == (NUMEL * each + len(SHAPES),) * 2


@pytest.mark.parametrize("lr", [1.0, 2.0, 0.1])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.999), (0.9, 0.0), (0.0, 0.0)])
@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.AdamW])
def test_literal_coefficients_are_free_in_every_variant(
    optimizer: type[torch.optim.Adam], betas: tuple[float, float], lr: float
) -> None:
    prices = {step_prices(optimizer_with(optimizer, lr), {"betas": betas, **v}) for v in VARIANTS}
    assert len(prices) == 1


def optimizer_with(
    optimizer: type[torch.optim.Optimizer], rate: float
) -> Callable[..., torch.optim.Optimizer]:
    return lambda parameters, lr, **flags: optimizer(parameters, lr=rate, **flags)  # type: ignore[call-arg]


@pytest.mark.parametrize("lr", [1.0, 0.1])
@pytest.mark.parametrize("momentum", [0.0, 1.0, 0.5])
@pytest.mark.parametrize("weight_decay", [0.0, 1.0, 0.5])
def test_literal_coefficients_of_sgd(lr: float, momentum: float, weight_decay: float) -> None:
    flags = {"momentum": momentum, "weight_decay": weight_decay}
    made = optimizer_with(torch.optim.SGD, lr)
    assert len({step_prices(made, {**flags, **variant}) for variant in VARIANTS}) == 1


def test_the_figures_of_the_standard() -> None:
    flags = {"momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
    assert step_prices(torch.optim.SGD, flags) == (6 * NUMEL, 8 * NUMEL)
    assert step_prices(torch.optim.AdamW, {"weight_decay": 0.01}) == (14 * NUMEL + 3,) * 2


def test_gradient_scaling() -> None:
    """Unscaling tests, multiplies and joins; a fused optimizer that is given the scale only divides."""
    gradients = [torch.rand(shape) for shape in SHAPES]
    flag, scale = torch.zeros(()), torch.ones(())
    unscale = torch._amp_foreach_non_finite_check_and_unscale_
    assert operations(lambda: unscale(gradients, flag, scale)) == 3 * NUMEL

    parameters = [torch.rand(shape) for shape in SHAPES]

    def fused(**given: Any) -> int:
        flags = {"momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "lr": 0.1}
        step = {"nesterov": False, "maximize": False, "is_first_step": False}
        return operations(
            lambda: torch.ops.aten._fused_sgd_(parameters, gradients, [], **flags, **step, **given)
        )

    assert fused(grad_scale=scale, found_inf=flag) == fused() + NUMEL
