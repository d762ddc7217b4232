"""Calls that end PyTorch's process by a signal, or write where they should not, are refused."""

from collections.abc import Mapping

import pytest
import torch

from haet_eval.operators.checking.validation import ElementOrigin
from haet_eval.operators.signature import Argument, TensorMeta
from haet_eval.remote.executor.guards import BadValue, guarded
from haet_eval.remote.executor.kernel import compile_kernel
from haet_eval.remote.wire import Definition
from tests.unit.operators.test_validation import refused, tensor

POOL: dict[str, Argument] = {
    "grad_output": tensor(1, 1, 2, 2),
    "self": tensor(1, 1, 4, 4),
    "kernel_size": (2, 2),
    "stride": (2, 2),
    "padding": (0, 0),
    "dilation": (1, 1),
    "ceil_mode": False,
    "indices": tensor(1, 1, 2, 2, dtype="int64"),
}
MADE = ElementOrigin("aten.max_pool2d_with_indices.default", 1, {"self": tensor(1, 1, 4, 4)}, pristine=True)

BATCH: dict[str, Argument] = {
    "input": tensor(4, 4096, 2, 2),
    "weight": None,
    "bias": None,
    "running_mean": tensor(4096),
    "running_var": tensor(4096),
    "training": True,
    "momentum": 0.1,
    "eps": 1e-5,
}
FUSED: dict[str, Argument] = {
    "self": (tensor(4, 4),),
    "grads": (tensor(4, 4),),
    "momentum_buffer_list": (tensor(4, 4),),
    "weight_decay": 0.0,
    "momentum": 0.9,
    "lr": 0.1,
    "dampening": 0.0,
    "nesterov": False,
    "maximize": False,
    "is_first_step": False,
}
ADAM: dict[str, Argument] = {
    **{name: (tensor(4, 4),) for name in ("self", "grads", "exp_avgs", "exp_avg_sqs")},
    "max_exp_avg_sqs": (),
    "state_steps": (tensor(),),
    **dict.fromkeys(("lr", "beta1", "beta2", "weight_decay", "eps"), 0.1),
    "amsgrad": False,
    "maximize": False,
}
LAYER: dict[str, Argument] = {
    "grad_out": tensor(3, 5),
    "input": tensor(3, 5),
    "normalized_shape": (5,),
    "mean": tensor(3, 1),
    "rstd": tensor(3, 1),
    "weight": tensor(5),
    "bias": tensor(5),
    "output_mask": (True, True, True),
}
FLASH: dict[str, Argument] = {name: tensor(1, 2, 8, 4) for name in ("query", "key", "value")}
FLASH_BACKWARD: dict[str, Argument] = {
    **FLASH,
    "grad_out": tensor(1, 2, 8, 4),
    "out": tensor(1, 2, 8, 4),
    "logsumexp": tensor(1, 2, 8),
    "dropout_p": 0.0,
    "is_causal": False,
}
SMOOTH: dict[str, Argument] = {
    **{name: tensor(5, 5) for name in ("grad_output", "self", "target")},
    "reduction": 1,
    "beta": 0.5,
}
WHOLE = tensor(5, 5, dtype="int32")
SPREAD = TensorMeta((4, 4), (0, 0), 0, "float32")

HONEST_AND_HOSTILE: list[tuple[str, Mapping[str, Argument], Mapping[str, Argument]]] = [
    ("native_batch_norm.default", BATCH, {"running_var": tensor(1)}),
    ("native_batch_norm.default", BATCH, {"running_mean": tensor(0)}),
    ("native_batch_norm.default", BATCH, {"running_mean": None}),
    ("native_layer_norm_backward.default", LAYER, {"grad_out": tensor()}),
    ("native_layer_norm_backward.default", LAYER, {"mean": tensor(1)}),
    ("_fused_sgd_.default", FUSED, {"grads": (tensor(1),)}),
    ("_fused_sgd_.default", FUSED, {"momentum_buffer_list": ()}),
    ("_fused_sgd_.default", FUSED, {"self": (SPREAD,)}),
    (
        "_fused_sgd_.default",
        FUSED,
        {"self": (SPREAD,), "grads": (SPREAD,), "momentum_buffer_list": (SPREAD,)},
    ),
    ("_fused_adamw_.default", ADAM, {"exp_avgs": (tensor(1),)}),
    ("_fused_adamw_.default", ADAM, {"state_steps": ()}),
    ("_fused_adamw_.default", ADAM, {"amsgrad": True}),
    ("_scaled_dot_product_flash_attention_for_cpu.default", FLASH, {"key": tensor(1, 2, 8, 2)}),
    ("_scaled_dot_product_flash_attention_for_cpu.default", FLASH, {"attn_mask": tensor(3, 3)}),
    (
        "_scaled_dot_product_flash_attention_for_cpu_backward.default",
        FLASH_BACKWARD,
        {"logsumexp": tensor(1)},
    ),
    (
        "_scaled_dot_product_flash_attention_for_cpu_backward.default",
        FLASH_BACKWARD,
        {"out": tensor(1, 2, 1, 4)},
    ),
    (
        "_weight_norm_interface.default",
        {"v": tensor(8, 3), "g": tensor(8, 1), "dim": 0},
        {"g": tensor(1, 1)},
    ),
    (
        "_fft_r2c.default",
        {"self": tensor(4, 6), "dim": (1,), "normalization": 0, "onesided": True},
        {"dim": (2**20,)},
    ),
    (
        "_fft_r2c.default",
        {"self": tensor(4, 6), "dim": (0,), "normalization": 0, "onesided": True},
        {"dim": (-2,)},
    ),
    (
        "unfold_backward.default",
        {"grad_in": tensor(4, 3), "input_sizes": (6,), "dim": 0, "size": 3, "step": 1},
        {"size": 2**63 - 1},
    ),
    (
        "_log_softmax_backward_data.default",
        {"grad_output": tensor(4, 8), "output": tensor(4, 8), "dim": 1, "input_dtype": "float32"},
        {"output": tensor(4, 1)},
    ),
    ("smooth_l1_loss_backward.default", SMOOTH, {"grad_output": WHOLE, "self": WHOLE, "target": WHOLE}),
    ("smooth_l1_loss_backward.default", SMOOTH, {"self": WHOLE}),
    ("squeeze.dim", {"self": tensor(), "dim": -1}, {"dim": -2}),
    (
        "_pdist_backward.default",
        {"grad_output": tensor(3), "self": tensor(3, 2), "p": 2.0, "pdist": tensor(3)},
        {"grad_output": tensor(0), "self": tensor(0, 2), "pdist": tensor(0)},
    ),
]


@pytest.mark.parametrize(("name", "honest", "change"), HONEST_AND_HOSTILE)
def test_the_hostile_variant_is_refused(
    name: str, honest: Mapping[str, Argument], change: Mapping[str, Argument]
) -> None:
    assert not refused(name, honest)
    assert refused(name, {**honest, **change})


@pytest.mark.parametrize(
    "origin",
    [
        None,
        ElementOrigin("aten.randint.default", 0, {}, pristine=True),
        ElementOrigin(MADE.operator, 0, MADE.arguments, pristine=True),
        ElementOrigin(MADE.operator, 1, MADE.arguments, pristine=False),
        ElementOrigin(MADE.operator, 1, {"self": tensor(1, 1, 64, 64)}, pristine=True),
        ElementOrigin("aten.adaptive_max_pool2d.default", 1, MADE.arguments, pristine=True),
    ],
)
def test_indices_of_a_pool_come_from_its_forward(origin: ElementOrigin | None) -> None:
    name = "max_pool2d_with_indices_backward.default"
    assert not refused(name, POOL, {"indices": MADE})
    assert refused(name, POOL, {"indices": origin})


def test_values_that_a_kernel_trusts_are_checked_in_the_executor() -> None:
    backward = guarded(torch.ops.aten.nll_loss_backward.default)
    scores, gradient, total = torch.zeros(2, 3), torch.ones(()), torch.tensor(2.0)
    honest = backward(gradient, scores, torch.tensor([0, -100]), None, 1, -100, total)
    assert honest.abs().sum() > 0
    for bad in (3, -1, 1 << 40):
        with pytest.raises(BadValue, match="target"):
            backward(gradient, scores, torch.tensor([0, bad]), None, 1, -100, total)


@pytest.mark.parametrize(
    ("operator", "arguments"),
    [
        (torch.ops.aten.floor_divide.default, (torch.tensor([-(2**63)]), torch.tensor([-1]))),
        (torch.ops.aten.remainder.Scalar, (torch.tensor([-(2**63)]), -1)),
        (torch.ops.aten.lcm.default, (torch.tensor([-(2**63)]), torch.tensor([3]))),
        (torch.ops.aten.repeat_interleave.Tensor, (torch.full((4,), 2**62),)),
        (
            torch.ops.aten.embedding_dense_backward.default,
            (torch.ones(1, 2), torch.tensor([-1]), 4, -1, True),
        ),
        (
            torch.ops.aten.linalg_lu_solve.default,
            (torch.eye(2), torch.tensor([9, 9], dtype=torch.int32), torch.ones(2, 1)),
        ),
    ],
)
def test_values_that_end_a_process_are_refused(operator: object, arguments: tuple[object, ...]) -> None:
    with pytest.raises(BadValue):
        guarded(operator)(*arguments)


def test_a_tensor_of_zeros_has_memory() -> None:
    """`index_put` with accumulation, `median` and others end the process if the tensor has no memory."""
    definition = Definition("aten._efficientzerotensor.default", {"size": (2, 3)}, 0, ())
    zeros = compile_kernel(definition, torch.device("cpu"), lambda _: torch.Generator())([], [])
    assert not zeros._is_zerotensor()
    assert zeros.untyped_storage().nbytes() == 24
    assert torch.equal(zeros, torch.zeros(2, 3))


def test_an_operator_without_trusted_values_is_not_wrapped() -> None:
    assert guarded(torch.ops.aten.add.Tensor) is torch.ops.aten.add.Tensor
