"""Noise on results: which results get it, how large it is, and that it leaves all else as it is."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from haet_eval.remote.executor.kernel import compile_kernel
from haet_eval.remote.executor.noise import Perturbation, fitted
from haet_eval.remote.messages import Fit, Noise
from haet_eval.remote.wire import Atom, Definition, Tag, Value

SCALE = 2.0**-7
CPU = torch.device("cpu")
Outcome = tuple[Any, Any]


def _definition(operator: str, arguments: dict[str, Any]) -> tuple[Definition, list[torch.Tensor]]:
    tensors: list[torch.Tensor] = []

    def value(given: Any) -> Value:
        if isinstance(given, torch.Tensor):
            tensors.append(given)
            return Atom(Tag.TENSOR, len(tensors) - 1)
        if isinstance(given, list):
            return tuple(value(item) for item in given)
        return given  # type: ignore[no-any-return]

    values = {name: value(given) for name, given in arguments.items()}
    return Definition(operator, values, len(tensors), ()), tensors


def _copied(given: Any) -> Any:
    if isinstance(given, list):
        return [_copied(one) for one in given]
    return given.clone() if isinstance(given, torch.Tensor) else given


def run(operator: str, noise: Noise | None, seed: int = 0, **arguments: Any) -> Outcome:
    """What the call returns, and its tensors after it; they are copies."""
    copied = {name: _copied(given) for name, given in arguments.items()}
    definition, tensors = _definition(operator, copied)
    torch.manual_seed(seed)
    kernel = compile_kernel(definition, CPU, lambda _: torch.default_generator)
    if noise is not None:
        kernel = Perturbation(noise, CPU).around(0, definition, kernel)
    return kernel(tensors, ()), tensors


NOISE = Noise(scale=SCALE, seed=1)
X = torch.linspace(1, 2, 600).reshape(20, 30)
ROW = torch.arange(20)

NOISY: dict[str, dict[str, Any]] = {
    "aten.mm.default": {"self": X, "mat2": X.t().contiguous()},
    "aten.mul.Tensor": {"self": X, "other": X},
    "aten.add.Tensor": {"self": X.double(), "other": X.double()},
    "aten.sum.dim_IntList": {"self": X, "dim": [0]},
    "aten.index.Tensor": {"self": X, "indices": [ROW]},
    "aten.relu.default": {"self": X},
    "aten.exp.default": {"self": X.bfloat16()},
    "aten.mul_.Tensor": {"self": X, "other": X},
    "aten.index_add_.default": {"self": X, "dim": 0, "index": ROW, "source": X},
    "aten._foreach_mul.List": {"self": [X, X], "other": [X, X]},
    "aten._foreach_add_.List": {"self": [X, X], "other": [X, X]},
    "aten.round.decimals": {"self": X, "decimals": 4},
    "aten._fused_sgd_.default": {
        "self": [X],
        "grads": [X],
        "momentum_buffer_list": [],
        "weight_decay": 0.0,
        "momentum": 0.0,
        "lr": 0.1,
        "dampening": 0.0,
        "nesterov": False,
        "maximize": False,
        "is_first_step": True,
    },
}
EXACT: dict[str, dict[str, Any]] = {
    "aten.floor.default": {"self": X},
    "aten.round_.default": {"self": X},
    "aten.clone.default": {"self": X},
    "aten.cat.default": {"tensors": [X, X]},
    "aten._to_copy.default": {"self": X, "dtype": None},
    "aten.gt.Scalar": {"self": X, "other": 1.5},
    "aten.mul.Scalar": {"self": ROW, "other": 3},
    "aten.argmax.default": {"self": X},
    "aten.view.default": {"self": X, "size": [600]},
    "aten.index_put_.default": {"self": X, "indices": [ROW], "values": X},
    "aten.add_.Scalar": {"self": torch.tensor(3.0), "other": 1},
    "aten._foreach_add_.Scalar": {"self": [torch.tensor(3.0), torch.tensor(4.0)], "scalar": 1},
    "aten._foreach_copy_.default": {"self": [X], "src": [X]},
    "aten.rand_like.default": {"self": X},
}


def _floats(outcome: Outcome) -> list[torch.Tensor]:
    result, tensors = outcome
    found = [*result] if isinstance(result, list | tuple) else [result]
    return [one for one in (*found, *tensors) if isinstance(one, torch.Tensor) and one.is_floating_point()]


@pytest.mark.parametrize("operator", NOISY)
def test_results_of_arithmetic_get_small_unbiased_noise(operator: str) -> None:
    plain, noisy = (_floats(run(operator, noise, **NOISY[operator])) for noise in (None, NOISE))
    shifts = [(b / a - 1).double() for a, b in zip(plain, noisy, strict=True)]
    changed = [shift for shift in shifts if shift.any()]
    assert changed
    rounding = 2.0**-7 if plain[0].dtype is torch.bfloat16 else 1e-6
    for shift in changed:
        assert shift.abs().max() <= SCALE + rounding
        assert shift.abs().max() > SCALE / 2
        assert abs(shift.mean()) < 5 * SCALE / len(shift.flatten()) ** 0.5


@pytest.mark.parametrize(
    "seen_as",
    [torch.conj, torch._neg_view, lambda memory: torch._neg_view(memory.conj())],
    ids=["conjugated", "negated", "both"],
)
def test_results_written_through_a_lazy_view_get_noise(
    seen_as: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    """Two lanes of a complex number passed a perturbed replay, as sums into a conjugated view had none."""
    memory = torch.complex(X, 2 * X)
    exact = memory * 3
    definition, tensors = _definition(
        "aten.mul_.Tensor", {"self": seen_as(memory), "other": torch.tensor(3.0)}
    )
    kernel = Perturbation(NOISE, CPU).around(0, definition, compile_kernel(definition, CPU, lambda _: None))
    kernel(tensors, ())
    apart = (torch.view_as_real(memory) / torch.view_as_real(exact) - 1).abs()
    assert SCALE / 2 < apart.max() <= SCALE + 1e-6


@pytest.mark.parametrize("operator", EXACT)
def test_other_results_stay_what_they_are(operator: str) -> None:
    """Movement, whole numbers, truth values, integers, writes by index, counters, draws."""
    plain, noisy = (run(operator, noise, **EXACT[operator]) for noise in (None, NOISE))
    assert str(plain) == str(noisy)
    assert all(map(torch.equal, _floats(plain), _floats(noisy)))


def test_sums_of_a_tensor_that_was_taken_apart_get_noise() -> None:
    """Lists of single numbers count steps only if a number is added to them."""
    parts = [torch.tensor(3.0), torch.tensor(4.0)]
    plain, noisy = (
        _floats(run("aten._foreach_add.List", noise, self=parts, other=parts)) for noise in (None, NOISE)
    )
    assert not torch.equal(plain[0], noisy[0])


def test_noise_on_products_alone_leaves_sums_alone() -> None:
    products = Noise(scale=SCALE, seed=1, products_only=True)
    for operator, reached in (("aten.mm.default", True), ("aten.mul.Tensor", False)):
        plain, noisy = (_floats(run(operator, noise, **NOISY[operator])) for noise in (None, products))
        assert torch.equal(plain[0], noisy[0]) is not reached


def test_the_seed_decides_the_noise_and_draws_of_the_training_do_not_move() -> None:
    def results(noise: Noise) -> torch.Tensor:
        return _floats(run("aten.mul.Tensor", noise, **NOISY["aten.mul.Tensor"]))[0]

    assert torch.equal(results(NOISE), results(NOISE))
    assert not torch.equal(results(NOISE), results(Noise(scale=SCALE, seed=2)))
    torch.manual_seed(0)
    state = torch.get_rng_state()
    results(NOISE)
    torch.manual_seed(0)
    assert torch.equal(state, torch.get_rng_state())


def test_probabilities_stay_probabilities() -> None:
    (noisy, *_) = _floats(run("aten.sigmoid.default", NOISE, self=X * 100))
    assert noisy.max() <= 1


@pytest.mark.parametrize(
    ("found", "shape", "stride", "expected"),
    [
        ([1, 2, 3], (2,), (1,), [1, 2]),
        ([1, 2], (5,), (1,), [1, 2, 1, 2, 1]),
        ([], (2,), (1,), [0, 0]),
    ],
)
def test_sizes_that_follow_from_noisy_values_are_those_of_the_trace(
    found: Sequence[int], shape: tuple[int, ...], stride: tuple[int, ...], expected: Sequence[int]
) -> None:
    made = fitted(torch.tensor(found, dtype=torch.int64), [], Fit(layouts=((shape, stride),)))
    assert made.tolist() == expected


def test_strides_are_those_of_the_trace_too() -> None:
    make: Callable[[], torch.Tensor] = lambda: torch.ones(3, 3).nonzero()  # noqa: E731
    made = fitted(make(), [], Fit(layouts=(((4, 2), (1, 4)),)))
    assert (tuple(made.shape), made.stride()) == ((4, 2), (1, 4))
    assert torch.equal(made, make()[:4])


def test_spared_template_stays_exact() -> None:
    arguments: dict[str, Any] = {"self": X, "mat2": X.t().contiguous()}
    exact, _ = run("aten.mm.default", None, **arguments)
    spared, _ = run("aten.mm.default", NOISE.model_copy(update={"spared": (0,)}), **arguments)
    other, _ = run("aten.mm.default", NOISE.model_copy(update={"spared": (1,)}), **arguments)
    assert torch.equal(spared, exact)
    assert not torch.equal(other, exact)
