"""Operations by dtype and in bits."""

import pytest

from haet_eval.counting.bill import bill
from haet_eval.counting.histogram import Histogram
from haet_eval.counting.precision import bit_operations, bits, computed_in, operations_by_dtype
from haet_eval.operators.signature import ANY, Argument, Signature, TensorMeta

FORWARD = (0, 0, 1, 0, 0, 0)


def tensor(dtype: str, *shape: int) -> TensorMeta:
    return TensorMeta(shape, tuple(1 for _ in shape), 0, dtype)


def binary(one: str, other: str, result: str, *shapes: tuple[int, ...]) -> Signature:
    first, second = shapes or ((4,), (4,))
    arguments: dict[str, Argument] = {
        "self": tensor(one, *first),
        "other": tensor(other, *second),
        "alpha": 1,
    }
    return Signature("aten.add.Tensor", arguments, (tensor(result, *first),))


@pytest.mark.parametrize(
    ("dtype", "width"),
    [
        *(("bool", 8), ("uint8", 8), ("int8", 8), ("float16", 16), ("bfloat16", 16), ("int32", 32)),
        *(("float32", 32), ("complex64", 32), ("float64", 64), ("complex128", 64), ("int64", 64)),
    ],
)
def test_the_width_of_a_dtype(dtype: str, width: int) -> None:
    assert bits(dtype) == width


def test_the_widest_operand_decides() -> None:
    assert computed_in(binary("bfloat16", "float32", "float32")) == "float32"
    assert computed_in(binary("bfloat16", "bfloat16", "bfloat16")) == "bfloat16"


def test_a_tensor_without_dimensions_does_not_widen_its_kind() -> None:
    assert computed_in(binary("bfloat16", "float32", "bfloat16", (4,), ())) == "bfloat16"
    assert computed_in(binary("uint8", "float32", "float32", (4,), ())) == "float32"
    assert computed_in(binary("float16", "float32", "float32", (), ())) == "float32"


def test_a_python_number_takes_the_dtype_of_the_tensor() -> None:
    arguments: dict[str, Argument] = {"self": tensor("float16", 4), "other": ANY}
    assert computed_in(Signature("aten.mul.Tensor", arguments, (tensor("float16", 4),))) == "float16"


def test_products_of_integers_count_as_their_operands() -> None:
    arguments: dict[str, Argument] = {"self": tensor("int8", 2, 3), "mat2": tensor("int8", 3, 4)}
    assert computed_in(Signature("aten._int_mm.default", arguments, (tensor("int32", 2, 4),))) == "int8"


def test_floats_of_integers_are_computed_in_floats() -> None:
    arguments: dict[str, Argument] = {"self": tensor("uint8", 4), "other": 255}
    assert computed_in(Signature("aten.div.Tensor", arguments, (tensor("float32", 4),))) == "float32"


def test_indices_labels_and_masks_do_not_count() -> None:
    gather: dict[str, Argument] = {"self": tensor("float16", 8), "dim": 0, "index": tensor("int64", 4)}
    assert computed_in(Signature("aten.gather.default", gather, (tensor("float16", 4),))) == "float16"
    loss: dict[str, Argument] = {
        "self": tensor("bfloat16", 4, 10),
        "target": tensor("int64", 4),
        "weight": None,
        "reduction": 1,
        "ignore_index": -100,
    }
    outputs = (tensor("bfloat16"), tensor("bfloat16"))
    assert computed_in(Signature("aten.nll_loss_forward.default", loss, outputs)) == "bfloat16"
    masked: dict[str, Argument] = {
        "self": tensor("float16", 4),
        "mask": tensor("bool", 4),
        "value": 0,
    }
    assert computed_in(Signature("aten.masked_fill.Scalar", masked, (tensor("float16", 4),))) == "float16"


def test_a_draw_has_the_dtype_of_what_it_draws() -> None:
    assert computed_in(Signature("aten.randperm.default", {"n": 9}, (tensor("int64", 9),))) == "int64"


def test_the_tensors_of_a_list_count_each_by_its_own_dtype() -> None:
    lists: dict[str, Argument] = {
        "self": (tensor("float32", 3), tensor("bfloat16", 5)),
        "other": (tensor("float32", 3), tensor("bfloat16", 5)),
        "alpha": 1,
    }
    histogram = Histogram([(Signature("aten._foreach_add_.List", lists, ()), FORWARD)])
    assert operations_by_dtype(histogram) == {"bfloat16": 5, "float32": 3}


def test_they_add_up_to_the_total_and_are_weighted_by_width() -> None:
    histogram = Histogram(
        [
            (binary("float32", "float32", "float32"), FORWARD),
            (binary("bfloat16", "bfloat16", "bfloat16"), FORWARD),
            (binary("int64", "int64", "int64"), FORWARD),
            (Signature("aten.unheard_of.default", {"self": tensor("float32", 4)}, ()), FORWARD),
        ]
    )
    found = operations_by_dtype(histogram)
    assert found == {"bfloat16": 4, "float32": 4, "int64": 32}
    assert sum(found.values()) == bill(histogram).total
    assert bit_operations(found) == 4 * 16 + 4 * 32 + 32 * 64
