"""What must hold between prices: equal mathematics, equal price."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from haet_eval.operators.pricing.evaluate import price_of
from haet_eval.operators.schema import Operator
from haet_eval.operators.signature import tensors_in
from haet_eval.operators.table import allowed_operators, lookup
from tests.oracle.recording import operations, record
from tests.unit.prices.shapes import extents, few

aten = torch.ops.aten
FLOATS = st.sampled_from([0.0, 0.1, 0.9])
FLAG = st.booleans()
UNTAGGED = {
    *(
        f"{loss}{suffix}"
        for loss in ("mse_loss", "smooth_l1_loss", "huber_loss")
        for suffix in ("", "_backward")
    ),
    *("binary_cross_entropy", "binary_cross_entropy_backward", "binary_cross_entropy_with_logits"),
    *("soft_margin_loss", "soft_margin_loss_backward", "_prelu_kernel", "_prelu_kernel_backward"),
}
several = settings(max_examples=25, deadline=None)


def training_price(make: Callable[[list[torch.Tensor]], torch.optim.Optimizer], steps: int = 3) -> int:
    """Operations of some steps of an optimizer on a few parameters, one of which is a scalar."""
    parameters = [torch.rand(shape, requires_grad=True) for shape in ((3, 2), (4,), ())]
    optimizer = make(parameters)
    for parameter in parameters:
        parameter.grad = torch.rand_like(parameter)
    return sum(operations(optimizer.step) for _ in range(steps))


_VALUES = {"Scalar": 0.5, "float": 0.5, "int": 0, "bool": False, "str": "none"}
ELEMENTWISE = [
    one
    for name in sorted(allowed_operators())
    if (one := lookup(name))
    and ("pointwise" in one.tags or one.base in UNTAGGED)
    and one.returns[0].type == "Tensor"
    and sum(p.type == "Tensor" and not p.is_list for p in one.parameters) > 1
    and not any(p.written or p.name == "out" for p in one.parameters)
]


def _broadcast_and_spread(operator: Operator, shapes: Sequence[tuple[int, ...]]) -> tuple[int, int] | None:
    """The price of a call on tensors that broadcast, and on copies in the shape that they broadcast to."""
    call = getattr(getattr(aten, operator.base), operator.name.split(".")[2])
    tensors = iter([torch.rand(shape) for shape in shapes])
    whole = torch.broadcast_shapes(*shapes)  # type: ignore[no-untyped-call]
    arguments: dict[str, Any] = {}
    for parameter in operator.parameters:
        if parameter.type == "Tensor" and not parameter.is_list:
            arguments[parameter.name] = next(tensors)
        elif not parameter.has_default:
            arguments[parameter.name] = _VALUES.get(parameter.type)
    spread = {
        name: value.expand(whole).clone() if isinstance(value, torch.Tensor) else value
        for name, value in arguments.items()
    }
    try:
        return operations(lambda: call(**arguments)), operations(lambda: call(**spread))
    except (RuntimeError, IndexError, NotImplementedError):
        return None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("operator", ELEMENTWISE, ids=lambda one: str(one.name))
def test_broadcast_operands_cost_what_copies_cost(operator: Operator) -> None:
    tensors = sum(parameter.type == "Tensor" for parameter in operator.parameters)
    for shapes in itertools.permutations([(3, 1), (4,), (), (3, 4)], min(tensors, 4)):
        prices = _broadcast_and_spread(operator, shapes)
        assert prices is None or prices[0] == prices[1]


@several
@given(momentum=FLOATS, dampening=FLOATS, weight_decay=FLOATS, nesterov=FLAG, maximize=FLAG)
def test_sgd_for_loop_foreach_fused(
    momentum: float, dampening: float, weight_decay: float, nesterov: bool, maximize: bool
) -> None:
    assume(not nesterov or (momentum and not dampening))
    prices = {
        training_price(
            lambda parameters, variant=variant: torch.optim.SGD(  # type: ignore[misc]
                parameters,
                lr=0.1,
                momentum=momentum,
                dampening=dampening,
                weight_decay=weight_decay,
                nesterov=nesterov,
                maximize=maximize,
                **variant,
            )
        )
        for variant in ({"foreach": False}, {"foreach": True}, {"fused": True})
    }
    assert len(prices) == 1


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.AdamW])
@several
@given(beta=FLOATS, weight_decay=FLOATS, eps=FLOATS, amsgrad=FLAG, maximize=FLAG)
def test_adam_for_loop_foreach_fused(
    optimizer: type[torch.optim.Adam],
    beta: float,
    weight_decay: float,
    eps: float,
    amsgrad: bool,
    maximize: bool,
) -> None:
    prices = {
        training_price(
            lambda parameters, variant=variant: optimizer(  # type: ignore[misc]
                parameters,
                lr=0.1,
                betas=(beta, beta),
                eps=eps,
                weight_decay=weight_decay,
                amsgrad=amsgrad,
                maximize=maximize,
                **variant,
            )
        )
        for variant in ({"foreach": False}, {"foreach": True}, {"fused": True})
    }
    assert len(prices) == 1


@several
@given(momentum=FLOATS, weight_decay=FLOATS, alpha=FLOATS, centered=FLAG, maximize=FLAG)
def test_rmsprop_for_loop_foreach(
    momentum: float, weight_decay: float, alpha: float, centered: bool, maximize: bool
) -> None:
    prices = {
        training_price(
            lambda parameters, foreach=foreach: torch.optim.RMSprop(  # type: ignore[misc]
                parameters,
                lr=0.1,
                alpha=alpha,
                momentum=momentum,
                weight_decay=weight_decay,
                centered=centered,
                maximize=maximize,
                foreach=foreach,
            )
        )
        for foreach in (False, True)
    }
    assert len(prices) == 1


def test_a_learning_rate_in_a_tensor_adds_its_own_arithmetic() -> None:
    """The exception: unfused Adam computes lr / bias correction on a tensor of one element."""

    def with_rate(lr: float | torch.Tensor) -> int:
        return training_price(lambda p: torch.optim.Adam(p, lr=lr, foreach=False), steps=1)

    assert with_rate(torch.tensor(0.25)) - with_rate(0.25) == 2 * 3


def test_a_step_whose_coefficient_happens_to_be_one() -> None:
    """The other exception: a fused call does not know its step, hence not that lr / (1 − β₁) is 1 in it."""

    def first_step(**variant: bool) -> int:
        return training_price(lambda p: torch.optim.Adam(p, lr=0.5, betas=(0.5, 0.9), **variant), steps=1)

    elements = 6 + 4 + 1
    assert first_step(foreach=False) == first_step(foreach=True) == first_step(fused=True) - elements


def small_model() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.SiLU(),
        nn.Conv2d(4, 6, 3, groups=2, bias=False),
        nn.GroupNorm(2, 6),
        nn.GELU(),
        nn.Flatten(),
        nn.LayerNorm(6 * 16),
        nn.Linear(6 * 16, 8),
        nn.LogSoftmax(-1),
    )


@pytest.mark.parametrize("training", [False, True])
def test_grad_mode_no_grad_and_inference_mode(training: bool) -> None:
    model = small_model().train(training)
    x = torch.rand(2, 3, 6, 6)
    price = operations(lambda: model(x))
    with torch.no_grad():
        assert operations(lambda: model(x)) == price
    with torch.inference_mode():
        assert operations(lambda: model(x)) == price


@few
@given(batch=extents, inside=extents, outside=extents)
def test_linear_is_a_product_and_a_sum(batch: int, inside: int, outside: int) -> None:
    x, w, b = torch.rand(batch, inside), torch.rand(outside, inside), torch.rand(outside)
    written_out = operations(lambda: x @ w.T + b)
    assert operations(lambda: F.linear(x, w, b)) == written_out
    assert operations(lambda: torch.addmm(b, x, w.T)) == written_out
    assert operations(lambda: torch.einsum("bi,oi->bo", x, w) + b) == written_out
    deep = x[None].expand(3, -1, -1)
    assert operations(lambda: F.linear(deep, w, b)) == 3 * written_out


def test_linear_backward_is_that_of_its_parts() -> None:
    x, w, b = (torch.rand(s, requires_grad=True) for s in ((5, 3), (4, 3), (4,)))
    g = torch.rand(5, 4)
    fused, parts = F.linear(x, w, b), x @ w.T + b

    def gradients(y: torch.Tensor) -> int:
        return operations(lambda: torch.autograd.grad(y, (x, w, b), g))

    assert gradients(fused) == gradients(parts)


def test_a_pointwise_convolution_is_a_linear_layer() -> None:
    x, w, b = torch.rand(2, 3, 4, 4), torch.rand(5, 3, 1, 1), torch.rand(5)
    pixels, matrix = torch.rand(2 * 16, 3), torch.rand(5, 3)
    assert operations(lambda: F.conv2d(x, w, b)) == operations(lambda: F.linear(pixels, matrix, b))


@few
@given(groups=extents, inside=extents, outside=extents)
def test_a_grouped_convolution_is_its_groups(groups: int, inside: int, outside: int) -> None:
    """Depthwise included: one channel in each group. Forward and backward."""

    def forward_and_backward(groups: int) -> int:
        x = torch.rand(2, groups * inside, 5, 5, requires_grad=True)
        w = torch.rand(groups * outside, inside, 3, 3, requires_grad=True)
        b = torch.rand(groups * outside, requires_grad=True)
        y = F.conv2d(x, w, b, padding=1, groups=groups)
        g = torch.rand_like(y)
        forward = operations(lambda: F.conv2d(x, w, b, padding=1, groups=groups))
        return forward + operations(lambda: torch.autograd.backward(y, g))

    assert forward_and_backward(groups) == groups * forward_and_backward(1)


def test_twice_the_batch_is_twice_the_price_in_evaluation() -> None:
    """But for what a batch norm prepares for each channel from its running statistics, once a batch."""
    model = small_model().eval()
    prices = [operations(lambda n=n: model(torch.empty(n, 3, 6, 6))) for n in (1, 2, 4)]  # type: ignore[misc]
    prepared = 2 * 4
    assert prices[1] - prepared == 2 * (prices[0] - prepared)
    assert prices[2] - prepared == 4 * (prices[0] - prepared)


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing_costs_the_recomputation(reentrant: bool) -> None:
    block = nn.Sequential(nn.Linear(6, 6), nn.SiLU(), nn.Linear(6, 6))
    x = torch.rand(4, 6, requires_grad=True)
    g = torch.rand(4, 6)

    def plain() -> None:
        torch.autograd.backward(block(x), g)

    def checkpointed() -> None:
        y: Any = checkpoint(block, x, use_reentrant=reentrant)
        torch.autograd.backward(y, g)

    def without_early_stop() -> None:
        with torch.utils.checkpoint.set_checkpoint_early_stop(False):
            checkpointed()

    plain()  # gradients exist from here on
    forward = operations(lambda: block(x))
    assert operations(without_early_stop) == operations(plain) + forward


def test_products_agree_with_the_flop_counter() -> None:
    """It counts 2K for an inner product, the standard 2K − 1: the results make the difference.

    No groups here: of a grouped convolution it counts the weight's gradient without regard to the groups.
    """
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, bias=False),
        nn.Conv2d(4, 4, 3, bias=False),
        nn.ConvTranspose2d(4, 6, 2, bias=False),
        nn.Flatten(),
        nn.Linear(6 * 25, 8, bias=False),
    )
    x = torch.rand(2, 3, 6, 6, requires_grad=True)

    def program() -> None:
        model(x).sum().backward()

    with FlopCounterMode(display=False) as counter:
        program()
    calls = [s for s in record(program) if s.operator.split(".")[1] in PRODUCTS]
    sums = sum(meta.numel for call in calls for meta in tensors_in(call.outputs))
    assert sum(price_of(call) or 0 for call in calls) + sums == counter.get_total_flops()


PRODUCTS = ("mm", "addmm", "bmm", "convolution", "convolution_backward")

IN_PLACE = ("add", "mul", "div", "sub", "pow", "maximum", "clamp_min", "eq", "atan2", "copysign")


@pytest.mark.parametrize("name", IN_PLACE)
def test_functional_in_place_and_out(name: str) -> None:
    x, y, out = torch.rand(3, 4), torch.rand(3, 4), torch.empty(3, 4)
    function = getattr(torch, name)
    price = operations(lambda: function(x, y))
    assert price > 0
    assert operations(lambda: function(x, y, out=out)) == price
    if hasattr(x, f"{name}_"):
        assert operations(lambda: getattr(x, f"{name}_")(y)) == price


def test_the_device_does_not_matter() -> None:
    model, x = small_model(), torch.rand(2, 3, 6, 6)
    price = operations(lambda: model(x))
    assert operations(lambda: model.to("meta")(x.to("meta"))) == price


def test_strides_do_not_matter() -> None:
    model, x = small_model(), torch.rand(2, 3, 6, 6)
    last = x.to(memory_format=torch.channels_last)
    assert operations(lambda: model.to(memory_format=torch.channels_last)(last)) == operations(
        lambda: model(x)
    )


def test_autocast_costs_its_casts_to_the_narrow_dtype_and_nothing_else() -> None:
    model, x = small_model(), torch.rand(2, 3, 6, 6)
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        calls = record(lambda: model(x))
        mixed = operations(lambda: model(x))
    casts = [one.out for one in calls if one.operator == "aten._to_copy.default"]
    narrowed = sum(meta.numel for meta in casts if meta.dtype == "bfloat16")
    assert narrowed > 0
    assert mixed == operations(lambda: model(x)) + narrowed


def test_prices_are_exact_beyond_floating_point() -> None:
    n = 3 * 10**6
    a, b = torch.empty(n, n, device="meta"), torch.empty(n, n, device="meta")
    assert operations(lambda: a @ b) == n * n * (2 * n - 1)
