"""Bytes that each call reads and writes."""

import pytest

from haet_eval.counting.histogram import Histogram
from haet_eval.counting.traffic import Traffic, elements, traffic, traffic_by_operator
from haet_eval.operators.signature import ANY, Argument, Signature, TensorMeta

FORWARD = (0, 0, 3, 0, 0, 0)


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    steps: list[int] = []
    step = 1
    for size in reversed(shape):
        steps.insert(0, step)
        step *= size
    return tuple(steps)


def tensor(*shape: int, dtype: str = "float32", stride: tuple[int, ...] | None = None) -> TensorMeta:
    return TensorMeta(shape, stride or contiguous(shape), 0, dtype)


def moved(operator: str, outputs: tuple[Argument, ...], **arguments: Argument) -> Traffic:
    return traffic(Signature(f"aten.{operator}", arguments, outputs))


@pytest.mark.parametrize(
    ("meta", "count"),
    [
        (tensor(4, 3), 12),
        (tensor(4, 3, stride=(0, 1)), 3),
        (tensor(4, 3, stride=(1, 1)), 6),
        (tensor(4, 3, stride=(100, 1)), 12),
        (tensor(4, 0), 0),
        (tensor(), 1),
    ],
)
def test_elements_that_a_tensor_shows(meta: TensorMeta, count: int) -> None:
    assert elements(meta) == count


def test_an_operator_reads_its_operands_and_writes_its_result() -> None:
    found = moved("mm.default", (tensor(2, 4),), self=tensor(2, 3), mat2=tensor(3, 4))
    assert found == Traffic(4 * (6 + 12), 4 * 8)


def test_views_and_metadata_move_nothing() -> None:
    views = [
        moved("view.default", (tensor(6),), self=tensor(2, 3), size=(6,)),
        moved("expand.default", (tensor(2, 3, stride=(0, 1)),), self=tensor(3), size=(2, 3), implicit=False),
        moved("split.Tensor", ((tensor(1, 3), tensor(1, 3)),), self=tensor(2, 3), split_size=1, dim=0),
        moved("t_.default", (tensor(3, 2),), self=tensor(2, 3)),
        moved("set_.source_Tensor", (tensor(2),), self=tensor(3), source=tensor(2)),
    ]
    assert views == [Traffic()] * 5


def test_a_broadcast_operand_is_read_once() -> None:
    found = moved(
        "add.Tensor", (tensor(8, 4),), self=tensor(8, 4), other=tensor(8, 4, stride=(0, 1)), alpha=1
    )
    assert found == Traffic(4 * (32 + 4), 4 * 32)


def test_in_place_reads_and_writes() -> None:
    assert moved("relu_.default", (tensor(8),), self=tensor(8)) == Traffic(32, 32)


@pytest.mark.parametrize(
    ("operator", "more"),
    [
        ("copy_.default", {"src": tensor(2, dtype="int8")}),
        ("fill_.Scalar", {"value": ANY}),
        ("zero_.default", {}),
        ("normal_.default", {"mean": 0.0, "std": 1.0, "generator": None}),
        ("uniform_.default", {"from": 0.0, "to": 1.0, "generator": None}),
    ],
)
def test_what_overwrites_only_writes(operator: str, more: dict[str, Argument]) -> None:
    read = 2 if operator == "copy_.default" else 0
    assert moved(operator, (tensor(2),), self=tensor(2), **more) == Traffic(read, 8)


def test_an_out_argument_is_written_and_not_read() -> None:
    found = moved("mul.out", (tensor(4),), self=tensor(4), other=tensor(4), out=tensor(4))
    assert found == Traffic(32, 16)


def test_factories_write_what_they_fill() -> None:
    assert moved("zeros_like.default", (tensor(4),), self=tensor(4)) == Traffic(0, 16)
    assert moved("empty_like.default", (tensor(4),), self=tensor(4)) == Traffic(0, 0)
    assert moved("rand_like.default", (tensor(4),), self=tensor(4)) == Traffic(0, 16)


def test_an_index_reads_what_it_takes_and_its_index() -> None:
    index = tensor(5, dtype="int64")
    taken = moved("index.Tensor", (tensor(5, 10),), self=tensor(1000, 10), indices=(index,))
    assert taken == Traffic(4 * 50 + 40, 4 * 50)
    assert moved("embedding.default", (tensor(5, 10),), weight=tensor(1000, 10), indices=index) == taken
    loss = moved(
        "nll_loss_forward.default",
        (tensor(), tensor()),
        self=tensor(5, 10),
        target=index,
        weight=None,
        reduction=1,
        ignore_index=-100,
    )
    assert loss == Traffic(4 * 5 + 40, 8)


def test_an_index_in_place_touches_the_places_that_it_names() -> None:
    index, whole = tensor(5, dtype="int64"), tensor(1000, 10)
    put = moved(
        "index_put_.default", (whole,), self=whole, indices=(index,), values=tensor(5, 10), accumulate=True
    )
    assert put == Traffic(4 * (50 + 50) + 40, 4 * 50)
    copied = moved("index_copy_.default", (whole,), self=whole, dim=0, index=index, source=tensor(5, 10))
    assert copied == Traffic(4 * 50 + 40, 4 * 50)


def test_the_statistics_of_a_norm_are_written_in_training_only() -> None:
    one, image = tensor(3), tensor(2, 3, 4, 4)
    arguments: dict[str, Argument] = {
        "input": image,
        "weight": one,
        "bias": one,
        "running_mean": one,
        "running_var": one,
        "momentum": 0.1,
        "eps": 1e-5,
    }
    training = moved("native_batch_norm.default", (image, one, one), **arguments, training=True)
    empty = tensor(0)
    evaluation = moved("native_batch_norm.default", (image, empty, empty), **arguments, training=False)
    assert training == Traffic(4 * (96 + 12), 4 * (96 + 6 + 6))
    assert evaluation == Traffic(4 * (96 + 12), 4 * 96)


def test_a_gradient_reads_what_the_asked_ones_need() -> None:
    image, weight = tensor(2, 3, 8, 8), tensor(4, 3, 3, 3)
    gradient = tensor(2, 4, 6, 6)
    rest: dict[str, Argument] = {
        "bias_sizes": (4,),
        "stride": (1, 1),
        "padding": (0, 0),
        "dilation": (1, 1),
        "transposed": False,
        "output_padding": (0, 0),
        "groups": 1,
    }
    found = moved(
        "convolution_backward.default",
        (None, weight, tensor(4)),
        grad_output=gradient,
        input=image,
        weight=weight,
        output_mask=(False, True, True),
        **rest,
    )
    assert found == Traffic(4 * (gradient.numel + image.numel), 4 * (weight.numel + 4))
    pooled = moved(
        "avg_pool2d_backward.default",
        (image,),
        grad_output=tensor(2, 3, 4, 4),
        self=image,
        kernel_size=(2, 2),
        stride=(2, 2),
        padding=(0, 0),
        ceil_mode=False,
        count_include_pad=True,
        divisor_override=None,
    )
    assert pooled == Traffic(4 * 96, 4 * 384)


def test_a_list_is_the_sum_of_its_parts() -> None:
    metas = (tensor(3), tensor(5, dtype="bfloat16"))
    found = moved("_foreach_add_.List", (), self=metas, other=metas, alpha=1)
    parts = [moved("add.Tensor", (meta,), self=meta, other=meta, alpha=1) for meta in metas]
    assert found == parts[0] + parts[1]
    copied = moved("_foreach_copy_.default", (), self=metas, src=metas, non_blocking=False)
    assert copied == Traffic(12 + 10, 12 + 10)


def test_calls_that_give_nothing_move_nothing() -> None:
    assert moved("mm.default", (tensor(0, 4),), self=tensor(0, 3), mat2=tensor(3, 4)) == Traffic()


def test_calls_add_up_by_operator() -> None:
    relu = Signature("aten.relu.default", {"self": tensor(8)}, (tensor(8),))
    wide = Signature("aten.relu.default", {"self": tensor(16)}, (tensor(16),))
    found = traffic_by_operator(Histogram([(relu, FORWARD), (wide, FORWARD)]))
    assert found == {"aten.relu.default": Traffic(3 * 96, 3 * 96)}
